"""A slot on its way: all its keys, whatever moves while the two nodes are asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_cluster import FakeCluster, key_slot

from proxy.cluster.topology import Node
from proxy.commands.scan_cursor import ScanOptions
from proxy.control.open_slot import (
    OpenSlot,
    Refused,
    SlotHasMoved,
    find_open_slot,
    read_keys,
    read_matching_keys,
)
from proxy.control.own_slots import OwnSlots
from proxy.resp.encode import error

KEYS = [b"{tag}:%d" % n for n in range(30)]
SLOT = key_slot(b"tag")


@pytest.fixture
def cluster() -> FakeCluster:
    """Return a cluster in which a third of the slot's keys have moved."""
    cluster = FakeCluster()
    cluster.put(*KEYS)
    source = cluster.owner(SLOT)
    cluster.open_slot(SLOT, next(server for server in cluster.servers if server is not source))
    cluster.move_keys(SLOT, 10)
    return cluster


def opened(cluster: FakeCluster) -> OpenSlot:
    source = cluster.owner(SLOT)

    def node(node_id: str) -> Node:
        found = cluster.topology.node_by_id(node_id)
        assert found is not None
        return found

    return OpenSlot(SLOT, node(source.id), node(source.migrating[SLOT]))


def at_call(cluster: FakeCluster, number: int, act: Callable[[], object]) -> None:
    """Have something happen just before one of the calls."""
    cluster.before_each_call = lambda: act() and None if cluster.calls == number else None


def test_keys_of_both_nodes_come_once(cluster: FakeCluster) -> None:
    found = cluster.run(read_keys, opened(cluster))

    assert sorted(found) == sorted(KEYS)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_keys_that_move_meanwhile_are_found(cluster: FakeCluster, call: int) -> None:
    at_call(cluster, call, lambda: cluster.move_keys(SLOT, 15))

    found = cluster.run(read_keys, opened(cluster))

    assert sorted(found) == sorted(KEYS)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_nothing_is_certain_once_the_migration_was_called_off(
    cluster: FakeCluster, call: int
) -> None:
    at_call(cluster, call, lambda: cluster.move_keys_back(SLOT))

    with pytest.raises(SlotHasMoved):
        cluster.run(read_keys, opened(cluster))


def test_a_node_that_refuses_is_named(cluster: FakeCluster) -> None:
    cluster.handlers[b"CLUSTER"] = lambda *_: error(b"NOPERM no CLUSTER for you")

    refused = cluster.run(read_keys, opened(cluster))

    assert refused == Refused(opened(cluster).source, b"-NOPERM no CLUSTER for you\r\n")


def test_pattern_and_type_are_looked_at_here(cluster: FakeCluster) -> None:
    cluster.put(b"{tag}:list", b"{tag}:list2", type_name=b"list")
    cluster.move_keys(SLOT, 20)

    found = cluster.run(
        read_matching_keys, opened(cluster), ScanOptions(pattern=b"*list*", type_name=b"list")
    )

    assert sorted(found) == [b"{tag}:list", b"{tag}:list2"]


@pytest.mark.parametrize("call", [4, 5])
def test_a_key_that_moves_before_its_type_is_asked_is_kept(cluster: FakeCluster, call: int) -> None:
    at_call(cluster, call, lambda: cluster.move_keys(SLOT, 15))

    found = cluster.run(read_matching_keys, opened(cluster), ScanOptions())

    assert sorted(found) == sorted(KEYS)


def test_what_has_expired_or_was_deleted_is_left_out(cluster: FakeCluster) -> None:
    target = cluster.by_id(opened(cluster).target.id)
    gone = next(iter(target.types))
    at_call(cluster, 4, lambda: target.types.pop(gone))

    found = cluster.run(read_matching_keys, opened(cluster), ScanOptions())

    assert sorted(found) == sorted(set(KEYS) - {gone})


def test_a_slot_that_arrived_before_the_types_were_asked_is_asked_for_again(
    cluster: FakeCluster,
) -> None:
    slot = opened(cluster)
    at_call(cluster, 4, lambda: cluster.let_go(SLOT, cluster.hand_over(SLOT)))

    with pytest.raises(SlotHasMoved):
        cluster.run(read_matching_keys, slot, ScanOptions())


def test_a_slot_that_nobody_gives_away_is_not_open(cluster: FakeCluster) -> None:
    source = opened(cluster).source

    with pytest.raises(SlotHasMoved):
        find_open_slot(SLOT, source, OwnSlots(ranges=((0, 16383),)), cluster)
    with pytest.raises(SlotHasMoved):
        find_open_slot(SLOT, source, OwnSlots(migrating={SLOT: "not in the map"}), cluster)
