"""The network between the proxy and its nodes fails, and the cluster itself notices nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from error_kinds import HARMLESS, LOST
from injections.network import (
    Injection,
    delayed,
    demoted,
    parted,
    reset_again_and_again,
    split_into_bytes,
)
from relayed import Relay
from trial import Fault

from proxy.embedded import EmbeddedCluster, ProxyProcess

pytestmark = pytest.mark.live

SHORT_ENGINE = "redis"


@pytest.fixture(scope="module")
def relay(cluster: EmbeddedCluster) -> Iterator[Relay]:
    """A relay before all nodes of this file's cluster."""
    with Relay(cluster.addresses) as running:
        yield running


FAULTS: dict[str, tuple[Callable[[Relay], Injection], frozenset[str], bool]] = {
    "resets between proxy and node": (reset_again_and_again, LOST, False),
    "a delay of 50 ms each way": (lambda relay: delayed(relay, 0.05), HARMLESS, False),
    "every byte by itself": (split_into_bytes, HARMLESS, False),
    # A refused request that a later one of its client has overtaken gets the node's own words.
    "READONLY": (demoted, LOST | {"READONLY"}, True),
    "a partition between proxy and node": (parted, LOST, True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_clients_go_on_behind_it(name: str, relay: Relay, try_fault: Callable[..., None]) -> None:
    make, errors, holds = FAULTS[name]
    settings = {"cluster.address_map": relay.address_map}

    fault = Fault(name, make(relay), errors=errors, holds_clients=holds, own_time=True)
    try_fault(fault, ProxyProcess(relay.seeds, settings=settings))
