"""A cluster's life by ``slotway cluster`` alone, under traffic: it grows, shrinks, fails over."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from bare_nodes import bare_nodes
from slotway_command import slotway
from stored_types import StoredTypes
from traffic import Plan, Traffic

from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode

pytestmark = pytest.mark.live


@pytest.fixture
def spare(engine: str) -> Iterator[list[RedisNode]]:
    with bare_nodes(engine, 2) as nodes:
        yield nodes


def shares(seed: object) -> list[int]:
    found = json.loads(slotway("distribution", "--seed", seed, "--json"))
    return [shard["slots"] for shard in found["shards"]]


def test_a_cluster_grows_shrinks_and_fails_over_under_traffic(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess, spare: list[RedisNode]
) -> None:
    nodes = private_cluster.nodes
    stored = StoredTypes(redis.Redis(port=private_proxy.port))
    library = "#!lua name=kept\nredis.register_function('kept', function() return 1 end)"
    for primary in private_cluster.primaries():
        primary.call("FUNCTION", "LOAD", library)
    seed = ("--seed", nodes[1].address)

    with Traffic(private_proxy.port, [Plan(1), Plan(8), Plan(32)]) as traffic:
        traffic.wait_for_progress(30)

        slotway("add-node", spare[0].address, "--yes", *seed)
        assert shares(nodes[1].address) == [5461, 5462, 5461, 0]
        assert spare[0].call("FCALL", "kept", 0) == 1
        slotway("rebalance", "--yes", *seed)
        assert shares(nodes[1].address) == [4096] * 4
        slotway("add-node", spare[1].address, "--replica-of", "auto", "--yes", *seed)
        roles = {each["address"]: each for each in json.loads(slotway("nodes", *seed, "--json"))}
        assert roles[str(spare[1].address)]["primary"] == str(spare[0].address)
        traffic.wait_for_progress(30)

        slotway("remove-node", nodes[0].address, "--yes", *seed)
        assert sorted(shares(nodes[1].address)) == [5461, 5461, 5462]
        assert nodes[0].call_text("CLUSTER", "INFO").count(b"cluster_known_nodes:1\r") == 1
        traffic.wait_for_progress(30)

        slotway("failover", nodes[1].address, "--yes", *seed)
        states = json.loads(slotway("nodes", *seed, "--json"))
        assert {each["address"]: each["role"] for each in states}[
            str(nodes[1].address)
        ] == "replica"
        traffic.wait_for_progress(30)

    assert traffic.wrong == []
    assert traffic.errors == {}
    assert stored.differences() == []
    info = json.loads(slotway("info", *seed, "--json"))
    assert (info["state"], info["known_nodes"], info["disagreement"]) == ("ok", 7, None)
