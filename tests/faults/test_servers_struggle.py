"""Servers that live and do not serve; the cluster is told to be patient with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from error_kinds import HARMLESS, PARTS_FAILED
from injections.disks import can_be_slow, slow_disk, slow_when_told
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
SLOW_DISK = Fault("a slow disk", slow_disk)


@pytest.fixture(scope="module")
def server_environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return slow_when_told(tmp_path_factory.mktemp("disk")) if can_be_slow() else {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_only_its_own_clients_wait(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)


@pytest.mark.skipif(not can_be_slow(), reason="no C compiler (cc) here, which makes a disk slow")
def test_who_writes_to_a_slow_disk_waits_and_nobody_else(try_fault: Callable[..., None]) -> None:
    try_fault(SLOW_DISK)
