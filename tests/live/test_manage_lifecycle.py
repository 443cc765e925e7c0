"""A cluster's life by ``slotway cluster`` alone, under traffic: it grows, shrinks, fails over.

``SLOTWAY_LIFECYCLE_KEYS`` says with how many keys; ``make lifecycle`` takes 200,000 and prints how
long each step took, and how long a client waited in it for an answer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from bare_nodes import bare_nodes
from slotway_command import begin_slotway, end_in_the_middle, slotway
from stored_types import StoredTypes
from traffic import Plan, Traffic

from proxy.embedded import ProxyProcess, RedisNode, engine_version
from proxy.manage import ClusterManager

pytestmark = [pytest.mark.live, pytest.mark.takes(60)]

KEYS = int(os.environ.get("SLOTWAY_LIFECYCLE_KEYS", "10000"))
LIBRARY = "#!lua name=kept\nredis.register_function('kept', function() return 1 end)"


@pytest.fixture
def nodes(engine: str) -> Iterator[list[RedisNode]]:
    with bare_nodes(engine, 8) as started:
        yield started


@contextmanager
def step(words: str, traffic: Traffic | None = None) -> Iterator[None]:
    """Let clients get answers before and after a step, and print how long they waited in it."""
    if traffic is not None:
        traffic.wait_for_progress(30)
        traffic.forget_waits()
    started = time.monotonic()
    yield
    line = f"{words}: {time.monotonic() - started:.1f} s"
    if traffic is not None:
        traffic.wait_for_progress(30)
        longest_s = max(client.longest_wait_s for client in traffic.clients)
        line += f", longest wait {1000 * longest_s:.0f} ms"
    print(line)


def shares(seed: object) -> list[int]:
    found = json.loads(slotway("distribution", "--seed", seed, "--json"))
    return [shard["slots"] for shard in found["shards"]]


def roles(seed: object) -> dict[str, str]:
    return {
        each["address"]: each["role"]
        for each in json.loads(slotway("nodes", "--seed", seed, "--json"))
    }


def kill_a_reshard(seed: object) -> None:
    """Begin to move slots, and kill the command while keys are on both sides."""
    with ClusterManager([str(seed)]) as manager:
        first, second, *_ = (str(shard.primary) for shard in manager.distribution().shards)
        words = ("--from", first, "--to", second, "--slots", 400, "--yes", "--seed", seed)
        slow = ("--method", "classic", "--throttle", KEYS / 100)
        command = begin_slotway("reshard", *words, *slow)
        end_in_the_middle(command, manager, command.kill)
        assert manager.open_slots()


def test_a_cluster_lives_under_traffic(nodes: list[RedisNode], engine: str) -> None:
    places = [str(node.address) for node in nodes]
    first, second = places[:2]
    seed = ("--seed", second)
    with step("create"):
        slotway("create", *places[:6], "--replicas", 1, "--yes")
    with ProxyProcess([nodes[1].address]) as proxy:
        with step(f"load {KEYS:,} keys"):
            stored = StoredTypes(redis.Redis(port=proxy.port), KEYS)
        if engine_version(engine) >= (7, 0):
            for node in nodes[:3]:
                node.call("FUNCTION", "LOAD", LIBRARY)

        with Traffic(proxy.port, [Plan(1), Plan(8), Plan(32)]) as traffic:
            with step("add a shard", traffic):
                slotway("add-node", places[6], "--yes", *seed)
                slotway("add-node", places[7], "--replica-of", places[6], "--yes", *seed)
            assert shares(second) == [5461, 5462, 5461, 0]
            if engine_version(engine) >= (7, 0):
                assert nodes[6].call("FCALL", "kept", 0) == 1
            with step("rebalance", traffic):
                slotway("rebalance", "--yes", *seed)
            assert shares(second) == [4096] * 4
            with step("remove the first shard", traffic):
                slotway("remove-node", first, "--yes", *seed)
                slotway("remove-node", places[3], "--yes", *seed)
            assert sorted(shares(second)) == [5461, 5461, 5462]
            with step("failover", traffic):
                slotway("failover", second, "--yes", *seed)
            assert roles(second)[second] == "replica"
            with step("kill a reshard", traffic):
                kill_a_reshard(second)
            with step("fix", traffic):
                slotway("fix", "--yes", *seed)

        print(traffic)
        assert traffic.wrong == []
        assert traffic.errors == {}
        with step("compare all keys"):
            assert stored.differences() == []
        assert proxy.tracebacks() == ""
    info = json.loads(slotway("info", *seed, "--json"))
    assert (info["state"], info["known_nodes"], info["disagreement"]) == ("ok", 6, None)
    assert "nothing to repair" in slotway("fix", "--dry-run", *seed)
