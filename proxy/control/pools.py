"""Keep the pipelines connected, and let go of nodes that are gone.

Strategy: a pipeline is dialled when it has something to send, by one task that
tries until it succeeds or nothing waits any more; what waits meanwhile is
bounded by the requests' own deadlines. A node that has left the map keeps its
connections only until it has answered what it was asked.
"""

from __future__ import annotations

import structlog
import trio

from proxy.cluster.topology import Topology
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.retry import backoff_s
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendProtocolError, BackendUnavailable

log = structlog.get_logger()


class Pools:
    """The lanes of the proxy and their connections.

    Args:
        width: Connections to each node, for each lane.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        routes: Routes,
        watcher: Watcher,
        credentials: Credentials,
        connect_timeout_s: float,
        width: int,
    ) -> None:
        self.dials = 0
        self.failed_dials = 0
        self._engine = engine
        self._routes = routes
        self._watcher = watcher
        self._credentials = credentials
        self._connect_timeout_s = connect_timeout_s
        self._lanes = {resp: Lane(resp, width) for resp in (2, 3)}
        for lane in self._lanes.values():
            engine.add_lane(lane)
        self._wanted_send, self._wanted_receive = trio.open_memory_channel[Pipeline](10_000)
        self._dialling: set[Pipeline] = set()

    def lane(self, resp: int) -> Lane:
        """Return the lane of clients that speak this protocol version."""
        return self._lanes[resp]

    def want(self, pipeline: Pipeline) -> None:
        """Have a pipeline connected."""
        if pipeline not in self._dialling:
            self._dialling.add(pipeline)
            self._wanted_send.send_nowait(pipeline)

    async def run(self) -> None:
        """Dial what is wanted, for ever."""
        async with trio.open_nursery() as nursery:
            async for pipeline in self._wanted_receive:
                nursery.start_soon(self._dial, pipeline)

    async def _dial(self, pipeline: Pipeline) -> None:
        attempts = 0
        try:
            while pipeline.unsent_count and not pipeline.is_connected:
                address = self._routes.address(pipeline.node)
                if address is None:
                    return
                self.dials += 1
                try:
                    connection = await NodeConnection.open(
                        address,
                        self._credentials,
                        resp=pipeline.lane.resp,
                        connect_timeout_s=self._connect_timeout_s,
                    )
                except (BackendUnavailable, BackendProtocolError) as problem:
                    self.failed_dials += 1
                    if attempts == 0:
                        log.warning("node unreachable", node=str(address), problem=str(problem))
                    self._watcher.suspect()
                    await trio.sleep(backoff_s(attempts))
                    attempts += 1
                    continue
                self._engine.attach(pipeline, connection.detach())
        finally:
            self._dialling.discard(pipeline)

    def retire(self, topology: Topology) -> None:
        """Close connections to nodes that are not in the map and owe nothing."""
        present = {node.address for node in topology.nodes}
        for number in self._routes.numbers():
            if self._routes.address(number) in present:
                continue
            pipelines = [p for lane in self._lanes.values() for p in lane.pipelines_to(number)]
            for pipeline in pipelines:
                if pipeline.sent_count == 0:
                    self._engine.drop(pipeline)
            if all(p.sent_count + p.unsent_count == 0 for p in pipelines):
                for lane in self._lanes.values():
                    lane.forget(number)
                self._routes.forget(number)
