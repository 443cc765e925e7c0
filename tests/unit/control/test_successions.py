"""A replica that becomes a primary has taken over, whatever was between; nobody else has."""

from __future__ import annotations

import time

import pytest
from map_nodes import node

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.successions import Successions

A, B, C = (Address("10.0.0.1", port) for port in (7001, 7002, 7003))


def view(*nodes: Node, owner: int | None = 0) -> Topology:
    return Topology(nodes=nodes, owners=(owner,) * 16384)


FIRST = view(node("a", A), node("b", B, "a"))
TAKEN_OVER = view(node("b", B), node("a", A, "b"))

HISTORIES = {
    "a replica took over": ([FIRST, TAKEN_OVER], A),
    "with a map between in which nobody served": (
        [FIRST, view(node("a", A), node("b", B, "a"), owner=None), TAKEN_OVER],
        A,
    ),
    "and back again": ([FIRST, TAKEN_OVER, FIRST], B),
    "nothing happened": ([FIRST, FIRST], None),
    "the first map is no change": ([TAKEN_OVER], None),
    "slots moved to another primary": (
        [view(node("a", A), node("c", C)), view(node("a", A), node("c", C), owner=1)],
        None,
    ),
}


@pytest.mark.parametrize(("maps", "gone"), HISTORIES.values(), ids=HISTORIES)
def test_whose_place_was_taken(maps: list[Topology], gone: Address | None) -> None:
    before_s = time.monotonic()
    successions = Successions()

    for each in maps:
        successions.map_read(each)

    assert successions.since(before_s - 1) == gone
    assert successions.since(time.monotonic() + 1) is None
