"""Servers die, hang and hand over under all kinds of traffic."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from error_kinds import LOST
from injections.failovers import failed_over
from injections.processes import hung, killed
from trial import Fault

pytestmark = pytest.mark.live

SHORT_ENGINE = "valkey"

FAULTS = [
    Fault("kill -9 of a primary", killed, errors=LOST),
    Fault("a primary hangs", hung, errors=LOST),
    Fault("CLUSTER FAILOVER", failed_over()),
    Fault("CLUSTER FAILOVER FORCE", failed_over("FORCE")),
    Fault("CLUSTER FAILOVER TAKEOVER", failed_over("TAKEOVER")),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_clients_go_on(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)
