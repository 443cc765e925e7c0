"""Keep the lanes' connections: dial them, lease private ones, let go of nodes that are gone.

Strategy: a pipeline is dialled when it has something to send, by one task that
tries until it succeeds or nothing waits any more; what waits meanwhile is
bounded by the requests' own deadlines. A node that has left the map keeps its
connections only until it has answered what it was asked.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.private import IDLE_S, PrivateConnection, PrivateConnections
from proxy.control.retry import backoff_s
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendProtocolError, BackendUnavailable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What all connections of a lane have in common; clients of the same key share it."""

    resp: int
    """Protocol version, 2 or 3."""
    credentials: Credentials | None = None
    """Whose rights they have; None: the proxy's own."""
    database: int = 0
    """What SELECT was told."""
    setup: tuple[tuple[bytes, ...], ...] = ()
    """Commands run on each of them before anything else."""


class Pools:
    """The lanes of the proxy and their connections.

    Args:
        width: Connections to each node, for each lane.
        private_limit: Private connections in use at a time.
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
        private_limit: int,
    ) -> None:
        self.dials = 0
        self.failed_dials = 0
        self.private = PrivateConnections(engine=engine, limit=private_limit)
        self._engine = engine
        self._routes = routes
        self._watcher = watcher
        self._credentials = credentials
        self._connect_timeout_s = connect_timeout_s
        self._width = width
        self._shared: dict[LaneKey, Lane] = {}
        self._lanes: list[Lane] = []
        self._wanted_send, self._wanted_receive = trio.open_memory_channel[Pipeline](10_000)
        self._dialling: set[Pipeline] = set()

    # ---- lanes --------------------------------------------------------------------

    def lane_for(self, resp: int) -> Lane:
        """Return the lane of clients that only speak this protocol version."""
        return self.lane(LaneKey(resp))

    def lane(self, key: LaneKey) -> Lane:
        """Return the lane that all clients of this kind share."""
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._open(key, self._width)
        return found

    def open_lane(self, key: LaneKey) -> Lane:
        """Return a new lane, for one client alone; ``close_lane`` ends it."""
        return self._open(key, 1)

    def close_lane(self, lane: Lane) -> None:
        """Close a lane that no client uses any more."""
        self._lanes.remove(lane)
        self._engine.remove_lane(lane)

    def _open(self, key: LaneKey, width: int) -> Lane:
        lane = Lane(key.resp, width, key)
        self._lanes.append(lane)
        self._engine.add_lane(lane)
        return lane

    # ---- shared connections -----------------------------------------------------------

    def want(self, pipeline: Pipeline) -> None:
        """Have a pipeline connected."""
        if pipeline not in self._dialling:
            self._dialling.add(pipeline)
            self._wanted_send.send_nowait(pipeline)

    async def run(self) -> None:
        """Dial what is wanted and close what is idle, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_idle)
            async for pipeline in self._wanted_receive:
                nursery.start_soon(self._dial, pipeline)

    async def _close_idle(self) -> None:
        while True:
            await trio.sleep(IDLE_S / 2)
            self.private.close_old()

    async def _dial(self, pipeline: Pipeline) -> None:
        attempts = 0
        try:
            while pipeline.unsent_count and not pipeline.is_connected:
                address = self._routes.address(pipeline.node)
                if address is None:
                    return
                try:
                    fd = await self._connect(pipeline.lane, address)
                except (BackendUnavailable, BackendProtocolError) as problem:
                    if attempts == 0:
                        log.warning("node unreachable", node=str(address), problem=str(problem))
                    self._watcher.suspect()
                    await trio.sleep(backoff_s(attempts))
                    attempts += 1
                    continue
                if pipeline.lane not in self._lanes:
                    os.close(fd)
                    return
                self._engine.attach(pipeline, fd)
        finally:
            self._dialling.discard(pipeline)

    async def _connect(self, lane: Lane, address: Address) -> int:
        """Return the socket of a new connection as this lane's have to be."""
        key = lane.key
        assert isinstance(key, LaneKey)
        self.dials += 1
        try:
            connection = await NodeConnection.open(
                address,
                self._credentials if key.credentials is None else key.credentials,
                resp=key.resp,
                database=key.database,
                setup=key.setup,
                connect_timeout_s=self._connect_timeout_s,
            )
        except (BackendUnavailable, BackendProtocolError):
            self.failed_dials += 1
            raise
        return connection.detach()

    # ---- private connections -----------------------------------------------------------

    @asynccontextmanager
    async def lease(self, node: Node, like: Lane) -> AsyncIterator[PrivateConnection]:
        """Lend a connection to ``node`` that nobody else uses, with the rights of a lane.

        It is closed at the end unless its user has called ``keep``.

        Raises:
            BackendUnavailable: The node cannot be reached; nothing was sent.
            BackendProtocolError: It does not speak RESP.
            LimitReached: Too many are in use.
        """
        private = self.private.take_idle(like.key, node.address)
        if private is None:
            fd = await self._connect(like, node.address)
            number = self._routes.number(node.address)
            private = self.private.add(like, number, node.address, fd)
        try:
            yield private
        finally:
            self.private.give_back(like.key, private)

    # ---- nodes that are gone ------------------------------------------------------------

    def retire(self, topology: Topology) -> None:
        """Close connections to nodes that are not in the map and owe nothing."""
        self.private.retire(topology)
        present = {node.address for node in topology.nodes}
        for number in self._routes.numbers():
            if self._routes.address(number) in present:
                continue
            pipelines = [p for lane in self._lanes for p in lane.pipelines_to(number)]
            for pipeline in pipelines:
                if pipeline.sent_count == 0:
                    self._engine.drop(pipeline)
            if all(p.sent_count + p.unsent_count == 0 for p in pipelines):
                for lane in self._lanes:
                    lane.forget(number)
                self._routes.forget(number)
