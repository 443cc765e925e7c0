"""What is wrong with a real cluster is found, said, and told by the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import redis
from slotway_command import slotway

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, engine_version, wait_for
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live

DEADLINE_S = 20.0


@pytest.fixture
def manager(cluster: EmbeddedCluster) -> Iterator[ClusterManager]:
    with ClusterManager(cluster.addresses[:1]) as made:
        yield made


def codes(manager: ClusterManager) -> set[str]:
    return {finding.code for finding in manager.health().findings}


def test_a_cluster_on_one_host_is_well_but_for_that(
    cluster: EmbeddedCluster, manager: ClusterManager
) -> None:
    seed = ("--seed", cluster.addresses[0])

    told = slotway("health", *seed)
    found = json.loads(slotway("health", "--json", *seed))
    slotway("health", "--strict", *seed, code=1)

    assert found["status"] == "warning"
    assert {finding["code"] for finding in found["findings"]} == {"same_host", "host_loss"}
    assert (found["survives_any_node"], found["survives_any_host"]) == (True, False)
    assert "would survive the loss of any one node" in told


def test_an_open_slot_and_a_node_that_hangs_are_found(private_cluster: EmbeddedCluster) -> None:
    first, second, third = private_cluster.nodes[:3]
    copy = private_cluster.replicas_of(third)[0]
    first.call("CLUSTER", "SETSLOT", 0, "MIGRATING", second.call_text("CLUSTER", "MYID"))
    with ClusterManager(private_cluster.addresses[:1]) as manager:
        assert "open_slots" in codes(manager)
        copy.kill()
        wait_for(lambda: "failed" in codes(manager), DEADLINE_S, "the failure to be seen")

        found = manager.health()

        assert {"silent", "no_replica", "node_loss"} <= {each.code for each in found.findings}
        assert found.status == "unhealthy"
        lost = {verdict.loss: verdict.survives for verdict in found.verdicts}
        assert lost[f"node {third.address}"] is False
        assert lost[f"node {first.address}"] is True
    slotway("health", "--seed", first.address, code=1)


def test_a_node_that_hangs_is_silent_after_the_timeout(private_cluster: EmbeddedCluster) -> None:
    first, second = private_cluster.nodes[:2]
    second.freeze()

    words = ("health", "--timeout", 0.3, "--json", "--seed", first.address)
    found = json.loads(slotway(*words, code=1))

    second.thaw()
    assert {finding["node"] for finding in found["findings"] if finding["code"] == "silent"} == {
        str(second.address)
    }


def test_memory_and_disk_are_found(
    make_cluster: Callable[..., EmbeddedCluster], engine: str
) -> None:
    is_protected = engine_version(engine) >= (7, 0)
    cluster = make_cluster(settings={"enable-protected-configs": "yes"} if is_protected else {})
    node = cluster.nodes[0]
    with ClusterManager(cluster.addresses[1:2]) as manager:
        node.call("CONFIG", "SET", "maxmemory", "1mb")
        assert "memory" in codes(manager)
        node.call("CONFIG", "SET", "maxmemory", "0")
        node.call("CONFIG", "SET", "dir", "/proc/self")
        node.call("BGSAVE")
        wait_for(lambda: "persistence" in codes(manager), DEADLINE_S, "the failed snapshot")


def test_a_cluster_that_does_not_answer_is_unhealthy_in_json_too(
    private_cluster: EmbeddedCluster,
) -> None:
    for node in private_cluster.nodes:
        node.kill()

    found = json.loads(slotway("health", "--json", "--seed", private_cluster.addresses[0], code=1))

    assert [finding["code"] for finding in found["findings"]] == ["unreachable"]


def test_figures_are_those_of_the_servers(
    cluster: EmbeddedCluster, manager: ClusterManager
) -> None:
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    keys = [f"figure:{number}" for number in range(300)]
    for key in keys:
        client.set(key, "x")
    client.close()
    before = manager.metrics().total
    first = cluster.primaries()[0]
    mine = [key for key in keys if key_slot(key.encode()) in set(cluster.slots_of(first))]
    for key in mine[:10]:
        first.call("GET", key)

    found = manager.distribution()
    after = manager.metrics().total

    assert found.keys == 300
    assert [shard.keys for shard in found.shards] == [
        node.call("DBSIZE") for node in cluster.primaries()
    ]
    assert [shard.slots for shard in found.shards] == [
        len(cluster.slots_of(node)) for node in cluster.primaries()
    ]
    assert sum(shard.memory_share for shard in found.shards) == pytest.approx(1)
    assert after.hits - before.hits == 10
    assert after.commands > before.commands
    assert "█" in slotway("distribution", "--seed", cluster.addresses[0])
    assert "hit rate" in slotway("metrics", "--seed", cluster.addresses[0])
