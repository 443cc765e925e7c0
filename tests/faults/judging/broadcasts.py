"""Judge what subscribers hear: said on their channel, in order, at most once.

Messages are not kept by any server: while a node is away they may go missing. Apart from the
fault, whatever a server counted a receiver for must be heard. What a server had taken when it
hung, and nobody knows of, it may still say when it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

from history import ClientLog, History, Record

from judging.findings import Finding, Kind


def judge_broadcasts(history: History) -> Iterator[Finding]:
    """Compare what each subscriber heard with what was said."""
    said: dict[bytes, Record] = {
        record.value: record for _, record in history.all_records() if record.command == "PUBLISH"
    }
    for log in history.logs:
        yield from _judge_heard(log, said)
        yield from _judge_missed(log, said, history)


def _judge_heard(log: ClientLog, said: dict[bytes, Record]) -> Iterator[Finding]:
    newest = -1
    heard: set[bytes] = set()
    for message in log.messages:
        record = said.get(message.value)
        if record is None or message.channel not in record.keys:
            text = f"{message.value!r} was never said on {message.channel!r}"
            yield Finding(Kind.FOREIGN, log.name, text)
        elif record.is_refused:
            yield Finding(Kind.GHOST, log.name, f"{message.value!r} was refused: {record.reply}")
        elif message.value in heard:
            yield Finding(Kind.DOUBLED, log.name, f"{message.value!r} was heard twice")
        elif record.number < newest and not record.is_unknown:
            yield Finding(Kind.SEQUENCE, log.name, f"{message.value!r} came after {newest}")
        else:
            newest = max(newest, record.number)
        heard.add(message.value)


def _judge_missed(log: ClientLog, said: dict[bytes, Record], history: History) -> Iterator[Finding]:
    if not log.messages or log.closed_at:
        return
    heard = {message.value for message in log.messages}
    numbers = [said[value].number for value in heard if value in said]
    for value, record in said.items():
        is_between = min(numbers) < record.number < max(numbers)
        had_receiver = isinstance(record.reply, int) and record.reply > 0
        if is_between and had_receiver and value not in heard and not history.is_disturbed(record):
            yield Finding(Kind.LOST, log.name, f"{value!r} had a receiver and was not heard")
