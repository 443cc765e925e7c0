"""Judge what only INCR changes: too low is lost, too high is doubled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from history import ClientLog, History

from judging.bounds import Bounds
from judging.findings import Finding, Kind


def judge_counters(history: History) -> Iterator[Finding]:
    """Compare every reply of INCR, and the value at the end, with what was asked before."""
    for log in history.logs:
        yield from _judge_log(log, history)


def _judge_log(log: ClientLog, history: History) -> Iterator[Finding]:
    books: dict[bytes, Bounds] = defaultdict(lambda: Bounds(history))
    last: dict[bytes, int] = defaultdict(int)
    for record in log.records:
        if record.command == "INCR":
            (key,) = record.keys
            bounds = books[key]
            if record.is_acknowledged and isinstance(record.reply, int):
                floor = bounds.firm if bounds.soft else max(bounds.firm, last[key])
                yield from _compare(log, key, record.reply, floor + 1, bounds.most + 1)
                last[key] = record.reply
            bounds.note(record)
        elif record.command == "LAST GET" and record.keys[0] in books:
            (key,) = record.keys
            if record.reply is None or isinstance(record.reply, bytes):
                found = int(record.reply or 0)
                yield from _compare(log, key, found, books[key].firm, books[key].most)


def _compare(log: ClientLog, key: bytes, found: int, low: int, high: int) -> Iterator[Finding]:
    if not low <= found <= high:
        kind = Kind.LOST if found < low else Kind.DOUBLED
        yield Finding(kind, log.name, f"counter {key!r} is {found}, not {low}..{high}")
