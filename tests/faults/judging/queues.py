"""Judge lists that one client fills and another empties: each item once, in order.

A pop whose outcome is unknown may have taken an item with it; so may one that waited at a server
that was lost, for nobody can tell whether it died before it popped (docs/differences.md). A pop
that a replica never heard of may bring its item twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from history import History, Record
from workload.values import writer_of

from judging.findings import Finding, Kind

Taken = list[tuple[bytes, Record]]


def judge_queues(history: History) -> Iterator[Finding]:
    """Compare what was pushed onto each list with what came out of it."""
    pushed: dict[bytes, dict[bytes, Record]] = {}
    taken: dict[bytes, Taken] = {}
    for _log, record in history.all_records():
        if record.command == "RPUSH":
            pushed.setdefault(record.keys[0], {})[record.value] = record
    for _log, record in history.all_records():
        if record.command in ("BLPOP", "LAST LRANGE") and isinstance(record.reply, list):
            items = record.reply[1:] if record.command == "BLPOP" else record.reply
            found = [(item, record) for item in items if isinstance(item, bytes)]
            taken.setdefault(record.keys[0], []).extend(found)
    for key, items in pushed.items():
        yield from _judge_items(key, items, taken.get(key, []), history)
        lost_pops = history.count(
            "BLPOP", key, lambda record: record.is_unknown or history.is_cut(record)
        )
        yield from _judge_rest(key, items, taken.get(key, []), lost_pops, history)


def _judge_items(
    key: bytes, pushed: dict[bytes, Record], taken: Taken, history: History
) -> Iterator[Finding]:
    first: dict[bytes, Record] = {}
    for item, pop in taken:
        push = pushed.get(item)
        if push is None:
            yield Finding(Kind.FOREIGN, repr(key), f"{item!r} was pushed by nobody")
        elif push.is_refused:
            yield Finding(Kind.GHOST, repr(key), f"{item!r} was refused: {push.reply}")
        elif item in first and not history.is_excused(first[item]):
            yield Finding(Kind.DOUBLED, repr(key), f"{item!r} was taken twice")
        first.setdefault(item, pop)
    # A pop that ended in vain may have been served all the same: its item goes back to the front,
    # and what was taken meanwhile is ahead of it.
    put_back = history.count("BLPOP", key, lambda record: record.is_refused)
    for (item, pop), (successor, _) in pairwise(taken):
        known = [pushed[each] for each in (item, successor) if each in pushed]
        is_certain = len(known) == 2 and not any(push.is_unknown for push in known)
        one, two = writer_of(item), writer_of(successor)
        if is_certain and one and two and one > two and not history.is_excused(pop):
            put_back -= 1
            if put_back >= 0:
                continue
            yield Finding(Kind.SEQUENCE, repr(key), f"{successor!r} came after {item!r}")


def _judge_rest(
    key: bytes, pushed: dict[bytes, Record], taken: Taken, lost_pops: int, history: History
) -> Iterator[Finding]:
    there = {item for item, _ in taken}
    missing = [
        item
        for item, push in pushed.items()
        if push.is_acknowledged and item not in there and not history.is_excused(push)
    ]
    if len(missing) > lost_pops:
        text = f"{len(missing)} items are missing, {missing[:3]!r}, with {lost_pops} lost pops"
        yield Finding(Kind.LOST, repr(key), text)
