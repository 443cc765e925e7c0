"""Run the real proxy in front of a ``FakeCluster``, in the test's own nursery.

After every test: no client is left, no request is in flight without an owner,
and every task of the proxy ended without an exception.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import trio
import trio.testing
from fake_node import PATIENCE_S
from raw_client import RawClient
from scripted_cluster import FakeCluster

from proxy.app import Proxy
from proxy.cluster.topology import Topology
from proxy.config import Settings
from proxy.dataplane.engine import Engine


class Served:
    """A proxy that listens, and its clients."""

    def __init__(self, proxy: Proxy, port: int) -> None:
        self.proxy = proxy
        self.port = port
        self.clients: list[RawClient] = []

    @property
    def engine(self) -> Engine:
        """The data plane, whose counters tell what happened."""
        return self.proxy.engine

    @property
    def topology(self) -> Topology:
        """The map in use."""
        assert self.proxy.watcher.topology is not None
        return self.proxy.watcher.topology

    async def connect(self, *, host: str = "127.0.0.1", receive_buffer_bytes: int = 0) -> RawClient:
        """Return a new client."""
        client = await RawClient.connect(
            self.port, host=host, receive_buffer_bytes=receive_buffer_bytes
        )
        self.clients.append(client)
        return client

    async def connect_resp3(self) -> RawClient:
        """Return a new client that speaks RESP3."""
        client = await self.connect()
        assert (await client.call("HELLO", 3)).startswith(b"%7\r\n")
        return client

    async def wait_until_empty(self) -> None:
        """See that the proxy keeps nothing of clients that have left."""
        await until(lambda: not self.engine.clients)
        assert self.engine.in_flight == 0


@asynccontextmanager
async def serve(cluster: FakeCluster, /, **tables: Mapping[str, object]) -> AsyncIterator[Served]:
    """Serve a cluster, with these settings by table, until the block ends."""
    tables["admin"] = {"enabled": False, **tables.get("admin", {})}
    tables["listen"] = {"address": "127.0.0.1", "port": 0, **tables.get("listen", {})}
    seeds = tuple(str(node.address) for node in cluster.nodes)
    # At start the proxy looks for its first map after one such interval: 0.1 s by default.
    # Health checks would come between what a test scripts; those about them set an interval.
    quick = {"seeds": seeds, "refresh_min_interval_s": 0.03, "health_interval_s": 0.0}
    tables["cluster"] = {**quick, **tables.get("cluster", {})}
    async with running(Proxy(Settings.model_validate(tables))) as served:
        yield served


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Served]:
    """Run a proxy until the block ends."""
    ports: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(proxy.run, on_listening=ports.append))
        await until(lambda: bool(ports))
        served = Served(proxy, ports[0])
        try:
            yield served
        finally:
            for client in served.clients:
                client.vanish()
        await served.wait_until_empty()
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait until something is true of the proxy."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110  the proxy has no event for each condition
            await trio.sleep(0.001)


async def all_is_quiet() -> None:
    """Wait until nobody has anything to do but wait for what only a test or the time can bring."""
    with trio.fail_after(PATIENCE_S):
        await trio.testing.wait_all_tasks_blocked(0.005)
