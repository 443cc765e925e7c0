"""A command that is killed or stopped in the middle: the same command goes on, nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from slotway_command import begin_slotway, end_in_the_middle, slotway
from stored_types import StoredTypes

from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_is_gone_on_with(
    private_cluster: EmbeddedCluster,
    tmp_path: Path,
    number: signal.Signals,
    make_proxy: Callable[..., ProxyProcess],
) -> None:
    proxy = make_proxy(private_cluster.addresses)
    stored = StoredTypes(redis.Redis(port=proxy.port), 600)
    first, second = private_cluster.addresses[:2]
    plan = tmp_path / "plan.json"
    words = (
        *("reshard", "--from", first, "--to", second, "--slots", 200, "--yes"),
        *("--plan", plan, "--method", "classic", "--seed", first),
    )
    with ClusterManager([first]) as manager:
        slow = begin_slotway(*words, "--throttle", 3)
        told = end_in_the_middle(slow, manager, number)
        if number == signal.SIGKILL:
            assert manager.open_slots()
        else:
            assert slow.returncode == 1
            assert b"of 200 slots are moved, and none is open" in told
            assert manager.open_slots() == ()

        slotway(*words)

        assert [shard.slots for shard in manager.distribution().shards] == [5261, 5662, 5461]
        assert manager.open_slots() == ()
    assert stored.differences() == []
    assert "every slot is where it belongs" in slotway(*words)
