"""Judge what only APPEND changes, with numbered records: the order of effects, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from history import ClientLog, History, Record

from judging.bounds import Bounds
from judging.findings import Finding, Kind

RECORD_BYTES = 8


def judge_journals(history: History) -> Iterator[Finding]:
    """Compare the lengths that APPEND returns, and every record that is there at the end."""
    for log in history.logs:
        written: dict[bytes, list[Record]] = defaultdict(list)
        for record in log.records:
            if record.command == "APPEND":
                written[record.keys[0]].append(record)
        for key, records in written.items():
            yield from _judge_lengths(log, key, records, history)
        for record in log.records:
            if record.command == "LAST GET" and record.keys[0] in written:
                yield from _judge_text(log, record, written[record.keys[0]], history)


def explained_losses(history: History) -> int:
    """Return how many acknowledged records are gone with a server that had not passed them on."""
    gone = 0
    for log in history.logs:
        for last in log.records:
            if last.command == "LAST GET" and isinstance(last.reply, bytes):
                there = set(_pieces(last.reply))
                gone += sum(
                    record.value not in there and history.is_excused(record)
                    for record in log.records
                    if record.command == "APPEND"
                    and record.keys == last.keys
                    and record.is_acknowledged
                )
    return gone


def _judge_lengths(
    log: ClientLog, key: bytes, records: list[Record], history: History
) -> Iterator[Finding]:
    bounds = Bounds(history)
    for record in records:
        if record.is_acknowledged and isinstance(record.reply, int):
            low, high = bounds.firm + 1, bounds.most + 1
            if not low <= record.reply / RECORD_BYTES <= high:
                kind = Kind.LOST if record.reply < low * RECORD_BYTES else Kind.DOUBLED
                text = f"journal {key!r} has {record.reply} bytes, not {low}..{high} records"
                yield Finding(kind, log.name, text)
        bounds.note(record)


def _judge_text(
    log: ClientLog, last: Record, records: list[Record], history: History
) -> Iterator[Finding]:
    if last.reply is not None and not isinstance(last.reply, bytes):
        return
    key = last.keys[0]
    by_text = {record.value: record for record in records}
    seen: set[bytes] = set()
    newest = -1
    for piece in _pieces(last.reply or b""):
        record = by_text.get(piece)
        if record is None:
            yield Finding(Kind.FOREIGN, log.name, f"journal {key!r} holds {piece!r}")
        elif piece in seen:
            yield Finding(Kind.DOUBLED, log.name, f"journal {key!r} holds {piece!r} twice")
        elif record.is_refused:
            yield Finding(Kind.GHOST, log.name, f"{piece!r} was refused: {record.reply}")
        elif record.number < newest and not record.is_unknown:
            yield Finding(
                Kind.SEQUENCE, log.name, f"journal {key!r}: {piece!r} after its successor"
            )
        else:
            newest = max(newest, record.number)
        seen.add(piece)
    for record in records:
        is_gone = record.is_acknowledged and record.value not in seen
        if is_gone and not history.is_excused(record):
            yield Finding(Kind.LOST, log.name, f"journal {key!r} lacks {record.value!r}")


def _pieces(text: bytes) -> list[bytes]:
    return [text[at : at + RECORD_BYTES] for at in range(0, len(text), RECORD_BYTES)]
