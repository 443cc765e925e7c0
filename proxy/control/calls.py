"""Ask nodes on the proxy's own behalf, over the clients' pipelines.

Strategy: for what one request cannot answer alone (sums, SCAN, SCRIPT LOAD),
tasks call nodes and wait. A call is as patient as a client's request: as long as
it provably did not run it waits for a connection or for the node to come back
under another address, up to the same deadline.
"""

from __future__ import annotations

import trio

from proxy.cluster.map import Node
from proxy.cluster.topology import Topology
from proxy.control.pools import Pools
from proxy.control.retry import LONGEST_WAIT_S
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.errors import BackendUnavailable
from proxy.resp.encode import encode_command


class Calls:
    """The nodes, as fan-outs and local answers see them (``control.nodes.Nodes``)."""

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        watcher: Watcher,
        timeout_s: float,
    ) -> None:
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._watcher = watcher
        self._timeout_s = timeout_s

    @property
    def topology(self) -> Topology:
        """The map in use.

        Raises:
            BackendUnavailable: No map has been read yet.
        """
        if self._watcher.topology is None:
            raise BackendUnavailable("the cluster's map is not known yet", sent=False)
        return self._watcher.topology

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        """Return one node's raw reply frame; an error reply is a reply.

        Raises:
            BackendUnavailable: No reply will come.
        """
        return (await self.call_many(node, [args], resp=resp))[0]

    async def call_many(
        self, node: Node, commands: list[tuple[bytes, ...]], resp: int = 2
    ) -> list[bytes]:
        """Send several commands to one node, in order on one connection."""
        was_sent = False
        with trio.move_on_after(self._timeout_s):
            while True:
                try:
                    return await self._try(node, commands, resp)
                except BackendUnavailable as problem:
                    was_sent = problem.sent
                    if was_sent or self.topology.node_by_id(node.id) is None:
                        raise
                self._watcher.suspect()
                await trio.sleep(LONGEST_WAIT_S)
                node = self.topology.node_by_id(node.id) or node
        raise BackendUnavailable(
            f"no reply from {node.address} within {self._timeout_s:g} s (request_timeout_s)",
            sent=was_sent,
        )

    async def _try(
        self, node: Node, commands: list[tuple[bytes, ...]], resp: int
    ) -> list[bytes]:
        replies: list[bytes | BackendUnavailable] = []
        done = trio.Event()

        def take(reply: bytes | BackendUnavailable) -> None:
            replies.append(reply)
            if len(replies) == len(commands):
                done.set()

        pipeline = self._pools.lane(resp).pipeline_to(self._routes.number(node.address))
        requests = [
            self._engine.submit(pipeline, encode_command(*args), take) for args in commands
        ]
        try:
            await done.wait()
        finally:
            for request in requests:
                self._engine.abandon(request)
        frames: list[bytes] = []
        for reply in replies:
            if isinstance(reply, BackendUnavailable):
                raise BackendUnavailable(f"{node.address}: {reply}", sent=reply.sent)
            frames.append(reply)
        return frames
