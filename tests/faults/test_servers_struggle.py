"""Servers that live and do not serve; the cluster is told to be patient with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from error_kinds import HARMLESS, PARTS_FAILED
from injections.processes import hung_for_a_moment
from injections.struggles import busy, loading, out_of_memory
from trial import Fault

pytestmark = pytest.mark.live

SHORT_ENGINE = "valkey"
NODE_TIMEOUT_MS = 60_000
CLUSTER_SETTINGS = {"enable-debug-command": "yes"}
FULL = HARMLESS | frozenset({"OOM", "EXECABORT", f"{PARTS_FAILED}: OOM"})

FAULTS = [
    Fault("a primary hangs for a moment", hung_for_a_moment, holds_clients=True),
    Fault("one slow command", busy),
    Fault("LOADING", loading),
    Fault("OOM", out_of_memory, errors=FULL),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_only_its_own_clients_wait(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)
