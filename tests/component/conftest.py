"""A cluster of three scripted nodes, and a proxy with default settings before it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from broker import Broker
from scripted_cluster import FakeCluster
from served import Served, serve, until


@pytest.fixture
async def cluster() -> AsyncIterator[FakeCluster]:
    """Return three nodes that share the slots."""
    async with FakeCluster().running() as cluster:
        yield cluster


@pytest.fixture
async def served(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy in front of the cluster."""
    async with serve(cluster) as served:
        yield served


@pytest.fixture
def broker(cluster: FakeCluster) -> Broker:
    """Return what the nodes know of subscribers."""
    return Broker(cluster)


@pytest.fixture
async def clean(served: Served, broker: Broker) -> AsyncIterator[Served]:
    """Return the proxy; afterwards nothing may be left of anybody's subscription."""
    yield served
    for client in served.clients:
        client.vanish()
    hub = served.proxy.hub
    await until(lambda: not any(link.names or link.owes for link in hub.roads.links()))
    assert not hub.book.topics
    assert broker.count == 0
    assert not served.engine.command_table.get(b"publish").is_diverted
