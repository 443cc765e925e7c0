"""The two sides: the shared cluster behind its proxy, and a standalone server like it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from differential.sides import Pair
from proxy.embedded import ProxyProcess, StandaloneServer

# A cluster has one database; so has the standalone server it is compared with.
SETTINGS = {"databases": "1"}


@pytest.fixture(scope="session")
def pair(engine: str, proxy_process: ProxyProcess) -> Iterator[Pair]:
    """Both sides, for all tests of an engine; each test empties them itself."""
    with StandaloneServer(engine, settings=SETTINGS) as server:
        yield Pair(engine, server.address, proxy_process.address)
