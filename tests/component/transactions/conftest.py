"""Nodes that know transactions, and a proxy that keeps no connection of a client that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from fake_node import FakeNode
from served import Served, serve
from transactional_cluster import SLOT, TransactionalCluster, all_given_back


@pytest.fixture
async def cluster() -> AsyncIterator[TransactionalCluster]:
    """Return three nodes that know transactions."""
    async with TransactionalCluster().running() as cluster:
        yield cluster


@pytest.fixture
def commands() -> Mapping[str, object]:
    """Return the settings of [commands]; a file may have others."""
    return {}


@pytest.fixture
async def served(
    cluster: TransactionalCluster, commands: Mapping[str, object]
) -> AsyncIterator[Served]:
    """Return a proxy; when the test is over, no connection may be leased any more."""
    async with serve(cluster, commands=commands) as served:
        yield served
        for client in served.clients:
            client.vanish()
        await all_given_back(served)


@pytest.fixture
def node(cluster: TransactionalCluster) -> FakeNode:
    """Return the node of the key."""
    return cluster.owners[SLOT]


@pytest.fixture
def target(cluster: TransactionalCluster, node: FakeNode) -> FakeNode:
    """Return another node."""
    return cluster.nodes[(node.index + 1) % 3]
