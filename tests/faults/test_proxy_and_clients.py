"""The proxy itself is hurt, and clients end badly: the others are served as before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from error_kinds import LOST
from injections.clients import half_closed, vanishing_in_a_frame
from injections.proxy import killed_and_restarted, without_descriptors
from trial import Fault

pytestmark = pytest.mark.live

SHORT_ENGINE = "redis"

FAULTS = [
    Fault(
        "the proxy is killed and restarted",
        killed_and_restarted,
        errors=LOST,
        may_close=True,
        own_time=True,
    ),
    Fault("the proxy has no descriptors left", without_descriptors),
    Fault("clients vanish within a frame", vanishing_in_a_frame),
    Fault("clients close one half", half_closed),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_others_go_on(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)
