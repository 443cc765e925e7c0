"""A shard with replicas, and a proxy that may read there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fake_node import FakeNode
from pace import PACE
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp.encode import bulk

QUICK = {"health_interval_s": 0.05 * PACE, "health_failures": 2}
MASTERDOWN = b"-MASTERDOWN Link with MASTER is down.\r\n"


class Shard:
    """The first shard of a cluster of three, with two replicas, and a proxy before it."""

    def __init__(self, cluster: FakeCluster, served: Served) -> None:
        self.cluster = cluster
        self.served = served
        self.primary, self.others = cluster.nodes[0], cluster.nodes[1:3]
        self.replicas = cluster.nodes[3:]
        self.key = cluster.key_of(self.primary)
        cluster.store[self.key] = b"x"

    def readers(self) -> set[FakeNode]:
        """Return who has answered GET of the key so far."""
        return {node for node in self.cluster.nodes if node.seen(b"GET", self.key)}

    def usable(self) -> int:
        """Return how many replicas are of use, and asked if the settings want it."""
        proxy = self.served.proxy
        numbers = {proxy.routes.number(node.address) for node in self.replicas}
        table = proxy.pools.lane_for(2).read_table
        if table is None:
            return sum(bool(proxy.reads.may_read(node.address)) for node in self.replicas)
        owner, slot = proxy.routes.number(self.primary.address), key_slot(self.key)
        return len(numbers & {table.reader_of(owner, slot, client) for client in range(8)})

    async def ready(self, count: int = 2) -> None:
        """Wait until so many replicas are of use, by the proxy's own knowledge."""
        await until(lambda: self.usable() == count)

    async def open_slot(self) -> None:
        """Begin to move the key's slot to another shard; the proxy has read of it afterwards."""
        slot = key_slot(self.key)
        self.cluster.begin_migration(slot, self.others[0])
        watcher = self.served.proxy.watcher

        def is_read() -> bool:
            watcher.suspect()  # not every node tells
            topology = watcher.topology
            return topology is not None and slot in topology.migrating

        await until(is_read)


@asynccontextmanager
async def shard(
    cluster: Mapping[str, object] | None = None, *, heard_s: int | None = None, **reads: object
) -> AsyncIterator[Shard]:
    """Run a shard with these settings ``[reads]``.

    Args:
        heard_s: Its primary hangs before the proxy starts, and the replicas say that they
            heard it so long ago; None: it does not.
    """
    nodes = FakeCluster()
    for _ in range(2):
        nodes.add_replica(nodes.nodes[0])
    if heard_s is not None:
        nodes.nodes[0].freeze()
        for node in nodes.nodes[3:]:
            heard = b"master_last_io_seconds_ago:%d\r\n" % heard_s
            said = nodes.replication_text(node) + heard
            node.always(b"INFO", b"replication", answer=bulk(said))
    async with (
        nodes.running(),
        serve(nodes, cluster={**QUICK, **(cluster or {})}, reads=reads) as served,
    ):
        yield Shard(nodes, served)


async def read_by_many(found: Shard, count: int = 6) -> None:
    """Have so many clients read the key."""
    for _ in range(count):
        client = await found.served.connect()
        assert await client.call("GET", found.key) == b"$1\r\nx\r\n"
