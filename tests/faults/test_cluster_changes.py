"""Slots move and nodes are replaced, all under load: nobody notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from injections.members import all_replaced
from injections.slots import resharded
from trial import Fault

pytestmark = [pytest.mark.live, pytest.mark.takes(60)]

SHORT_ENGINE = "valkey"

FAULTS = [
    Fault("4,000 slots move with MIGRATE", resharded("classic")),
    Fault("all six nodes are replaced", all_replaced),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nobody_notices(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)


def test_nobody_notices_an_atomic_migration(engine: str, try_fault: Callable[..., None]) -> None:
    if engine != "valkey":
        pytest.skip("Redis cannot move slots at once")
    try_fault(Fault("4,000 slots move at once", resharded("atomic")))
