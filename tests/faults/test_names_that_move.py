"""All nodes get new addresses, and only the name of the seeds still leads to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from error_kinds import LOST
from injections.names import NAME, NamedProxy, lead, may_have_own_hosts, moved_with_its_name
from trial import Fault

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster

pytestmark = pytest.mark.live

SHORT_ENGINE = "valkey"
CLUSTER_SETTINGS = {"appendonly": "yes", "appendfsync": "always"}


@pytest.mark.skipif(not may_have_own_hosts(), reason="no mount namespace: names cannot be changed")
def test_the_proxy_finds_them_by_name(
    cluster: EmbeddedCluster, try_fault: Callable[..., None], tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    lead(hosts, "127.0.0.1")
    front = NamedProxy([Address(NAME, address.port) for address in cluster.addresses])
    front.hosts = hosts

    try_fault(
        Fault(
            "DNS answers change",
            moved_with_its_name(hosts, "127.0.0.2"),
            errors=LOST,
            hurts_all=True,
            own_time=True,
        ),
        front,
    )
