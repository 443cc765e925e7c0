"""Take the lines of a MONITOR log one by one, and count what they mean.

Strategy: one pass, nothing kept of a line but counts and a few examples. A line becomes
a command, commands become what runs as a whole (``conversation.py``), that is judged
(``judge.py``), and its keys are noted (``together.py``).

Limits: ``FINDING_LIMIT`` findings, ``CLIENT_LIMIT`` clients in all and for each finding,
``EXAMPLE_LIMIT`` examples; the other files name theirs. What did not fit is counted.

Cost: about 40 us a line in all (CPython 3.11, CI machine), so some 25,000 commands a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from proxy.advise.conversation import SCRIPTS, Call, Client, Conversation, Unit
from proxy.advise.counting import FirstCome
from proxy.advise.judge import SLOT_KINDS, Finding, Kind, Outcome, is_derived, judge
from proxy.advise.monitor_log import LineCutter, parse_line
from proxy.advise.printing import printable
from proxy.advise.rules import Rules
from proxy.advise.together import Tally, Together
from proxy.advise.wording import Wording
from proxy.commands.spec import CommandSpec, Road
from proxy.dataplane.tables import CommandTable

FINDING_LIMIT = 1_000  # kinds times commands are fewer, but for databases
CLIENT_LIMIT = 1_000
EXAMPLE_LIMIT = 3
EXAMPLES_LOOKED_FOR = 100  # occurrences of a finding; then they are all alike
UNKNOWN_LIMIT = 100

# Not commands: what redis-cli prints first, and what a log of its output may have at its end.
_NO_COMMANDS = frozenset({b"", b"OK", b"+OK"})


@dataclass(slots=True)
class FindingTally:
    """How often a finding came, from whom, and what it looked like."""

    count: int = 0
    clients: FirstCome[Client] = field(default_factory=lambda: FirstCome(CLIENT_LIMIT))
    examples: dict[str, None] = field(default_factory=dict)


class Analysis:
    """What a log says, so far.

    Args:
        specs: The server's commands.
        rules: How slotway is set up.
        wording: How examples are written.

    Attributes:
        lines: That are commands.
        unjudged: Units with commands whose keys are not known.
        commands: Of clients; the rest are of scripts.
        units: Commands and whole transactions: what a verdict is given on.
        unreadable: Lines that are not MONITOR's; ``first_unreadable`` is the first one's number.
        cut_lines: Commands that were longer than is kept.
        skipped: Times that lines were missing in between.
    """

    def __init__(
        self, specs: Iterable[CommandSpec], rules: Rules, wording: Wording | None = None
    ) -> None:
        self.rules = rules
        self.wording = wording or Wording()
        self.conversation = Conversation(CommandTable(specs))
        self.together = Together()
        self.findings: dict[Finding, FindingTally] = {}
        self.other_findings = 0
        self.clients: FirstCome[Client] = FirstCome(CLIENT_LIMIT)
        self.databases: FirstCome[int] = FirstCome(CLIENT_LIMIT)
        self.unknown: FirstCome[str] = FirstCome(UNKNOWN_LIMIT)
        self.cluster: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.slotway: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.unjudged = 0
        self.broken = Tally()
        self.lines = self.commands = self.units = 0
        self.unreadable = self.cut_lines = self.skipped = 0
        self.first_unreadable = 0
        self.transactions = self.empty_transactions = self.watched_transactions = 0
        self.longest_transaction = 0
        self.scripts = 0
        self.first_us: int | None = None
        self.last_us: int | None = None
        self._cutter = LineCutter()
        self._line_number = 0

    def feed(self, data: bytes) -> None:
        """Take some more of the log, cut anywhere."""
        for line, is_cut in self._cutter.feed(data):
            self._take(line, is_cut=is_cut)

    def skip(self) -> None:
        """Note that some of the log is missing here."""
        self.skipped += 1
        self._cutter.drop()
        self.conversation.interrupt()

    def end(self) -> None:
        """Take what is left. Nothing can be fed afterwards."""
        for line, is_cut in self._cutter.end():
            # The stream has ended in the middle of it: not an unreadable line.
            if is_cut or parse_line(line) is not None:
                self._take(line, is_cut=is_cut)
        for unit in self.conversation.end():
            self._judge(unit)
        self.together.settle()

    @property
    def seconds(self) -> float:
        """How long the log lasts, by the server's clock."""
        if self.first_us is None or self.last_us is None:
            return 0.0
        return max(self.last_us - self.first_us, 0) / 1e6

    @property
    def breaks(self) -> int:
        """How many commands and transactions would break, or be answered in part, so far."""
        return sum(count for outcome, count in self.cluster.items() if outcome >= Outcome.PARTIAL)

    def _take(self, text: bytes, *, is_cut: bool) -> None:
        self._line_number += 1
        if text in _NO_COMMANDS:
            return
        line = parse_line(text, is_cut=is_cut)
        if line is None:
            self.unreadable += 1
            self.first_unreadable = self.first_unreadable or self._line_number
            return
        self.lines += 1
        self.cut_lines += is_cut
        if self.first_us is None:
            self.first_us = line.time_us
        self.last_us = line.time_us
        if not line.is_script:
            self.commands += 1
            self.databases.add(line.database)
        for unit in self.conversation.take(line):
            self._judge(unit)

    def _judge(self, unit: Unit) -> None:
        self.units += 1
        self.clients.add(unit.client)
        self._count_kinds(unit)
        found = dict.fromkeys(judge(unit, self.rules))
        if not found and any(map(_is_unknown, unit.calls)):
            self.unjudged += 1
        else:
            self._count_verdicts(found)
        example = self.wording.unit(unit) if self._wants_example(found) else None
        for finding in found:
            self._count(finding, unit.client, example)
        self._note_keys(unit, found)

    def _count_verdicts(self, found: Collection[Finding]) -> None:
        self.cluster[max((each.cluster for each in found), default=Outcome.WORKS)] += 1
        self.slotway[max((each.slotway for each in found), default=Outcome.WORKS)] += 1

    def _count_kinds(self, unit: Unit) -> None:
        if unit.is_transaction:
            self.transactions += 1
            self.empty_transactions += not unit.calls
            self.watched_transactions += bool(unit.watched)
            self.longest_transaction = max(self.longest_transaction, len(unit.calls))
        for call in unit.calls:
            self.scripts += call.name in SCRIPTS
            if _is_unknown(call):
                self.unknown.add(printable(call.name))

    def _wants_example(self, found: Iterable[Finding]) -> bool:
        return any(
            finding not in self.findings
            or (
                len(self.findings[finding].examples) < EXAMPLE_LIMIT
                and self.findings[finding].count < EXAMPLES_LOOKED_FOR
            )
            for finding in found
        )

    def _count(self, finding: Finding, client: Client, example: str | None) -> None:
        tally = self.findings.get(finding)
        if tally is None:
            if len(self.findings) >= FINDING_LIMIT:
                self.other_findings += 1
                return
            tally = self.findings[finding] = FindingTally()
        tally.count += 1
        tally.clients.add(client)
        if example is not None and len(tally.examples) < EXAMPLE_LIMIT:
            tally.examples[example] = None

    def _note_keys(self, unit: Unit, found: Iterable[Finding]) -> None:
        calls = [
            call
            for call in unit.calls
            if call.spec is not None and b"pubsub" not in call.spec.flags
        ]
        keys = [key for call in calls for key in (*call.keys, *call.touched)]
        in_slots = [finding for finding in found if finding.kind in SLOT_KINDS]
        tally = Tally(1)
        if in_slots:
            tally.broken_cluster = 1
            tally.broken_slotway = int(any(each.slotway is Outcome.BREAKS for each in in_slots))
            self.broken.add(tally)
            # A script that is given no key at all runs anywhere, whatever its keys are called.
            if any(call.touched and not call.places for call in calls):
                tally.broken_cluster = tally.broken_slotway = 0
            touches = any(each.kind is Kind.SCRIPT_TOUCHES for each in in_slots)
            tally.pinnable = (
                0 if touches and not all(map(is_derived, calls)) else tally.broken_slotway
            )
        if keys:
            name = "multi" if unit.is_transaction else _text(unit.calls[0].name)
            watched = unit.watched if unit.is_transaction or name == "watch" else ()
            self.together.note([*keys, *watched], name, tally)


def _is_unknown(call: Call) -> bool:
    """Return whether nobody here knows where the keys of a command stand."""
    return call.spec is None or call.spec.road is Road.ASK_SERVER


@lru_cache(maxsize=1024)
def _text(name: bytes) -> str:
    return printable(name)
