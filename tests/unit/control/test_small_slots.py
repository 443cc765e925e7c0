"""A small part of a node with one dictionary is read slot by slot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_cluster import FakeCluster, FakeServer, key_slot

from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import Node
from proxy.commands.scan_cursor import ScanOptions
from proxy.control import small_slots
from proxy.control.open_slot import Refused, SlotHasMoved
from proxy.control.scan import scan
from proxy.control.small_slots import SmallSlots, read_small_slots
from proxy.resp.decode import decode
from proxy.resp.encode import error

KEYS = [b"{tag}:%d" % n for n in range(30)]
SLOT = key_slot(b"tag")
AROUND = range(SLOT - 2, SLOT + 3)


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster(has_slot_dicts=False)
    cluster.put(*KEYS)
    return cluster


def owner(cluster: FakeCluster) -> Node:
    node = cluster.topology.owner(SLOT)
    assert node is not None
    return node


def at_call(cluster: FakeCluster, number: int, act: Callable[[], object]) -> None:
    """Have something happen just before one of the calls."""
    cluster.before_each_call = lambda: act() and None if cluster.calls == number else None


def test_slots_are_read_until_there_is_a_page(cluster: FakeCluster) -> None:
    page = cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions(count=5))

    assert page == SmallSlots(KEYS, SLOT + 1)


def test_all_slots_are_read_if_there_are_few_keys(cluster: FakeCluster) -> None:
    page = cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions(count=99))

    assert page == SmallSlots(KEYS, AROUND.stop)


def test_pattern_and_type_are_looked_at_here(cluster: FakeCluster) -> None:
    cluster.put(b"{tag}:list", type_name=b"list")
    options = ScanOptions(count=99, pattern=b"*:*", type_name=b"list")

    page = cluster.run(read_small_slots, owner(cluster), AROUND, options)

    assert page == SmallSlots([b"{tag}:list"], AROUND.stop)


def test_what_expires_meanwhile_is_left_out(cluster: FakeCluster) -> None:
    at_call(cluster, 3, lambda: cluster.owner(SLOT).types.pop(KEYS[0]))

    page = cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions())

    assert page == SmallSlots(KEYS[1:], SLOT + 1)


def moves_away(cluster: FakeCluster) -> None:
    source = cluster.owner(SLOT)
    cluster.move_slot(SLOT, next(server for server in cluster.servers if server is not source))


def opens(cluster: FakeCluster) -> None:
    source = cluster.owner(SLOT)
    cluster.open_slot(SLOT, next(server for server in cluster.servers if server is not source))
    cluster.move_keys(SLOT, 10)


@pytest.mark.parametrize("event", [moves_away, opens])
def test_what_was_read_ends_before_a_slot_that_left(
    cluster: FakeCluster, event: Callable[[FakeCluster], None]
) -> None:
    before = b"{%b}" % next(
        tag for tag in (b"%d" % n for n in range(10**6)) if key_slot(tag) == SLOT - 1
    )
    cluster.put(before)
    at_call(cluster, 2, lambda: event(cluster))

    page = cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions())

    assert page == SmallSlots([before], SLOT)


@pytest.mark.parametrize("event", [moves_away, opens])
@pytest.mark.parametrize("call", [2, 3])
def test_a_first_slot_that_left_is_asked_for_again(
    cluster: FakeCluster, event: Callable[[FakeCluster], None], call: int
) -> None:
    at_call(cluster, call, lambda: event(cluster))

    with pytest.raises(SlotHasMoved):
        cluster.run(read_small_slots, owner(cluster), range(SLOT, SLOT + 1), ScanOptions())


@pytest.mark.parametrize(("limit", "is_read"), [(30, True), (29, False)])
def test_a_large_slot_is_left_to_a_pass(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, limit: int, is_read: bool
) -> None:
    monkeypatch.setattr(small_slots, "KEYS_LIMIT", limit)

    page = cluster.run(read_small_slots, owner(cluster), range(SLOT, SLOT + 1), ScanOptions())

    assert (page is not None) == is_read


def test_a_slot_that_grows_large_meanwhile_is_looked_at_again(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_slots, "KEYS_LIMIT", 30)
    at_call(cluster, 2, lambda: cluster.put(b"{tag}:one more"))

    with pytest.raises(SlotHasMoved):
        cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions())


def test_a_node_that_refuses_is_named(cluster: FakeCluster) -> None:
    cluster.handlers[b"CLUSTER"] = lambda *_: error(b"NOPERM no CLUSTER for you")

    refused = cluster.run(read_small_slots, owner(cluster), AROUND, ScanOptions())

    assert refused == Refused(owner(cluster), b"-NOPERM no CLUSTER for you\r\n")


# As part of a scan


def scans(server: FakeServer) -> int:
    return sum(command[0] == b"SCAN" for command in server.log)


async def scan_all(*, nodes: FakeCluster) -> list[bytes]:
    found: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, keys = decode(await scan([b"SCAN", cursor], nodes=nodes))
        found += keys
        if cursor == b"0":
            return found


def test_a_node_of_many_small_ranges_is_not_read_once_for_each() -> None:
    cluster = FakeCluster(shards=2, has_slot_dicts=False)
    keys = [b"key:%d" % n for n in range(800)]
    _, second = cluster.servers
    for slot in range(0, SLOT_COUNT // 2, 128):
        cluster.move_slot(slot, second)
    cluster.suspect()
    cluster.put(*keys)

    found = cluster.run(scan_all)

    assert sorted(found) == sorted(keys)
    # Some for each of 129 ranges, and few passes: one over either node takes 40.
    assert sum(map(scans, cluster.servers)) < 3 * 129 + 4 * 40


@pytest.mark.parametrize("limit", [10_000, 0])
def test_a_scan_finds_the_same_with_and_without_passes(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(small_slots, "KEYS_LIMIT", limit)
    target = next(server for server in cluster.servers if server is not cluster.owner(SLOT))
    cluster.move_slot(SLOT, target)
    cluster.put(*(b"key:%d" % n for n in range(300)))

    found = cluster.run(scan_all)

    assert sorted(found) == sorted([*KEYS, *(b"key:%d" % n for n in range(300))])
