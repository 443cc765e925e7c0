"""Judge keys that are set and read: whose value it is, and how old it may be.

Strategy: a key has one writer. What the writer reads itself must be what it last set, in the order
in which it asked. What others read may be no older than what was acknowledged before they asked,
and nothing that was sent after they were answered. A write of which nobody knows whether it ran
may take effect whenever it likes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from history import ClientLog, History, Record, Reply
from workload.values import writer_of

from judging.findings import Finding, Kind

WRITES = ("SET", "MSET", "EXEC")


@dataclass
class Register:
    """One key and all writes to it."""

    owner: ClientLog
    by_value: dict[bytes, Record] = field(default_factory=dict)
    firm_numbers: list[int] = field(default_factory=list)
    """Of the writes that must be there, in order."""
    firm_times: list[float] = field(default_factory=list)
    """When each of them was acknowledged."""

    def newest_before(self, reader: ClientLog, read: Record) -> int:
        """Return the number of the newest write that this read must see; -1: none."""
        if reader is self.owner:
            place = bisect_left(self.firm_numbers, read.number)
        else:
            place = bisect_left(self.firm_times, read.sent_at)
        return self.firm_numbers[place - 1] if place else -1


def judge_registers(history: History) -> Iterator[Finding]:
    """Compare every value that was read with the writes to its key."""
    registers = _registers_of(history)
    for log, record in history.all_records():
        for key, value in _values_read(record):
            if key in registers:
                yield from _judge_read(registers[key], log, record, key, value)


def _registers_of(history: History) -> dict[bytes, Register]:
    registers: dict[bytes, Register] = {}
    for log, record in history.all_records():
        if record.command not in WRITES:
            continue
        for key in record.keys:
            register = registers.setdefault(key, Register(log))
            register.by_value[record.value] = record
            if record.is_acknowledged and not history.is_excused(record):
                assert record.answered_at is not None
                register.firm_numbers.append(record.number)
                register.firm_times.append(record.answered_at)
    return registers


def _values_read(record: Record) -> Iterator[tuple[bytes, Reply]]:
    """Return each key that a request read with what it found there."""
    command = record.command.removeprefix("LAST ")
    reply = record.reply
    if command == "GET" and (reply is None or isinstance(reply, bytes)) and record.is_acknowledged:
        yield from ((key, reply) for key in record.keys)
    elif command == "MGET" and isinstance(reply, list) and len(reply) == len(record.keys):
        yield from zip(record.keys, reply, strict=True)


def _judge_read(
    register: Register, reader: ClientLog, read: Record, key: bytes, value: Reply
) -> Iterator[Finding]:
    written = register.by_value.get(value) if isinstance(value, bytes) else None
    where = f"{read.command} {key!r} (request {read.number}): {value!r}"
    if value is not None and written is None:
        whose = writer_of(value)
        by = f"by {whose[0]}" if whose else "by nobody"
        yield Finding(Kind.FOREIGN, reader.name, f"{where}, written {by}")
        return
    number = -1 if written is None else written.number
    newest = register.newest_before(reader, read)
    if written is not None and written.is_refused:
        yield Finding(Kind.GHOST, reader.name, f"{where} was refused: {written.reply}")
    elif written is not None and _is_from_the_future(register, reader, read, written):
        yield Finding(Kind.SEQUENCE, reader.name, f"{where} was sent only later")
    elif number < newest and not (written is not None and written.is_unknown):
        kind = Kind.LOST if read.command.startswith("LAST ") else Kind.SEQUENCE
        yield Finding(kind, reader.name, f"{where}, but write {newest} was acknowledged before")


def _is_from_the_future(
    register: Register, reader: ClientLog, read: Record, written: Record
) -> bool:
    if reader is register.owner:
        return written.number > read.number
    return read.answered_at is not None and written.sent_at > read.answered_at
