"""Judge every reply by itself: is there one, is it of its command's form, is the error expected?"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from error_kinds import kind_of_error
from history import ClientLog, History, Record, Refusal, Reply

from judging.findings import Finding, Kind


def _is_bytes_or_nil(reply: Reply, record: Record) -> bool:
    return reply is None or isinstance(reply, bytes)


def _is_count(reply: Reply, record: Record) -> bool:
    return isinstance(reply, int) and reply >= 0


def _is_ok(reply: Reply, record: Record) -> bool:
    return reply == b"OK"


def _is_own_value(reply: Reply, record: Record) -> bool:
    return reply in (record.value, [b"pong", record.value])


def _is_row(reply: Reply, record: Record) -> bool:
    return isinstance(reply, list) and len(reply) == len(record.keys)


def _is_pop(reply: Reply, record: Record) -> bool:
    return reply is None or (isinstance(reply, list) and reply[:1] == list(record.keys))


def _is_list(reply: Reply, record: Record) -> bool:
    return isinstance(reply, list)


FORMS: dict[str, Callable[[Reply, Record], bool]] = {
    "APPEND": _is_count,
    "BLPOP": _is_pop,
    "ECHO": _is_own_value,
    "EXEC": _is_list,
    "GET": _is_bytes_or_nil,
    "INCR": _is_count,
    "LRANGE": _is_list,
    "MGET": _is_row,
    "MSET": _is_ok,
    "PING": _is_own_value,
    "PUBLISH": _is_count,
    "RPUSH": _is_count,
    "SET": _is_ok,
    "WAIT": _is_count,
}


def judge_answers(
    history: History, expected: Container[str], *, may_close: bool
) -> Iterator[Finding]:
    """Look at every request's end.

    Args:
        expected: The kinds of errors (``error_kinds``) that this fault may bring.
        may_close: Connections of clients may end under this fault.
    """
    for log in history.logs:
        yield from (Finding(Kind.ORDER, log.name, oddity) for oddity in log.oddities)
        if log.closed_at and not may_close:
            text = f"{len(log.closed_at)} times its connection ended"
            yield Finding(Kind.CLOSED, log.name, text)
        for record in log.records:
            yield from _judge_record(log, record, () if log.only_reads else expected)


def _judge_record(log: ClientLog, record: Record, expected: Container[str]) -> Iterator[Finding]:
    where = f"{record.command} (request {record.number})"
    if record.is_open:
        yield Finding(Kind.STUCK, log.name, f"{where} was never answered")
    elif isinstance(record.reply, Refusal):
        if kind_of_error(record.reply) not in expected:
            yield Finding(Kind.ERROR, log.name, f"{where}: {record.reply}")
    elif record.is_acknowledged and not _fits(record):
        yield Finding(Kind.ORDER, log.name, f"{where}: {record.reply!r}")


def _fits(record: Record) -> bool:
    if record.value and not record.keys:  # it says itself what its reply must be
        return _is_own_value(record.reply, record)
    return FORMS[record.command.removeprefix("LAST ")](record.reply, record)
