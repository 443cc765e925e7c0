"""What is left of a reply once everything is taken out that may differ: two views are compared.

Strategy: a view is a function from a parsed reply to any value with ``==``. Each
leaves out as little as it can, and keeps the types.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from differential.wire import Frame, parse_whole

View = Callable[[Frame], object]


def _each(view: View, frame: Frame) -> list[object] | None:
    """Return the views of an aggregate's elements; None: it is null, or none."""
    return None if frame.items is None else [view(item) for item in frame.items]


def exact(frame: Frame) -> object:
    """Nothing may differ."""
    return (frame.kind, frame.text, _each(exact, frame))


def kind(frame: Frame) -> object:
    """Only the type counts."""
    return frame.kind


def shape(frame: Frame) -> object:
    """Only types and counts count."""
    return (frame.kind, _each(shape, frame))


def is_null(frame: Frame) -> object:
    """Only whether there is something counts."""
    return (frame.kind, frame.text == b"(null)")


def unordered(frame: Frame) -> object:
    """Elements may come in any order, on all levels."""
    if frame.items is None:
        return exact(frame)
    items = list(map(unordered, frame.items))
    if frame.kind == b"%":
        items = list(zip(items[::2], items[1::2], strict=True))
    return (frame.kind, sorted(items, key=repr))


def unordered_pairs(frame: Frame) -> object:
    """Names and values alternate, RESP2's map; the pairs may come in any order."""
    if frame.kind != b"*" or frame.items is None or len(frame.items) % 2:
        return unordered(frame)
    items = list(map(unordered, frame.items))
    return sorted(zip(items[::2], items[1::2], strict=True), key=repr)


def page(of: View) -> View:
    """Return a view of a reply with a cursor; a page that is not the whole is compared loosely."""

    def view(frame: Frame) -> object:
        if frame.items is None or len(frame.items) != 2:
            return exact(frame)
        cursor, items = frame.items
        return of(items) if cursor.text == b"0" else shape(frame)

    return view


def about(tolerance: int) -> View:
    """Return a view of integers, alone or in arrays, that differ by less than ``tolerance``."""

    def view(frame: Frame) -> object:
        if frame.kind == b":" and int(frame.text) > 0:
            return _About(int(frame.text), tolerance)
        return (frame.kind, frame.text, _each(view, frame))

    return view


class _About:
    def __init__(self, number: int, tolerance: int) -> None:
        self._number, self._tolerance = number, tolerance

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _About) and abs(self._number - other._number) < self._tolerance

    __hash__ = None  # type: ignore[assignment]


def without(*names: bytes) -> View:
    """Return a view that leaves out the values after these names, on all levels."""

    def view(frame: Frame) -> object:
        if frame.items is None:
            return exact(frame)
        items = [view(item) for item in frame.items]
        for place, item in enumerate(frame.items[:-1]):
            if item.text in names:
                items[place + 1] = "left out"
        return (frame.kind, items)

    return view


def without_times(frame: Frame) -> object:
    """Leave out integers that can only be a time in milliseconds, and idle times by name."""
    if frame.kind == b":" and int(frame.text) > 10**12:
        return "a time"
    if frame.items is None:
        return exact(frame)
    items = [without_times(item) for item in frame.items]
    for place, item in enumerate(frame.items[:-1]):
        if item.text in (b"idle", b"inactive"):
            items[place + 1] = "a time"
    return (frame.kind, items)


def without_third_of_each(frame: Frame) -> object:
    """Leave out the third element of every element."""
    if frame.items is None or not all(item.items for item in frame.items):
        return exact(frame)
    return [
        [exact(field) for place, field in enumerate(item.items or ()) if place != 2]
        for item in frame.items
    ]


def without_costs(frame: Frame) -> object:
    """Leave out of a client's description what belongs to that very connection.

    And libraries without a name: Redis 7.0 does not have these fields yet.
    """
    text = re.sub(rb"\b(%b)=\S+" % b"|".join(_OF_ONE_CONNECTION), b"", frame.text)
    return (frame.kind, re.sub(rb" lib-(name|ver)=(?!\S)", b"", text))


_OF_ONE_CONNECTION = (
    b"id addr laddr fd age idle qbuf qbuf-free argv-mem multi-mem rbs rbp tot-mem"
    b" tot-net-in tot-net-out tot-cmds"
).split()


def info_field_names(reply: bytes) -> list[bytes]:
    """Return the names of an INFO answer, without those that come with traffic."""
    return [
        line.partition(b":")[0]
        for line in parse_whole(reply).text.split(b"\r\n")
        if not line.startswith((b"cmdstat_", b"errorstat_", b"latency_percentiles_usec_", b"db0:"))
    ]


def size(frame: Frame) -> object:
    """Only type and length count."""
    return (frame.kind, len(frame.text))
