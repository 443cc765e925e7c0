"""Keep the lanes' connections: dial them, lease private ones, let go of what nobody needs.

Strategy: a pipeline is dialled when it has something to send, by one task that
tries until it succeeds or nothing waits any more; what waits meanwhile is
bounded by the requests' own deadlines. A node that has left the map keeps its
connections only until it has answered what it was asked.

A lane of other rights or another database than the proxy's own is made for the
first client that needs it, and closed when none has had it for a while. If a
node will not have its connections (the user is gone, or may not do this), it is
not asked again: whoever waits gets the node's words (``on_refused``).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.notices import NOBODY, Notices
from proxy.control.private import IDLE_S, PrivateConnection, PrivateConnections
from proxy.control.read_policy import DEFAULT_USER, ReadersOf
from proxy.control.retry import backoff_s
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.cipher import Cipher
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendProtocolError, BackendRefused, BackendUnavailable, LimitReached
from proxy.resp import replies_lanes

# A lane that no client has is kept for so long: web workers come back every few seconds.
LANE_IDLE_S = 60.0  # chosen, not measured
MAX_DIALS_WAITING = 1_000_000  # each pipeline waits once, so this is never reached
# In a lane's setup: the number of the connection that hears for this one (``open_lane``).
LISTENER = b"<listener>"
READONLY = (b"READONLY",)


class Pools:
    """The lanes of the proxy and their connections.

    Args:
        width: Connections to each node, for each lane.
        private_limit: Private connections in use at a time.
        lane_limit: Lanes at a time, above those of the proxy's own and of newcomers.

    Attributes:
        newcomer: Whose rights a client has that has just come; None: the proxy's own.
        reads: Who answers the reads of which user; the default user's are a newcomer's.
        on_lane: Called with each new lane.
        on_unreachable: Called with each node that cannot be connected to.
        needs_readonly: Says of a lane and a node whether reads may go there, and it is a replica.
        on_refused: Called with a lane that a node will not have, and its refusal.
        on_doubt: Called with a lane of a user that has lost a connection.
        greeting: Returns what a node is told on each new connection of a lane.
        notices: Who keeps a record of what happens.
        dialling: Pipelines that a connection is being made for.
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
        lane_limit: int,
    ) -> None:
        self.newcomer: Credentials | None = None
        self.reads = ReadersOf()
        self.on_lane: Callable[[Lane], None] = lambda lane: None
        self.on_unreachable: Callable[[Address], None] = lambda address: None
        self.needs_readonly: Callable[[Lane, Address], bool] = lambda lane, address: False
        self.on_refused: Callable[[Lane, BackendRefused], None] = lambda lane, problem: None
        self.on_doubt: Callable[[Lane], None] = lambda lane: None
        self.greeting: Callable[[], Sequence[tuple[bytes, ...]]] = tuple
        self.notices: Notices = NOBODY
        self.dials = 0
        self.failed_dials = 0
        self.private = PrivateConnections(engine=engine, limit=private_limit)
        self._engine = engine
        self._routes = routes
        self._watcher = watcher
        self.credentials = credentials
        self.connect_timeout_s = connect_timeout_s
        self._width = width
        self.lane_limit = lane_limit
        self._shared: dict[LaneKey, Lane] = {}
        self._lanes: list[Lane] = []
        self._listeners: dict[Lane, Lane] = {}
        # When a client last had it, or somebody asked for it. Lanes of one client are not here.
        self._used_at: dict[Lane, float] = {}
        self._wanted_send, self._wanted_receive = trio.open_memory_channel[Pipeline](
            MAX_DIALS_WAITING
        )
        self.dialling: set[Pipeline] = set()

    # ---- lanes --------------------------------------------------------------------

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes."""
        return tuple(self._lanes)

    def lane_for(self, resp: int) -> Lane:
        """Return the lane of a client that has just come, in this protocol version."""
        return self.lane(self.newcomer_key(resp))

    def newcomer_key(self, resp: int) -> LaneKey:
        """Return what the connections are of a client that has just come."""
        return LaneKey(resp, self.newcomer, reads=self.reads.of(DEFAULT_USER))

    def lane(self, key: LaneKey) -> Lane:
        """Return the lane that all clients of this kind share.

        Raises:
            LimitReached: It would be one lane too many.
        """
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._open(key, self._width)
        if not self._is_permanent(key):
            self._used_at[found] = trio.current_time()
        return found

    def open_lane(self, key: LaneKey, listener: Lane | None = None) -> Lane:
        """Return a new lane, for one client alone; ``close_lane`` ends it.

        Args:
            listener: A lane that has a connection wherever the new one has. The word
                ``LISTENER`` in the setup becomes the number of that connection.

        Raises:
            LimitReached: It would be one lane too many.
        """
        lane = self._open(key, 1)
        if listener is not None:
            self._listeners[lane] = listener
        return lane

    def close_lane(self, lane: Lane) -> None:
        """Close a lane that no client uses any more; may be called again."""
        if lane not in self._lanes:
            return
        self._lanes.remove(lane)
        self._used_at.pop(lane, None)
        self._engine.remove_lane(lane)
        listener = self._listeners.pop(lane, None)
        if listener is not None:
            self.close_lane(listener)

    def _open(self, key: LaneKey, width: int) -> Lane:
        if not self._is_permanent(key) and self._count_others() >= self.lane_limit:
            self._close_idle_lanes(0.0)
            if self._count_others() >= self.lane_limit:
                self._engine.meter.note_limit("lane_limit")
                raise LimitReached("limits.lane_limit", self.lane_limit)
        lane = Lane(key.resp, width, key)
        self._lanes.append(lane)
        self._engine.add_lane(lane)
        self.on_lane(lane)
        return lane

    def _is_permanent(self, key: LaneKey) -> bool:
        """Return whether it is a lane of clients that have just come: there is always room."""
        return key.is_own or key == self.newcomer_key(key.resp)

    def _count_others(self) -> int:
        return sum(not self._is_permanent(key_of(lane)) for lane in self._lanes)

    def _close_idle_lanes(self, idle_s: float) -> None:
        """Close shared lanes that nobody has had for so long."""
        now = trio.current_time()
        in_use = {client.lane for client in self._engine.clients.values()}
        for lane, used_at in list(self._used_at.items()):
            if lane in in_use or any(p.sent_count + p.unsent_count for p in lane):
                self._used_at[lane] = now
            elif used_at < now - idle_s:
                if self._shared.get(key_of(lane)) is lane:
                    del self._shared[key_of(lane)]
                self.close_lane(lane)

    # ---- shared connections -----------------------------------------------------------

    def want(self, pipeline: Pipeline) -> None:
        """Have a pipeline connected."""
        if pipeline not in self.dialling:
            self.dialling.add(pipeline)
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
            self._close_idle_lanes(LANE_IDLE_S)

    async def _dial(self, pipeline: Pipeline) -> None:
        attempts = 0
        try:
            while pipeline.unsent_count and not pipeline.is_connected:
                address = self._routes.address(pipeline.node)
                if address is None:
                    return
                self._revive(pipeline.lane)
                try:
                    fd, cipher = await self._connect(pipeline.lane, address)
                except (BackendUnavailable, BackendProtocolError) as problem:
                    if attempts == 0:
                        self.notices.unreachable(address, str(problem))
                    if isinstance(problem, BackendRefused) and not key_of(pipeline.lane).is_own:
                        self.refuse_lane(pipeline.lane, problem)
                        return
                    self._watcher.nodes.unreachable(address, problem)
                    self._watcher.suspect()
                    self.on_unreachable(address)
                    await trio.sleep(backoff_s(attempts))
                    attempts += 1
                    continue
                if pipeline.lane not in self._lanes:
                    os.close(fd)
                    return
                self._engine.attach(pipeline, fd, cipher)
                self._watcher.nodes.reached(address)
                self.notices.connected(address)
        finally:
            self.dialling.discard(pipeline)

    def _revive(self, lane: Lane) -> None:
        """Take back a shared lane that was closed, but that a waiting client still needs."""
        key = key_of(lane)
        if lane not in self._lanes and not key.setup:
            self._lanes.append(lane)
            self._engine.add_lane(lane)
            self._used_at[lane] = trio.current_time()

    def refuse_user(self, credentials: Credentials, words: bytes) -> None:
        """Give up all lanes of a user that the servers do not let in any more."""
        for lane in self.lanes:
            if key_of(lane).credentials == credentials:
                self.refuse_lane(lane, BackendRefused("the cluster", words))

    def refuse_lane(self, lane: Lane, problem: BackendRefused) -> None:
        """Give up a lane that the nodes will not have; whoever comes next tries anew."""
        if self._shared.get(key_of(lane)) is lane:
            del self._shared[key_of(lane)]
            self._used_at[lane] = trio.current_time()  # to be closed when its clients are gone
        for pipeline in lane:
            if not pipeline.is_connected:
                self._engine.refuse(
                    pipeline, replies_lanes.user_refused(problem.node, problem.words)
                )
        self.on_refused(lane, problem)

    async def _connect(self, lane: Lane, address: Address) -> tuple[int, Cipher | None]:
        """Return the socket and the TLS of a new connection as this lane's have to be."""
        key = key_of(lane)
        listener = self._listeners.get(lane)
        if listener is not None:
            number = await self._listen(listener, address)
            key = replace(
                key,
                setup=tuple(
                    tuple(number if word == LISTENER else word for word in command)
                    for command in key.setup
                ),
            )
        if self.needs_readonly(lane, address):
            key = replace(key, setup=(READONLY, *key.setup))
        connection = await self._open_connection(key, address)
        await self._greet(connection, address)
        return connection.detach()

    async def _greet(self, connection: NodeConnection, address: Address) -> None:
        """Tell a node what it may lack; it need not want it."""
        commands = self.greeting()
        if commands:
            with trio.move_on_after(self.connect_timeout_s) as scope:
                try:
                    await connection.ask_all([*commands])
                except BaseException:
                    connection.close()
                    raise
            if scope.cancelled_caught:
                raise BackendUnavailable(f"{address} did not answer in time", sent=False)

    async def _listen(self, listener: Lane, address: Address) -> bytes:
        """Connect a listening lane to a node anew, and return the connection's number there."""
        pipeline = listener.pipeline_to(self._routes.number(address))
        connection = await self._open_connection(key_of(listener), address)
        try:
            number = await connection.ask("CLIENT", "ID")
        except BaseException:
            await connection.aclose()
            raise
        if not isinstance(number, int):
            await connection.aclose()
            raise BackendRefused(str(address), str(number).encode())
        self._engine.drop(pipeline)
        self._engine.attach(pipeline, *connection.detach())
        return b"%d" % number

    async def _open_connection(self, key: LaneKey, address: Address) -> NodeConnection:
        self.dials += 1
        try:
            return await NodeConnection.open(
                address,
                self.credentials if key.credentials is None else key.credentials,
                self._watcher.tls,
                resp=key.resp,
                database=key.database,
                setup=key.setup,
                connect_timeout_s=self.connect_timeout_s,
            )
        except (BackendUnavailable, BackendProtocolError):
            self.failed_dials += 1
            raise

    def lost(self, pipeline: Pipeline) -> None:
        """Note that a connection broke: a server closes those of a user it has deleted."""
        credentials = key_of(pipeline.lane).credentials
        if credentials is not None and credentials.words:
            self.on_doubt(pipeline.lane)

    def number(self, node: Node) -> int:
        """Return the number that the node's pipelines have."""
        return self._routes.number(node.address)

    def drop(self, pipeline: Pipeline) -> None:
        """Close a connection; it is dialled again when it is needed."""
        self._engine.drop(pipeline)

    # ---- private connections -----------------------------------------------------------

    @asynccontextmanager
    async def lease(self, node: Node, like: Lane) -> AsyncIterator[PrivateConnection]:
        """Lend a connection to ``node`` that nobody else uses, with the rights of a lane.

        It is closed at the end unless its user has called ``keep``. The setup of a lane
        of one client is not run on it.

        Raises:
            BackendUnavailable: The node cannot be reached; nothing was sent.
            BackendProtocolError: It does not speak RESP.
            LimitReached: Too many are in use.
        """
        key = replace(key_of(like), setup=())
        private = self.private.take_idle(key, node.address)
        if private is None:
            fd, cipher = (await self._open_connection(key, node.address)).detach()
            number = self._routes.number(node.address)
            private = self.private.add(like, number, node.address, fd, cipher)
        try:
            yield private
        finally:
            self.private.give_back(key, private)

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
                self._engine.meter.forget_node(number)
