"""All judges together: one verdict on one history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from error_kinds import kind_of_error
from history import ClientLog, History, Refusal

from judging.answers import judge_answers
from judging.broadcasts import judge_broadcasts
from judging.counters import judge_counters
from judging.findings import WRONG, Finding, Kind
from judging.journals import explained_losses, judge_journals
from judging.queues import judge_queues
from judging.registers import judge_registers
from judging.transactions import judge_transactions


@dataclass
class Verdict:
    """What a history was, in figures, and what is wrong with it."""

    requests: int
    errors: Counter[str]
    """Error replies, by kind."""
    explained: int
    """Acknowledged writes that went with a server: replication is asynchronous."""
    findings: list[Finding] = field(default_factory=list)

    def count(self, *kinds: Kind) -> int:
        """Return how many findings are of these kinds."""
        return sum(finding.kind in kinds for finding in self.findings)

    @property
    def wrong(self) -> int:
        """Wrong answers."""
        return self.count(*WRONG)


def judge(history: History, expected: Container[str] = (), *, may_close: bool = False) -> Verdict:
    """Judge a history; ``judge_answers`` says what the arguments mean."""
    refusals = [
        record.reply for _, record in history.all_records() if isinstance(record.reply, Refusal)
    ]
    findings = [
        *judge_answers(history, expected, may_close=may_close),
        *judge_registers(history),
        *judge_counters(history),
        *judge_journals(history),
        *judge_transactions(history),
        *judge_queues(history),
        *judge_broadcasts(history),
    ]
    return Verdict(
        requests=sum(len(log.records) for log in history.logs),
        errors=Counter(map(kind_of_error, refusals)),
        explained=explained_losses(history),
        findings=findings,
    )


def longest_wait_s(log: ClientLog, from_s: float, until_s: float) -> float:
    """Return the longest time a request waited that was open at any moment between these."""
    waits = (
        record.waited_s
        for record in log.records
        if record.answered_at is not None
        and record.answered_at >= from_s
        and record.sent_at <= until_s
        and record.command not in ("BLPOP", "WAIT")
    )
    return max(waits, default=0.0)
