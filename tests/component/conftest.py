"""A cluster of three scripted nodes, and a proxy with default settings before it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_cluster import FakeCluster
from served import Served, serve


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
