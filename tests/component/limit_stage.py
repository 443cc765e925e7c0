"""What a scenario of a limit has: a proxy whose limit is low, and clients by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from broker import Broker
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served


@dataclass
class Stage:
    """A proxy whose limit is low, its cluster, and what is held back there."""

    served: Served
    cluster: FakeCluster
    broker: Broker
    named: dict[str, RawClient] = field(default_factory=dict)

    async def client(self, name: str = "one", *, receive_buffer_bytes: int = 0) -> RawClient:
        """Return a client of this name; the same one each time."""
        if name not in self.named:
            self.named[name] = await self.served.connect(receive_buffer_bytes=receive_buffer_bytes)
        return self.named[name]

    async def lazy(self) -> RawClient:
        """Return a client whose kernel keeps little of what it does not read."""
        return await self.client("lazy", receive_buffer_bytes=4096)

    async def below(self) -> None:
        """Do what stays below the limit."""

    async def above(self) -> None:
        """Do what does not."""

    def hits(self, limit: str) -> int:
        """Return how often a limit was reached."""
        return self.served.engine.meter.limits[limit]

    def key(self, node: int = 0) -> bytes:
        """Return a key of one node."""
        return self.cluster.key_of(self.cluster.nodes[node])


SCENARIOS: dict[str, tuple[dict[str, float], type[Stage]]] = {}


def scenario(limit: str, value: float, **others: float) -> Callable[[type[Stage]], type[Stage]]:
    """Take a class as the scenario of a limit, with these settings of ``[limits]``."""

    def take(stage: type[Stage]) -> type[Stage]:
        SCENARIOS[limit] = ({limit: value, **others}, stage)
        return stage

    return take
