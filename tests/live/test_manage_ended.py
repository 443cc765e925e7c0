"""A command that is killed or stopped in the middle: the same command goes on, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from slotway_command import begin_slotway, slotway
from stored_types import StoredTypes

from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live

SEEN_DEADLINE_S = 20.0


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
    slow = begin_slotway(*words, "--throttle", 25)
    with ClusterManager([first]) as manager:
        wait_for(manager.open_slots, SEEN_DEADLINE_S, "slots on their way")
        os.kill(slow.pid, number)
        _, told = slow.communicate()
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
