"""Write a view as a reply: maps with the fields' names, which are those of the JSON.

Strategy: what RESP2 has no type for becomes what a server sends there: a map a flat array,
a double a bulk string, a boolean 0 or 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum

from proxy.resp.encode import array, bulk, integer, map_frame, null


def frame_of(value: object, resp: int) -> bytes:
    """Return a view, or a part of one, as a frame.

    Raises:
        TypeError: It has something in it that is no view's.
    """
    match value:
        case None:
            return null(resp)
        case bool():
            return (b"#t\r\n" if value else b"#f\r\n") if resp == 3 else integer(int(value))
        case int():
            return integer(value)
        case float():
            text = repr(round(value, 6)).encode()  # of times, no more than microseconds are exact
            return b",%b\r\n" % text if resp == 3 else bulk(text)
        case bytes():
            return bulk(value)
        case Enum():
            return frame_of(value.value, resp)
        case str():
            return bulk(value.encode("utf-8", "backslashreplace"))
        case tuple():
            return array([frame_of(item, resp) for item in value])
    return frame_of_fields(value, resp)


def frame_of_fields(view: object, resp: int, leave_out: str = "") -> bytes:
    """Return a dataclass as a map, but for one of its fields."""
    if not dataclasses.is_dataclass(view) or isinstance(view, type):
        raise TypeError(f"no view: {view!r}")
    return map_frame(
        [
            (bulk(name.encode()), frame_of(value, resp))
            for name, value in _fields(view)
            if name != leave_out
        ],
        resp,
    )


def _fields(view: object) -> Iterator[tuple[str, object]]:
    assert dataclasses.is_dataclass(view)
    for field in dataclasses.fields(view):
        yield field.name, getattr(view, field.name)
