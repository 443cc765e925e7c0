"""The map as a value: patches, translations, and which of two maps is right."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import supersedes


def primary(name: str, epoch: int = 1) -> Node:
    return Node(
        id=name,
        address=Address(name, 7000),
        is_primary=True,
        primary_id=None,
        config_epoch=epoch,
        failed=False,
        link_up=True,
    )


def replica(name: str, of: str, epoch: int = 1) -> Node:
    return dataclasses.replace(primary(name, epoch), is_primary=False, primary_id=of)


def a_map(
    *nodes: Node, owned: tuple[int, ...] = (0,), asked: str = "", serving: bool = True
) -> Topology:
    """Return a map in which the nodes of these indexes own equal shares of the slots."""
    owners = (
        tuple(owned[slot * len(owned) // SLOT_COUNT] for slot in range(SLOT_COUNT))
        if owned
        else (None,) * SLOT_COUNT
    )
    return Topology(nodes=nodes, owners=owners, asked_id=asked, is_serving=serving)


THREE = a_map(primary("a", 1), primary("b", 2), primary("c", 3), replica("r", "a"), owned=(0, 1, 2))


@given(st.lists(st.sampled_from([None, 0, 1]), min_size=1, max_size=40))
def test_ranges_cover_what_is_owned_and_nothing_else(pattern: list[int | None]) -> None:
    owners = tuple(pattern[slot * len(pattern) // SLOT_COUNT] for slot in range(SLOT_COUNT))
    topology = Topology(nodes=(primary("a"), primary("b")), owners=owners)

    again: list[Node | None] = [None] * SLOT_COUNT
    for first, last, node in topology.ranges():
        again[first : last + 1] = [node] * (last + 1 - first)
    assert again == [topology.owner(slot) for slot in range(SLOT_COUNT)]
    assert topology.covered_slots == sum(node is not None for node in again)


def test_preferred_endpoints_and_the_address_map_change_addresses_only() -> None:
    preferred = THREE.with_endpoints({"a": Address("a.example", 6379)})
    reached = preferred.with_address_map(
        AddressMap.parse({"a.example:6379": "127.0.0.1:1", "b": "gateway"})
    )

    assert [str(node.address) for node in reached.nodes] == [
        "127.0.0.1:1",
        "gateway:7000",
        "c:7000",
        "r:7000",
    ]
    assert reached.owners == THREE.owners


def test_an_added_primary_is_empty_until_it_gets_a_slot() -> None:
    grown = a_map(primary("a"), primary("new"), replica("r", "a"))

    assert grown.empty_primaries == (primary("new"),)
    assert grown.primaries == (primary("a"),)


def test_a_map_owns_every_slot_or_says_who_does_not() -> None:
    with pytest.raises(ValueError, match="16384"):
        Topology(nodes=(), owners=(None,))


OLD = a_map(primary("a", 5), primary("b", 6), owned=(0, 1))

# New view, map in use, and whether the view should replace it.
VERDICTS = {
    "anything beats nothing": (a_map(primary("a"), owned=(), serving=False), None, True),
    "the same view again": (OLD, OLD, True),
    "a failover": (
        a_map(primary("a", 5), primary("b", 6), primary("r", 7), owned=(2, 1)),
        OLD,
        True,
    ),
    "a lagging node": (
        OLD,
        a_map(primary("a", 5), primary("b", 6), primary("r", 7), owned=(2, 1)),
        False,
    ),
    "a replica fewer at the same epoch": (
        OLD,
        a_map(primary("a", 5), primary("b", 6), replica("r", "a", 5), owned=(0, 1)),
        True,
    ),
    "a node in a minority": (a_map(primary("a", 9), owned=(0,), serving=False), OLD, False),
    "a node that was reset": (a_map(primary("x", 0), owned=(), serving=True), OLD, False),
    "the first that works": (OLD, a_map(primary("a", 9), serving=False), True),
    "two that do not work, by epoch": (
        a_map(primary("a", 5), serving=False),
        a_map(primary("a", 6), serving=False),
        False,
    ),
    "a cluster made anew at the same addresses": (
        a_map(primary("x", 1), primary("y", 2), owned=(0, 1)),
        OLD,
        True,
    ),
    "the newest owner itself says that it was restored": (
        a_map(primary("a", 2), primary("b", 3), owned=(0, 1), asked="b"),
        OLD,
        True,
    ),
    "another says that the newest owner was restored": (
        a_map(primary("a", 2), primary("b", 3), owned=(0, 1), asked="a"),
        OLD,
        False,
    ),
    "an empty primary with a high epoch was forgotten": (
        OLD,
        a_map(primary("a", 5), primary("b", 6), primary("empty", 9), owned=(0, 1)),
        True,
    ),
}


def dead(name: str, epoch: int) -> Node:
    return dataclasses.replace(primary(name, epoch), failed=True, link_up=False)


VERDICTS |= {
    "an importing node that still names a dead primary": (
        a_map(dead("a", 5), primary("b", 6), owned=(0, 1)),
        a_map(primary("a", 5), primary("b", 6), owned=(1,)),
        False,
    ),
    "a primary died and nobody took its place": (
        a_map(dead("a", 5), primary("b", 6), owned=(0, 1)),
        OLD,
        True,
    ),
    "a primary died, and so had the one before": (
        a_map(dead("a", 5), dead("b", 6), owned=(0,)),
        a_map(primary("a", 5), primary("b", 5), owned=(1,)),
        True,
    ),
}


@pytest.mark.parametrize(("new", "current", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_a_view_replaces_the_map_only_if_it_is_not_older(
    new: Topology, current: Topology | None, verdict: bool
) -> None:
    assert supersedes(new, current) is verdict
