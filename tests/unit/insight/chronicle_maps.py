"""Small maps of a cluster for these tests: three shards, and what can become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from map_nodes import node

from proxy.cluster.addresses import Address
from proxy.cluster.map import Topology
from proxy.cluster.slots import SLOT_COUNT

A, B, C = (Address("127.0.0.1", port) for port in (7000, 7001, 7002))
A2, B2, C2 = (Address("127.0.0.1", port) for port in (7003, 7004, 7005))


NODES = (
    node("a", A),
    node("b", B),
    node("c", C),
    node("a2", A2, "a"),
    node("b2", B2, "b"),
    node("c2", C2, "c"),
)
BY_ID = {each.id: index for index, each in enumerate(NODES)}


def whole_map(generation: int = 1, **other: object) -> Topology:
    """Return the map of a cluster that is well, as its first primary sees it."""
    return replace(
        Topology(
            nodes=NODES,
            owners=tuple(slot * 3 // SLOT_COUNT for slot in range(SLOT_COUNT)),
            asked_id="a",
            generation=generation,
        ),
        **other,
    )


def with_owners(topology: Topology, owners: Mapping[int, str | None]) -> Topology:
    """Return the next map, in which some slots belong to others."""
    changed = list(topology.owners)
    for slot, name in owners.items():
        changed[slot] = None if name is None else BY_ID[name]
    return replace(topology, owners=tuple(changed), generation=topology.generation + 1)


def with_failover(topology: Topology, old: str, new: str) -> Topology:
    """Return the next map, in which a replica has all slots of its failed primary."""
    nodes = tuple(
        replace(each, failed=True)
        if each.id == old
        else replace(each, is_primary=True, primary_id=None)
        if each.id == new
        else each
        for each in topology.nodes
    )
    owners = tuple(BY_ID[new] if owner == BY_ID[old] else owner for owner in topology.owners)
    return replace(topology, nodes=nodes, owners=owners, generation=topology.generation + 1)
