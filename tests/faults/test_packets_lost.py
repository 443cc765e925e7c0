"""A real network loses packets, or carries none: clients wait, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from error_kinds import LOST
from injections.packets import has_firewall, packets_lost, parted
from own_network import own_network
from trial import Fault

from proxy.embedded import EmbeddedCluster

pytestmark = pytest.mark.live

SHORT_ENGINE = "redis"

FAULTS = [
    Fault("one packet in ten is lost", packets_lost, errors=LOST, own_time=True),
    Fault("a network partition", parted, errors=LOST, holds_clients=True, own_time=True),
]


@pytest.fixture(scope="module")
def cluster(engine: str) -> Iterator[EmbeddedCluster]:
    """A cluster in a network of its own, in which the tests are too while it is there."""
    with own_network():
        if not has_firewall():
            pytest.skip("no nft, or it may not be used: packets cannot be dropped")
        settings = {"cluster-require-full-coverage": "no"}
        with EmbeddedCluster(engine, settings=settings) as running:
            yield running


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_clients_wait_for_them(fault: Fault, try_fault: Callable[..., None]) -> None:
    try_fault(fault)
