"""What is killed or stopped in the middle, the command or a node: the same command goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from slotway_command import begin_slotway, end_in_the_middle, slotway
from stored_types import StoredTypes

from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live

SLOW = ("--throttle", 3)  # keys a second


@pytest.fixture(scope="module")
def own_cluster(engine: str) -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster(engine) as running:
        yield running


@pytest.fixture(scope="module")
def stored(own_cluster: EmbeddedCluster) -> Iterator[StoredTypes]:
    with ProxyProcess(own_cluster.addresses) as proxy:
        yield StoredTypes(redis.Redis(port=proxy.port), 600)
        assert proxy.tracebacks() == ""


@pytest.fixture
def ends(own_cluster: EmbeddedCluster) -> tuple[RedisNode, RedisNode]:
    first, second, *_ = own_cluster.primaries()
    return first, second


def reshard(ends: tuple[RedisNode, RedisNode], plan: Path, seed: RedisNode) -> list[object]:
    first, second = (node.address for node in ends)
    return [
        *("reshard", "--from", first, "--to", second, "--slots", 200, "--yes"),
        *("--plan", plan, "--method", "classic", "--seed", seed.address, "--timeout", 3),
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_is_gone_on_with(
    ends: tuple[RedisNode, RedisNode], stored: StoredTypes, tmp_path: Path, number: signal.Signals
) -> None:
    words = reshard(ends, tmp_path / "plan.json", ends[0])
    with ClusterManager([ends[0].address]) as manager:
        slow = begin_slotway(*words, *SLOW)
        told = end_in_the_middle(slow, manager, lambda: slow.send_signal(number))
        if number == signal.SIGKILL:
            assert manager.open_slots()
        else:
            assert slow.returncode == 1
            assert b"of 200 slots are moved, and none is open" in told
            assert manager.open_slots() == ()

        slotway(*words)

        assert [shard.slots for shard in manager.distribution().shards] == [5261, 5662, 5461]
        assert manager.open_slots() == ()
        manager.move(manager.plan_rebalance())
    assert stored.differences() == []


def test_a_target_that_dies_is_followed_by_its_replica(
    own_cluster: EmbeddedCluster,
    ends: tuple[RedisNode, RedisNode],
    stored: StoredTypes,
    tmp_path: Path,
) -> None:
    words = reshard(ends, tmp_path / "plan.json", ends[0])
    with ClusterManager([ends[0].address]) as manager:
        own_cluster.wait_until_in_sync()
        slow = begin_slotway(*words, *SLOW)
        end_in_the_middle(slow, manager, ends[1].kill)
        assert slow.returncode == 1
        own_cluster.wait_until_agreed()
        ends[1].start()  # a replica of its replica now
        own_cluster.wait_until_agreed()

        slotway("fix", "--yes", "--seed", ends[0].address)
        slotway(*words)

        assert [shard.slots for shard in manager.distribution().shards] == [5261, 5662, 5461]
        assert manager.open_slots() == ()
    assert stored.differences() == []
