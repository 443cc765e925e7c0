"""The report: what was found, as values that are shown as text or written as JSON.

Strategy: the fields of these classes *are* the JSON, with their names and in their order;
names are only added, never changed, while ``SCHEMA`` keeps its number. Texts are ready to
be printed: keys and values are already as the user wants them written. Shares are
between 0 and 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from proxy.advise.analysis import Analysis
from proxy.advise.fixes import Fix, find_fixes
from proxy.advise.judge import Need, Outcome
from proxy.advise.limits import list_limits
from proxy.advise.patterns import is_variable, text_of
from proxy.advise.together import Group

SCHEMA = "slotway-advise/1"

CLIENTS_TOLD = 5  # of a finding
GROUPS_TOLD = 20


@dataclass(frozen=True, slots=True)
class Source:
    """What was read."""

    kind: str
    """``log`` or ``server``."""
    name: str
    """A path, ``-`` for standard input, or host:port."""
    table: str
    """Whose description of the commands was used."""
    is_interrupted: bool = False
    notes: tuple[str, ...] = ()
    """What happened while it was read."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much it was."""

    lines: int
    commands: int
    """Of clients; those of scripts are not counted."""
    units: int
    """Commands alone and whole transactions: all shares are of these."""
    transactions: int
    empty_transactions: int
    """Nothing ran: a watched key had changed, or EXEC was refused."""
    watched_transactions: int
    longest_transaction: int
    scripts: int
    key_uses: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of the units, by the worst that is found in each."""

    works: int
    slower: int
    partial: int
    """The answer of one shard for all of them, without an error."""
    breaks: int
    unknown: int
    """With a command whose keys are not known, and nothing else to tell."""


@dataclass(frozen=True, slots=True)
class ClientCount:
    """Whose units, and how many."""

    host: str
    name: str
    """What CLIENT SETNAME said; empty if it was not seen."""
    count: int


@dataclass(frozen=True, slots=True)
class FindingReport:
    """One problem of one command."""

    kind: str
    command: str
    count: int
    share: float
    cluster: str
    """On a plain cluster client: ``works``, ``slower``, ``partial`` or ``breaks``."""
    slotway: str
    """Behind slotway, with these rules."""
    need: str
    """What slotway would need to do it; ``nothing`` if it does."""
    clients: tuple[ClientCount, ...]
    more_clients: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedCount:
    """Something, and how often it came."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class GroupReport:
    """Kinds of keys that occurred together in one command, script or transaction."""

    patterns: tuple[str, ...]
    count: int
    broken_cluster: int
    broken_slotway: int
    commands: tuple[str, ...]
    linked: float
    """Share of occurrences in which one part of all names was equal: what a tag could use."""


@dataclass(frozen=True, slots=True)
class SettingReport:
    """A setting, and how many findings it would settle behind slotway."""

    setting: str
    fixes: int
    share: float
    """Of everything that breaks behind slotway."""


@dataclass(frozen=True, slots=True)
class FixReport:
    """Hash tags or a pin that would put keys together."""

    patterns: tuple[str, ...]
    names: tuple[str, ...]
    """Hash tags: the new names, in the same order. Pin: its prefixes."""
    tag: str
    fixes_cluster: int
    share_cluster: float
    """Of everything that breaks on a plain cluster client because keys are in several slots."""
    fixes_slotway: int
    share_slotway: float
    hottest_share: float
    """Of all uses of keys, how many the busiest slot of these keys would carry, at least."""
    hottest_value: str
    is_hot: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Everything."""

    schema: str
    source: Source
    rules: dict[str, object]
    totals: Totals
    cluster: Verdict
    slotway: Verdict
    findings: tuple[FindingReport, ...]
    databases: tuple[NamedCount, ...]
    clients: tuple[ClientCount, ...]
    unknown_commands: tuple[NamedCount, ...]
    hottest_slot: int
    hottest_slot_share: float
    """Of the busiest slot, if keys keep their names."""
    groups: tuple[GroupReport, ...]
    settings: tuple[SettingReport, ...]
    hash_tags: tuple[FixReport, ...]
    pins: tuple[FixReport, ...]
    limits: tuple[str, ...]
    """What was cut off, and how much of it."""
    not_seen: tuple[str, ...]
    """What no such log can tell."""

    def as_json(self) -> dict[str, object]:
        """Return it as values that JSON has."""
        return asdict(self)


# What nobody can learn from MONITOR, whatever was read.
NOT_SEEN = (
    "Pipelines: many commands sent at once look like commands sent one by one.",
    (
        "Commands that failed before they ran (unknown, wrong arguments, no rights), transactions "
        "that were discarded, and administrative ones (CONFIG, DEBUG, CLIENT LIST, ACL, SAVE): "
        "servers do not show them."
    ),
    "What was not used while the log was written: a weekly job is in no log of an hour.",
    "Sizes of values and replies, and how long commands take.",
)


def make_report(analysis: Analysis, source: Source) -> Report:
    """Return the report of an analysis that has ended."""
    fixes = find_fixes(analysis.together)
    slots = analysis.together.slots
    busiest = max(range(len(slots)), key=slots.__getitem__)
    return Report(
        schema=SCHEMA,
        source=source,
        rules=_rules(analysis),
        totals=Totals(
            lines=analysis.lines,
            commands=analysis.commands,
            units=analysis.units,
            transactions=analysis.transactions,
            empty_transactions=analysis.empty_transactions,
            watched_transactions=analysis.watched_transactions,
            longest_transaction=analysis.longest_transaction,
            scripts=analysis.scripts,
            key_uses=analysis.together.total,
            seconds=round(analysis.seconds, 6),
        ),
        cluster=_verdict(analysis.cluster, analysis.unjudged),
        slotway=_verdict(analysis.slotway, analysis.unjudged),
        findings=_findings(analysis),
        databases=tuple(
            NamedCount(str(number), count) for number, count in sorted(analysis.databases.most())
        ),
        clients=tuple(
            ClientCount(client.host, client.name, count)
            for client, count in analysis.clients.most()
        ),
        unknown_commands=tuple(NamedCount(*each) for each in analysis.unknown.most()),
        hottest_slot=busiest,
        hottest_slot_share=_share(slots[busiest], analysis.together.total),
        groups=_groups(analysis),
        settings=_settings(analysis),
        hash_tags=tuple(_fix(fix, analysis) for fix in fixes if not fix.is_pin),
        pins=tuple(_fix(fix, analysis) for fix in fixes if fix.is_pin),
        limits=tuple(list_limits(analysis)),
        not_seen=NOT_SEEN,
    )


def _rules(analysis: Analysis) -> dict[str, object]:
    rules = analysis.rules
    write = analysis.wording.name
    return {
        "transactions": rules.transactions,
        "cross_slot": rules.cross_slot,
        "databases": rules.databases,
        "pins": [{"prefix": write(p.prefix), "tag": write(p.tag)} for p in rules.pins.pins],
    }


def _verdict(counts: dict[Outcome, int], unknown: int) -> Verdict:
    return Verdict(
        works=counts[Outcome.WORKS],
        slower=counts[Outcome.SLOWER],
        partial=counts[Outcome.PARTIAL],
        breaks=counts[Outcome.BREAKS],
        unknown=unknown,
    )


def _findings(analysis: Analysis) -> tuple[FindingReport, ...]:
    order = sorted(
        analysis.findings.items(),
        key=lambda item: (
            -item[0].slotway,
            -item[0].cluster,
            -item[1].count,
            item[0].kind,
            item[0].command,
        ),
    )
    return tuple(
        FindingReport(
            kind=finding.kind.value,
            command=finding.command,
            count=tally.count,
            share=_share(tally.count, analysis.units),
            cluster=finding.cluster.name.lower(),
            slotway=finding.slotway.name.lower(),
            need=finding.need.value,
            clients=tuple(
                ClientCount(client.host, client.name, count)
                for client, count in tally.clients.most(CLIENTS_TOLD)
            ),
            more_clients=max(len(tally.clients) - CLIENTS_TOLD, 0),
            examples=tuple(tally.examples),
        )
        for finding, tally in order
    )


def _groups(analysis: Analysis) -> tuple[GroupReport, ...]:
    return tuple(
        GroupReport(
            patterns=tuple(analysis.wording.name(text_of(each)) for each in group.patterns),
            count=group.tally.count,
            broken_cluster=group.tally.broken_cluster,
            broken_slotway=group.tally.broken_slotway,
            commands=tuple(sorted(group.commands, key=lambda name: -group.commands[name])),
            linked=_share(_linked(group), group.tally.count),
        )
        for group in analysis.together.groups()[:GROUPS_TOLD]
    )


def _linked(group: Group) -> int:
    """Return in how many occurrences the most frequent link of variable words held."""
    return max(
        (
            tally.count
            for link, tally in group.links.items()
            if all(
                is_variable(pattern[2 * word])
                for pattern, word in zip(group.patterns, link, strict=True)
            )
        ),
        default=0,
    )


def _settings(analysis: Analysis) -> tuple[SettingReport, ...]:
    counts: dict[str, int] = {}
    for finding, tally in analysis.findings.items():
        is_setting = finding.need.startswith("commands.")
        if is_setting and finding.slotway is Outcome.BREAKS:
            name = finding.need.value
            if finding.need is Need.ALLOWED:
                name = f'{name[: -len("it")]}"{finding.command}"'
            counts[name] = counts.get(name, 0) + tally.count
    broken = analysis.slotway[Outcome.BREAKS]
    return tuple(
        SettingReport(name, count, _share(count, broken))
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    )


def _fix(fix: Fix, analysis: Analysis) -> FixReport:
    write = analysis.wording
    return FixReport(
        patterns=tuple(map(write.name, fix.patterns)),
        names=tuple(map(write.name, fix.names)),
        tag=write.name(fix.tag) if fix.tag else "",
        fixes_cluster=fix.fixed_cluster,
        share_cluster=_share(fix.fixed_cluster, analysis.broken.broken_cluster),
        fixes_slotway=fix.fixed_slotway,
        share_slotway=_share(fix.fixed_slotway, analysis.broken.broken_slotway),
        hottest_share=round(fix.hottest_share, 4),
        hottest_value=write.value(fix.hottest_value) if fix.hottest_value else "",
        is_hot=fix.is_hot,
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
