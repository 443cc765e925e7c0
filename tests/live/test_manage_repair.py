"""``slotway cluster fix`` puts in order what others have left, each provoked on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from slotway_command import slotway

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, RedisNode, engine_version, wait_for
from proxy.embedded.migration import open_slots
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live

KEYS = [b"{fix}:%d" % number for number in range(20)]
SLOT = key_slot(b"{fix}")
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def whole(engine: str) -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster(engine) as running:
        yield running


@pytest.fixture
def manager(whole: EmbeddedCluster) -> Iterator[ClusterManager]:
    whole.flush()
    with ClusterManager(whole.addresses[:1]) as made:
        yield made
        assert made.open_slots() == ()
        info = made.info()
        assert (info.disagreement, info.slots_ok) == (None, 16384)


@pytest.fixture
def owner(whole: EmbeddedCluster, manager: ClusterManager) -> RedisNode:
    """The owner of SLOT, with twenty keys in it."""
    node = whole.primary_for(SLOT)
    for key in KEYS:
        node.call("SET", key, key)
    return node


@pytest.fixture
def other(whole: EmbeddedCluster, owner: RedisNode) -> RedisNode:
    return next(node for node in whole.primaries() if node is not owner)


def node_id(node: RedisNode) -> bytes:
    return node.call_text("CLUSTER", "MYID")


def values(whole: EmbeddedCluster) -> list[bytes]:
    client = redis.RedisCluster(host="127.0.0.1", port=whole.nodes[0].port)
    try:
        return client.mget(KEYS)
    finally:
        client.close()


def migrate(owner: RedisNode, other: RedisNode, keys: list[bytes], *options: str) -> None:
    words = ("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, *options, "KEYS")
    assert owner.call(*words, *keys) == b"OK"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_mark_on_one_side_is_taken_off(
    whole: EmbeddedCluster, manager: ClusterManager, owner: RedisNode, other: RedisNode, side: str
) -> None:
    if side == "source":
        owner.call("CLUSTER", "SETSLOT", SLOT, "MIGRATING", node_id(other))
    else:
        other.call("CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(owner))

    assert "close it" in slotway("fix", "--dry-run", "--seed", whole.addresses[0])
    assert manager.repair().steps

    assert whole.primary_for(SLOT) is owner
    assert values(whole) == KEYS


def test_a_migration_half_done_is_finished(
    whole: EmbeddedCluster, manager: ClusterManager, owner: RedisNode, other: RedisNode
) -> None:
    open_slots([SLOT], owner, other)
    migrate(owner, other, KEYS[:7])

    slotway("fix", "--yes", "--seed", whole.addresses[0])

    assert whole.primary_for(SLOT) is other
    assert values(whole) == KEYS


def test_a_migration_cut_off_inside_a_key_is_finished_with_what_clients_saw(
    whole: EmbeddedCluster, manager: ClusterManager, owner: RedisNode, other: RedisNode
) -> None:
    open_slots([SLOT], owner, other)
    # As if the answer to MIGRATE had been lost: the target has an old copy.
    migrate(owner, other, KEYS[:1], "COPY")
    owner.call("SET", KEYS[0], b"newer")

    manager.repair()

    assert values(whole) == [b"newer", *KEYS[1:]]


def test_keys_left_at_a_third_node_are_brought_back(
    whole: EmbeddedCluster, manager: ClusterManager, owner: RedisNode, other: RedisNode
) -> None:
    third = next(node for node in whole.primaries() if node not in (owner, other))
    open_slots([SLOT], owner, third)
    migrate(owner, third, KEYS[:3])
    open_slots([SLOT], owner, other)
    migrate(owner, other, KEYS[3:9])

    manager.repair()

    assert values(whole) == KEYS


def test_slots_without_an_owner_go_to_whoever_has_their_keys(
    whole: EmbeddedCluster, manager: ClusterManager, owner: RedisNode
) -> None:
    empty = SLOT + 1 if whole.primary_for(SLOT + 1) is owner else SLOT - 1
    for node in whole.primaries():
        node.call("CLUSTER", "DELSLOTS", SLOT, empty)
    wait_for(lambda: manager.info().slots_assigned == 16382, DEADLINE_S, "two slots uncovered")
    assert manager.health().status == "unhealthy"

    slotway("fix", "--yes", "--seed", whole.addresses[0])

    assert whole.primary_for(SLOT) is owner
    assert values(whole) == KEYS


def test_a_mark_that_only_a_replica_has_is_taken_off(
    whole: EmbeddedCluster,
    manager: ClusterManager,
    owner: RedisNode,
    other: RedisNode,
    engine: str,
) -> None:
    """Valkey from 8 lets replicas mark a slot first; whoever asked for it may be killed then."""
    if engine == "redis" or engine_version(engine) < (8, 0):
        pytest.skip("only Valkey from 8 has SETSLOT go to replicas first")
    replica = whole.replicas_of(other)[0]
    replica.freeze()
    connection = other.connect()
    connection.send([("CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(owner))])
    wait_for(lambda: other.info("clients")["blocked_clients"] == "1", DEADLINE_S, "the wait for it")
    connection.close()
    wait_for(lambda: other.info("clients")["blocked_clients"] == "0", DEADLINE_S, "its end")
    replica.thaw()
    wait_for(manager.open_slots, DEADLINE_S, "the replica's mark")
    assert {each.node for each in manager.open_slots()} == {replica.address}

    slotway("fix", "--yes", "--seed", whole.addresses[0])

    assert manager.open_slots() == ()
    assert values(whole) == KEYS


def test_nothing_to_repair_is_said(whole: EmbeddedCluster, manager: ClusterManager) -> None:
    assert "nothing to repair" in slotway("fix", "--seed", whole.addresses[0])
    assert manager.repair().steps == ()


def test_slots_of_a_lost_shard_are_given_away_only_when_asked(engine: str) -> None:
    with EmbeddedCluster(engine, replicas=0) as cluster:
        lost, left = cluster.nodes[0], cluster.nodes[1:]
        for node in left:
            node.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
        lost.kill()
        with ClusterManager([left[0].address]) as manager:
            wait_for(
                lambda: any(state.state == "failed" for state in manager.nodes()),
                DEADLINE_S,
                "the failure to be seen",
            )
            seed = ("--seed", left[0].address)
            assert "nothing to repair" in slotway("fix", *seed, code=1)

            slotway("fix", "--lost", "--yes", *seed)

            shares = [shard.slots for shard in manager.distribution().shards]
            assert sum(shares) == 16384
            assert manager.info().state == "ok"
            manager.remove(manager.plan_remove(str(lost.address)))
            assert manager.info().known_nodes == 2
