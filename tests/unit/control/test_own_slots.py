"""What a node says of itself in CLUSTER NODES."""

from __future__ import annotations

import re

import pytest

from proxy.control.own_slots import OwnSlots, parse_own_slots
from proxy.errors import BackendProtocolError

A, B = "a" * 40, "b" * 40
OTHER = b"%b 127.0.0.1:7002@17002 master - 0 0 2 connected 9000-16383\n" % B.encode()


def myself(slots: bytes, flags: bytes = b"myself,master") -> bytes:
    return OTHER + b"%b 127.0.0.1:7001@17001,host %b - 0 0 1 connected%b\n" % (
        A.encode(),
        flags,
        slots,
    )


CASES = {
    "one range": (myself(b" 0-8999"), OwnSlots(((0, 8999),))),
    "ranges and single slots": (myself(b" 0-5 7 9-10"), OwnSlots(((0, 5), (7, 7), (9, 10)))),
    "an open slot that leaves": (
        myself(b" 0-5 [5->-%b]" % B.encode()),
        OwnSlots(((0, 5),), {5: B}),
    ),
    "an open slot that comes": (
        myself(b" 0-5 [93-<-%b]" % B.encode()),
        OwnSlots(((0, 5),), {}, frozenset({93})),
    ),
    "no slots": (myself(b""), OwnSlots()),
    "a replica": (myself(b"", b"myself,slave"), OwnSlots()),
    "more flags": (myself(b" 3", b"myself,master,nofailover"), OwnSlots(((3, 3),))),
    "nothing of itself": (OTHER, OwnSlots()),
    "nothing": (b"", OwnSlots()),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_the_line_of_the_node_itself_counts(text: bytes, expected: OwnSlots) -> None:
    assert parse_own_slots(text) == expected


@pytest.mark.parametrize("words", ["1-x", "0-99999999999", "-1", "[16384->-b]"])
def test_a_line_in_another_form_is_quoted(words: str) -> None:
    with pytest.raises(BackendProtocolError, match=re.escape(words)):
        parse_own_slots(myself(b" " + words.encode()))


OWN = OwnSlots(((0, 9), (10, 19), (30, 30)), {5: B, 15: B})


@pytest.mark.parametrize(
    ("slot", "end"), [(0, 5), (4, 5), (5, 5), (6, 15), (16, 20), (20, 20), (30, 31), (31, 31)]
)
def test_a_stretch_ends_where_a_slot_is_open_or_another_nodes(slot: int, end: int) -> None:
    assert OWN.closed_until(slot) == end


def test_open_slots_are_not_closed() -> None:
    assert list(OWN.closed()) == [*range(5), *range(6, 15), *range(16, 20), 30]
