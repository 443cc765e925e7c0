"""KEYS and DBSIZE while slots move: every key once."""

from __future__ import annotations

from itertools import islice

import pytest
from fake_cluster import TIMEOUT_S, FakeCluster, FakeServer, key_slot
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.control.keyspace import dbsize, keys
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import array, bulk, integer

TAGS = [b"a", b"b"]
KEYS = [b"{%b}:%d" % (tag, n) for tag in TAGS for n in range(12)]


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.put(*KEYS)
    return cluster


def open_everything(cluster: FakeCluster, limit: int = 5) -> None:
    """Have the slot of every key on its way, some of its keys moved."""
    for tag in TAGS:
        source = cluster.owner(key_slot(tag))
        cluster.open_slot(key_slot(tag), cluster.servers[cluster.servers.index(source) - 1])
        cluster.move_keys(key_slot(tag), limit)


def all_keys(cluster: FakeCluster, pattern: bytes = b"*") -> list[bytes]:
    return sorted(decode(cluster.run(keys, [b"KEYS", pattern])))


def test_in_a_quiet_cluster_the_arrays_are_joined_as_they_are(cluster: FakeCluster) -> None:
    for server in cluster.servers:
        server.types = {}
    cluster.servers[1].types = {b"\r\n$": b"string"}
    cluster.handlers[b"KEYS"] = lambda server, _: array([bulk(key) for key in server.types])

    assert cluster.run(keys, [b"KEYS", b"*"]) == b"*1\r\n$3\r\n\r\n$\r\n"


def test_no_slot_is_asked_for_when_none_is_open(cluster: FakeCluster) -> None:
    assert all_keys(cluster) == sorted(KEYS)
    assert cluster.run(dbsize) == integer(len(KEYS))
    assert cluster.calls == 6


def test_a_pattern_with_a_hash_tag_asks_one_node_only(cluster: FakeCluster) -> None:
    assert all_keys(cluster, b"{a}:?") == [b"{a}:%d" % n for n in range(10)]
    assert [server for server in cluster.servers if server.log] == [cluster.owner(key_slot(b"a"))]


def test_keys_on_both_sides_of_open_slots_come_once(cluster: FakeCluster) -> None:
    open_everything(cluster)

    assert all_keys(cluster) == sorted(KEYS)
    assert all_keys(cluster, b"*:1") == sorted(key for key in KEYS if key.endswith(b":1"))
    assert all_keys(cluster, b"{a}:1*") == [b"{a}:1", b"{a}:10", b"{a}:11"]
    assert cluster.run(dbsize) == integer(len(KEYS))


def test_a_key_that_is_on_both_nodes_for_a_moment_counts_once(cluster: FakeCluster) -> None:
    """MIGRATE stores it at the target before it deletes it at the source."""
    slot = key_slot(b"a")
    source = cluster.owner(slot)
    target = next(server for server in cluster.servers if server is not source)
    cluster.open_slot(slot, target)
    target.types[b"{a}:1"] = b"string"

    assert cluster.run(dbsize) == integer(len(KEYS))
    assert all_keys(cluster) == sorted(KEYS)


ACTIONS = ["nothing", "open", "move_keys", "hand_over", "let_go", "move"]


@pytest.mark.parametrize("command", [keys, dbsize])
@settings(max_examples=100, deadline=None)
@given(
    actions=st.lists(
        st.tuples(st.sampled_from(ACTIONS), st.sampled_from(TAGS), st.integers(0, 5)), max_size=40
    )
)
def test_nothing_is_missed_or_counted_twice_while_slots_move(
    command: object, actions: list[tuple[str, bytes, int]]
) -> None:
    cluster = FakeCluster()
    cluster.put(*KEYS)
    todo = iter(actions)
    lagging: dict[int, FakeServer] = {}

    def act() -> None:
        some = list(islice(todo, 3))
        for action in some:
            do(*action)
        if not some:
            for slot in list(lagging):
                cluster.let_go(slot, lagging.pop(slot))

    def do(name: str, tag: bytes, much: int) -> None:
        slot = key_slot(tag)
        owner = cluster.owner(slot)
        match name:
            case "open" if slot not in lagging and slot not in owner.migrating:
                others = [server for server in cluster.servers if server is not owner]
                cluster.open_slot(slot, others[much % 2])
            case "move_keys" if slot in owner.migrating:
                cluster.move_keys(slot, much)
            case "hand_over" if slot in owner.migrating and not lagging:
                lagging[slot] = cluster.hand_over(slot)
            case "let_go" if slot in lagging:
                cluster.let_go(slot, lagging.pop(slot))
            case "move" if slot not in owner.migrating and not lagging:
                cluster.move_slot(slot, cluster.servers[cluster.servers.index(owner) - 1])

    cluster.before_each_call = act

    if command is dbsize:
        assert decode(cluster.run(dbsize)) == len(KEYS)
    else:
        assert all_keys(cluster) == sorted(KEYS)


def test_a_slot_that_nobody_serves_any_more_is_an_error(cluster: FakeCluster) -> None:
    """The map still names an owner, who knows nothing of it."""
    slot = key_slot(b"a")
    owner = cluster.owner(slot)
    cluster.let_go(slot, owner)
    cluster.suspect = lambda: None  # the map stays

    assert cluster.run(keys, [b"KEYS", b"*"]) == replies.never_sent(slot, TIMEOUT_S)
    assert cluster.run(dbsize) == replies.never_sent(slot, TIMEOUT_S)


def test_a_migration_called_off_at_one_end_only_hides_and_doubles_nothing(
    cluster: FakeCluster,
) -> None:
    """The other end goes on importing, and may have copies of keys."""
    slot = key_slot(b"a")
    source = cluster.owner(slot)
    target = next(server for server in cluster.servers if server is not source)
    target.importing[slot] = source.id
    target.types[b"{a}:1"] = b"string"

    assert all_keys(cluster) == sorted(KEYS)
    assert cluster.run(dbsize) == integer(len(KEYS))
