"""Show a report to people: with colours on a terminal, as plain lines elsewhere.

Strategy: what breaks comes first, then what helps, then what was seen at all. Each finding
is a short paragraph and not a row of a table: examples are long, and a table in a file
of 80 columns is not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.advise.judge import Kind, Need
from proxy.advise.report import (
    ClientCount,
    FindingReport,
    FixReport,
    GroupReport,
    Report,
    SettingReport,
    Verdict,
)

TITLES: dict[str, str] = {
    Kind.KEYS: "keys in several slots",
    Kind.BLOCKING: "blocks on keys in several slots",
    Kind.TRANSACTION: "transaction over several slots",
    Kind.WATCH: "watches keys in several slots",
    Kind.SCRIPT_KEYS: "script with keys in several slots",
    Kind.SCRIPT_TOUCHES: "script touches keys in slots it was not given",
    Kind.SORT: "sorts by, or gets, keys that are named by a pattern",
    Kind.ALL_SHARDS: "concerns all shards, and a cluster's node answers for itself",
    Kind.PUBSUB: "publish and subscribe: a cluster sends each message to every node",
    Kind.DATABASE: "database other than 0, which a cluster has not",
    Kind.BETWEEN_DATABASES: "from one database to another",
    Kind.DENIED: "refused by slotway",
}

_STYLES = {
    "works": "green",
    "slower": "yellow",
    "partial": "red",
    "breaks": "bold red",
    "unknown": "yellow",
}
_BAD = frozenset({"partial", "breaks"})
_FINDING_LIMIT = 40  # of each chapter; the JSON has all
_CLIENTS_SHOWN = 10


def show_report(report: Report, console: Console) -> None:
    """Print a report."""
    _Printer(console).report(report)


class _Printer:
    def __init__(self, console: Console) -> None:
        self._console = console

    def report(self, report: Report) -> None:
        self._head(report)
        self._verdicts(report)
        findings = report.findings
        self._findings("Breaks behind slotway too", [f for f in findings if f.slotway in _BAD])
        self._findings(
            "Breaks on a plain cluster client, works behind slotway",
            [f for f in findings if f.slotway not in _BAD and f.cluster in _BAD],
        )
        self._findings(
            "Works, and costs more than before",
            [f for f in findings if f.slotway not in _BAD and f.cluster not in _BAD],
        )
        self._settings(report.settings)
        self._hash_tags(report.hash_tags)
        self._pins(report.pins)
        self._groups(report.groups)
        self._traffic(report)
        self._list("Left out", report.limits)
        self._list("What no MONITOR log can tell", report.not_seen)

    # ---- pieces ------------------------------------------------------------------------

    def _line(self, text: Text | str, indent: int = 2) -> None:
        text = Text(text) if isinstance(text, str) else text  # what a key is called is no markup
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:
            # A file has no width: one line each, so that it can be searched.
            self._console.print(Text.assemble(" " * indent, text), soft_wrap=True)

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, "bold"), soft_wrap=True)

    def _list(self, title: str, lines: Iterable[str]) -> None:
        lines = list(lines)
        if lines:
            self._title(title)
        for line in lines:
            self._line(Text.assemble("- ", line))

    def _head(self, report: Report) -> None:
        totals = report.totals
        words = (
            f"{totals.commands:,} commands in {totals.seconds:,.1f} s, "
            f"{totals.transactions:,} transactions, {totals.scripts:,} runs of scripts"
        )
        self._console.print(
            Text.assemble(("slotway advise", "bold"), f": {report.source.name}"), soft_wrap=True
        )
        self._line(words)
        self._line(Text(f"commands described by: {report.source.table}", "dim"))
        rules = report.rules
        self._line(
            Text(
                f'slotway with transactions = "{rules["transactions"]}", '
                f'cross_slot = "{rules["cross_slot"]}", {_count_of(rules["pins"])} pins',
                "dim",
            )
        )
        if report.source.is_interrupted:
            self._line(Text("interrupted: this is what was seen until then", "yellow"))
        for note in report.source.notes:
            self._line(Text(note, "yellow"))

    def _verdicts(self, report: Report) -> None:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("", no_wrap=True)
        for name in ("works", "slower", "one shard answers", "breaks", "not judged"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, verdict in (
            ("plain cluster client", report.cluster),
            ("behind slotway", report.slotway),
        ):
            table.add_row(name, *_verdict_cells(verdict))
        self._console.print()
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def _findings(self, title: str, findings: list[FindingReport]) -> None:
        if not findings:
            return
        self._title(title)
        for finding in findings[:_FINDING_LIMIT]:
            self._finding(finding)
        if len(findings) > _FINDING_LIMIT:
            self._line(f"... and {len(findings) - _FINDING_LIMIT} more; --json has them all")

    def _finding(self, finding: FindingReport) -> None:
        self._line(
            Text.assemble(
                (finding.command.replace("|", " ").upper(), "bold"),
                f"  {TITLES[finding.kind]}: {_times(finding.count)}, {_percent(finding.share)}",
            )
        )
        words = Text.assemble(
            "plain client: ",
            (finding.cluster, _STYLES[finding.cluster]),
            ", slotway: ",
            (finding.slotway, _STYLES[finding.slotway]),
        )
        if finding.need != Need.NOTHING:
            words.append(f"; would need {finding.need}")
        self._line(words, 4)
        more = f", and {finding.more_clients} more" if finding.more_clients else ""
        self._line(f"from {', '.join(map(_client, finding.clients))}{more}", 4)
        for example in finding.examples:
            self._line(Text(example, "cyan"), 6)

    def _settings(self, settings: Iterable[SettingReport]) -> None:
        self._list(
            "Settings of slotway that would help",
            (
                f"{each.setting}: settles {each.fixes:,}, {_percent(each.share)} of what breaks"
                for each in settings
            ),
        )

    def _hash_tags(self, fixes: Iterable[FixReport]) -> None:
        fixes = [fix for fix in fixes if fix.fixes_cluster]
        if not fixes:
            return
        self._title("Hash tags that would put keys together (the application names its keys so)")
        for fix in fixes:
            for before, after in zip(fix.patterns, fix.names, strict=True):
                self._line(Text.assemble((before, "cyan"), "  ->  ", (after, "bold")))
            self._line(_gain(fix), 4)
            value = f" ({fix.hottest_value})" if fix.hottest_value else ""
            self._heat(fix, f"the busiest of them{value} has")

    def _pins(self, fixes: Iterable[FixReport]) -> None:
        fixes = list(fixes)
        if not fixes:
            return
        self._title("Pins of slotway that would put keys together (the application stays as it is)")
        for fix in fixes:
            for prefix in fix.names:
                shown = "" if prefix == '""' else prefix
                self._line(
                    Text(f'[[pin]] prefix = "{shown}" tag = "{fix.tag}"', "bold"),
                )
            self._line(f"for {', '.join(fix.patterns[:8])}", 4)
            self._line(_gain(fix), 4)
            self._heat(fix, "they have")

    def _heat(self, fix: FixReport, words: str) -> None:
        line = Text(f"{words} at least {_percent(fix.hottest_share)} of all uses of keys")
        if fix.is_hot:
            line.append(": one slot, and so one shard, would carry all that", "bold red")
        self._line(line, 4)

    def _groups(self, groups: Iterable[GroupReport]) -> None:
        groups = list(groups)
        if not groups:
            return
        self._title("Keys used together")
        for group in groups:
            broken = f", {group.broken_cluster:,} in several slots" if group.broken_cluster else ""
            linked = f", {_percent(group.linked)} with a part in common" if group.linked else ""
            self._line(Text(" + ".join(group.patterns), "cyan"))
            self._line(f"{_times(group.count)}{broken}{linked}; {', '.join(group.commands[:6])}", 4)

    def _traffic(self, report: Report) -> None:
        self._title("Traffic")
        used = [f"{each.name} ({each.count:,})" for each in report.databases]
        self._line(f"databases: {', '.join(used)}")
        shown = ", ".join(map(_client, report.clients[:_CLIENTS_SHOWN]))
        more = len(report.clients) - _CLIENTS_SHOWN
        self._line(f"clients: {shown}{f', and {more} more' if more > 0 else ''}")
        if report.totals.key_uses:
            self._line(
                f"with today's names slot {report.hottest_slot} is the busiest, with "
                f"{_percent(report.hottest_slot_share)} of {report.totals.key_uses:,} uses of keys"
            )
        if report.unknown_commands:
            names = [f"{each.name} ({each.count:,})" for each in report.unknown_commands]
            self._line(f"keys not known, so not judged: {', '.join(names)}")


def _verdict_cells(verdict: Verdict) -> list[Text]:
    counts = asdict(verdict)
    total = max(sum(counts.values()), 1)
    cells = []
    for name, count in counts.items():
        style = _STYLES[name] if count else "dim"
        cells.append(Text(f"{count:,} ({_percent(count / total)})", style))
    return cells


def _client(client: ClientCount) -> str:
    who = f"{client.name}@{client.host}" if client.name else client.host
    return f"{who} ({client.count:,})"


def _gain(fix: FixReport) -> str:
    words = []
    if fix.fixes_cluster:
        words.append(
            f"fixes {fix.fixes_cluster:,} on a plain cluster client, {_percent(fix.share_cluster)}"
        )
    if fix.fixes_slotway:
        words.append(f"fixes {fix.fixes_slotway:,} behind slotway, {_percent(fix.share_slotway)}")
    else:
        words.append("slotway does not need it")
    return "; ".join(words)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _count_of(pins: object) -> int:
    return len(pins) if isinstance(pins, list) else 0
