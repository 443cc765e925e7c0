"""Nodes join, leave, copy and take over one at a time, each only under its conditions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import pytest
from bare_nodes import bare_nodes
from slotway_command import slotway

from proxy.cluster.slots import SLOT_COUNT
from proxy.embedded import EmbeddedCluster, RedisNode, wait_for
from proxy.manage import (
    Backup,
    BackupNode,
    CannotPlan,
    ClusterManager,
    Move,
    MoveOptions,
    Progress,
)

pytestmark = pytest.mark.live


@pytest.fixture
def spare(engine: str) -> Iterator[list[RedisNode]]:
    with bare_nodes(engine, 2) as nodes:
        yield nodes


def test_a_replica_copies_another_primary_and_leaves(
    private_cluster: EmbeddedCluster, spare: list[RedisNode]
) -> None:
    first, _, third, copy = private_cluster.nodes[:4]
    with ClusterManager([first.address]) as manager:
        manager.replicate(manager.plan_replicate(str(copy.address), str(third.address)))
        assert copy.info("replication")["master_port"] == str(third.port)

        plan = manager.plan_remove(str(copy.address))
        manager.remove(plan)

        assert len(manager.nodes()) == 5
        manager.add(manager.plan_add(copy.address, replica_of=str(first.address)))
        assert manager.info().disagreement is None
        with pytest.raises(CannotPlan, match="owns slots"):
            manager.plan_replicate(str(first.address), str(third.address))
        with pytest.raises(CannotPlan, match="is a replica itself"):
            manager.plan_add(spare[0].address, replica_of=str(copy.address))


def test_a_seed_may_leave(private_cluster: EmbeddedCluster) -> None:
    leaving, second = private_cluster.nodes[3:5]
    by_name = f"localhost:{second.port}"

    told = slotway("remove-node", leaving.address, "--yes", "--json", "--seed", leaving.address)
    assert len(json.loads(told)) == 5
    with ClusterManager([by_name]) as manager:
        manager.remove(manager.plan_remove(str(second.address)))

        assert len(manager.nodes()) == 4


def test_a_replica_takes_over_when_its_primary_is_gone(private_cluster: EmbeddedCluster) -> None:
    first, second = private_cluster.nodes[:2]
    heir = private_cluster.replicas_of(first)[0]
    for node in private_cluster.nodes:
        node.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    first.kill()

    with ClusterManager([second.address]) as manager:
        plan = manager.plan_failover(str(heir.address))
        assert (plan.heir, plan.primary) == (heir.address, first.address)
        manager.failover(plan, "TAKEOVER")
        states = {state.address: state for state in manager.nodes()}
        assert states[heir.address].slot_count == 5461
        # What does not answer is only forgotten.
        manager.remove(manager.plan_remove(str(first.address)))
        assert first.address not in {state.address for state in manager.nodes()}


def test_a_node_is_not_let_in_or_out_without_its_conditions(
    private_cluster: EmbeddedCluster, spare: list[RedisNode]
) -> None:
    seed = ("--seed", private_cluster.addresses[0])
    spare[0].call("CLUSTER", "ADDSLOTS", 0)

    slotway("add-node", spare[0].address, "--yes", *seed, code=1)
    slotway("add-node", private_cluster.nodes[0].address, "--yes", *seed, code=1)
    slotway("remove-node", "10.9.9.9:7000", "--yes", *seed, code=1)
    slotway("add-node", "nonsense", "--yes", *seed, code=2)
    slotway("failover", private_cluster.nodes[0].address, "--force", "--takeover", *seed, code=2)
    told = slotway("remove-node", private_cluster.nodes[0].address, "--dry-run", *seed)
    assert "leaves" in told
    assert "only 2 with slots would be left" in told

    with ClusterManager(private_cluster.addresses) as manager:
        assert len(manager.nodes()) == 6


@pytest.mark.parametrize("method", ["classic", "auto"])
def test_a_primary_that_gives_its_last_slot_away_may_become_a_replica(
    engine: str, method: str
) -> None:
    """With the servers' default settings it does, as soon as it hears of it, and refuses then."""
    with bare_nodes(engine, 4) as nodes:
        first, *others = (str(node.address) for node in nodes)
        slotway("create", first, *others, "--replicas", 0, "--yes")
        words = ("rebalance", "--method", method, "--yes", "--seed", others[0])

        slotway(*words, "--weight", f"{first}=0")

        with ClusterManager(others) as manager:
            assert sorted(
                shard.slots for shard in manager.distribution().shards if shard.slots
            ) == [
                5461,
                5461,
                5462,
            ]
            assert manager.info().disagreement is None
            manager.remove(manager.plan_remove(first))
            assert len(manager.nodes()) == 3


def test_two_primaries_are_drained_and_one_is_a_replica_before_the_other(engine: str) -> None:
    """A replica tells its primary's epoch: that is no collision."""
    with (
        bare_nodes(engine, 4) as nodes,
        ClusterManager([node.address for node in nodes]) as manager,
    ):
        manager.create(manager.plan_restore(shape(nodes, (range(20), range(20, 120)))))
        view = manager.look()
        first, second, third, fourth = (view.find(str(node.address)).id for node in nodes)

        def until_it_is_a_replica(stand: Progress) -> None:
            if stand.done >= 20 and stand.step == "open":
                wait_for(lambda: nodes[0].info("replication")["role"] == "slave", 30.0)

        moves = [Move(first, third, tuple(range(20))), Move(second, fourth, tuple(range(20, 120)))]
        manager.move(moves, MoveOptions(method="classic"), until_it_is_a_replica)

        assert [shard.slots for shard in manager.distribution().shards] == [8020, 8364]


def shape(nodes: Sequence[RedisNode], slots: Sequence[Iterable[int]]) -> Backup:
    """Return a shape in which the first nodes have these slots, and the last two the others."""
    left = range(max(map(max, slots)) + 1, SLOT_COUNT)
    shares = (*slots, left[:8000], left[8000:])
    rows = zip(nodes, shares, strict=True)
    return Backup(
        "2026-01-01T00:00:00+00:00",
        tuple(
            BackupNode(str(number), node.address, "", "primary", None, tuple(share), 0, "", "")
            for number, (node, share) in enumerate(rows)
        ),
    )
