"""Where a node's number leads."""

from __future__ import annotations

import dataclasses

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT
from proxy.tracing.places import Places
from proxy.tracing.spans import Place


def node(name: str) -> Node:
    return Node(name, Address(name, 7000), True, None, 1, False, True)


A, B = node("a"), node("b")
HALVES = Topology((A, B), (0,) * 8192 + (1,) * 8192)


def test_a_number_leads_to_an_address_and_a_shard() -> None:
    places = Places({0: A.address, 1: B.address}.get, lambda: HALVES)

    assert places(0) == Place(A.address, "0-8191")
    assert places(1) == Place(B.address, "8192-16383")
    assert places(2) is None


def test_a_node_without_slots_or_before_any_map_has_no_shard() -> None:
    elsewhere = Address("c", 7000)

    assert Places({0: elsewhere}.get, lambda: HALVES)(0) == Place(elsewhere, "")
    assert Places({0: elsewhere}.get, lambda: None)(0) == Place(elsewhere, "")


def test_a_new_map_is_looked_at() -> None:
    maps = [HALVES]
    places = Places({0: A.address}.get, lambda: maps[-1])
    places(0)

    maps.append(dataclasses.replace(HALVES, owners=(1,) + (0,) * (SLOT_COUNT - 1)))

    assert places(0) == Place(A.address, "1-16383")


def test_of_many_ranges_a_few_are_told() -> None:
    striped = dataclasses.replace(HALVES, owners=(0, 1) * (SLOT_COUNT // 2))

    assert Places({0: A.address}.get, lambda: striped)(0) == Place(A.address, "0,2,4,...")
