"""Nodes come back, at the same place or another, and clients wait until they do.

Every write is on disk before it is acknowledged, so that nothing may be lost here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from error_kinds import LOST
from injections.outages import all_gone, shard_gone
from injections.processes import restarted_at
from trial import Fault

pytestmark = pytest.mark.live

SHORT_ENGINE = "redis"
CLUSTER_SETTINGS = {"appendonly": "yes", "appendfsync": "always"}

FAULTS = [
    Fault("a shard loses all its nodes", shard_gone, errors=LOST, holds_clients=True),
    Fault("all nodes are gone", all_gone, errors=LOST, hurts_all=True, holds_clients=True),
    Fault("restart on another port", restarted_at("127.0.0.1", same_port=False), errors=LOST),
    Fault("restart at another address", restarted_at("127.0.0.2", same_port=True), errors=LOST),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_clients_wait_for_it(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)
