"""Judge transactions that set two keys alike: all or nothing, and what EXEC answers."""

from __future__ import annotations

from collections.abc import Iterator

from history import ClientLog, History, Record

from judging.findings import Finding, Kind


def judge_transactions(history: History) -> Iterator[Finding]:
    """Compare what each EXEC brought, and what its two keys hold in the end."""
    for log in history.logs:
        pairs = {record.keys for record in log.records if record.command == "EXEC"}
        for record in log.records:
            if record.command == "EXEC" and record.is_acknowledged:
                yield from _judge_exec(log, record)
        for pair in pairs:
            held = [_last_value(log, key) for key in pair]
            if len({reply for reply in held if reply is not Ellipsis}) > 1:
                yield Finding(Kind.ATOMICITY, log.name, f"{pair!r} hold {held!r}")


def _judge_exec(log: ClientLog, record: Record) -> Iterator[Finding]:
    wanted = [b"OK", b"OK", record.value, record.value]
    if record.reply != wanted:
        text = f"EXEC (request {record.number}): {record.reply!r}, not {wanted!r}"
        yield Finding(Kind.ATOMICITY, log.name, text)


def _last_value(log: ClientLog, key: bytes) -> object:
    """Return what the client found in a key at the end; Ellipsis: nothing that says."""
    for record in reversed(log.records):
        if record.command == "LAST GET" and record.keys == (key,) and record.is_acknowledged:
            return record.reply
    return Ellipsis
