"""Client-side caching: who is told that a key has changed, and over which connections.

Strategy: a client that tracks has a lane to itself. Its connections are told
CLIENT TRACKING ON before anything else, so the servers remember what this client
reads, and their invalidations come in between its replies, in their order. The
proxy remembers no key.

A client of RESP3 is told as the servers say it. One of RESP2 can only be told
through another client (REDIRECT); its connections speak RESP2, and beside each
of them a second one that speaks RESP3 hears for it (``Pools.open_lane``). Without
REDIRECT nobody could be told, and nothing is tracked until HELLO 3.

What cannot be known is said: a flush (an invalidation of null) when a connection
is lost, and at most ten times a second while slots move. With BCAST, which needs a
connection to every primary, they are made at once, and again after each change,
followed by another flush.

Some replies are made of what other connections have read: EXEC's, and those of
commands whose keys lie in several slots. A flush comes right behind them.

Cost: a connection for each primary that the client uses (BCAST: for each), two with RESP2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import trio

from proxy.control.everyone import all_primaries, ask_everyone, failure_of
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import AllNodes, Patience
from proxy.control.pools import LISTENER, Pools
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendUnavailable
from proxy.resp import replies
from proxy.resp.encode import integer
from proxy.sessions.tracking_options import Tracking

# While slots move, whoever tracks is told to forget all at most so often.
FLUSH_INTERVAL_S = 0.1  # chosen: a resharding changes hundreds of slots a second
RESTORES_WAITING = 100_000  # a tracker waits once, so there are as many as clients at most

# Needs no right, whatever the user's are, and changes nothing.
_ANY_COMMAND = (b"HELLO",)

_INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n"
FLUSH = _INVALIDATE + b"_\r\n"
_MESSAGE = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
_BROKEN = b">2\r\n$21\r\ntracking-redir-broken\r\n"


class Audience(Protocol):
    """Whom invalidations may be sent to."""

    def find_client(self, client_id: int) -> Client | None:
        """Return the open connection with this number, or None."""

    def is_subscriber(self, client: Client) -> bool:
        """Return whether the client has any subscription."""


class Tracker:
    """The connections of one client that tracks, and what they hear.

    Attributes:
        owes_flush: Something that OPTIN was to track will be read over other connections.
    """

    def __init__(
        self,
        client: Client,
        *,
        pools: Pools,
        key: LaneKey,
        tracking: Tracking,
        tell: Callable[[Client, bytes], None],
        restore: Callable[[Tracker], None],
    ) -> None:
        """Make the lane; nothing is connected yet.

        Raises:
            LimitReached: There are too many lanes.
        """
        self.client = client
        self.is_bcast = tracking.bcast
        self.is_restoring = False
        self.is_open = True
        self.owes_flush = False
        self._is_dropping = False
        self._pools = pools
        self._tell = tell
        self._restore = restore
        self._words = tracking.words
        self._listener: Lane | None = None
        self._deferred: list[bytes] | None = None
        setup: tuple[bytes, ...] = (b"CLIENT", b"TRACKING", b"ON")
        if key.resp == 2:
            self._listener = pools.open_lane(replace(key, resp=3, setup=((b"CLIENT", b"ID"),)))
            self._listener.on_pipeline = self._hear
            setup = (*setup, b"REDIRECT", LISTENER)
        try:
            self.lane = pools.open_lane(
                replace(key, setup=((*setup, *tracking.words),)), self._listener
            )
        except BaseException:
            if self._listener is not None:
                pools.close_lane(self._listener)
            raise
        self.lane.on_pipeline = self._watch

    def fits(self, key: LaneKey, tracking: Tracking) -> bool:
        """Return whether these are the connections for such a client."""
        return replace(key_of(self.lane), setup=()) == key and self._words == tracking.words

    def close(self) -> None:
        """Close the connections; nobody is told anything any more."""
        self.is_open = False
        self._pools.close_lane(self.lane)

    def flush(self) -> None:
        """Have the client forget all that it has read."""
        self._hear_frame(FLUSH)

    def defer(self) -> None:
        """Keep what is heard until ``go_on``: a reply made of several is being gathered."""
        self._deferred = []

    def go_on(self) -> None:
        """Tell what was kept."""
        deferred, self._deferred = self._deferred, None
        for frame in deferred or ():
            self._hear_frame(frame)

    def let_go(self, serving: set[int]) -> None:
        """Close the connections to nodes that are no primaries any more."""
        for pipeline in list(self.lane):
            if pipeline.node not in serving and not pipeline.sent_count and pipeline.is_connected:
                self._drop(pipeline)

    def _drop(self, pipeline: Pipeline) -> None:
        self._is_dropping = True
        try:
            self._pools.drop(pipeline)
        finally:
            self._is_dropping = False

    def _watch(self, pipeline: Pipeline) -> None:
        """Take a new pipeline of the client's requests."""
        pipeline.on_push = self._hear_frame
        pipeline.on_lost = partial(self._lost, pipeline, self._listener)

    def _hear(self, pipeline: Pipeline) -> None:
        """Take a new pipeline that only listens."""
        pipeline.on_push = self._hear_frame
        pipeline.on_lost = partial(self._lost, pipeline, self.lane)

    def _lost(self, pipeline: Pipeline, other: Lane | None) -> None:
        """A connection is gone: what changed meanwhile will never be heard."""
        if not self.is_open or self._is_dropping:
            return
        if other is not None:
            # One without the other is of no use.
            for partner in other.pipelines_to(pipeline.node):
                if partner.is_connected:
                    self._drop(partner)
        self.flush()
        if self.is_bcast:
            self._restore(self)

    def _hear_frame(self, frame: bytes) -> None:
        if not self.is_open:
            return
        if self._deferred is not None:
            self._deferred.append(frame)
        elif frame.startswith(_INVALIDATE):
            self._tell(self.client, frame)


class Trackers:
    """Every client that tracks; also who gives a client its lane."""

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        nodes: AllNodes,
        audience: Audience,
    ) -> None:
        self._engine = engine
        self._pools = pools
        self._nodes = nodes
        self._audience = audience
        self._by_client: dict[Client, Tracker] = {}
        self._slots_changed = trio.Event()
        self._late: list[Tracker] = []
        self._is_late = trio.Event()
        self._broken_send, self._broken_receive = trio.open_memory_channel[Tracker](
            RESTORES_WAITING
        )

    def __len__(self) -> int:
        return len(self._by_client)

    # ---- a client's lane ---------------------------------------------------------------

    def use(self, client: Client, key: LaneKey, tracking: Tracking | None) -> None:
        """Serve a client over connections of this kind, that track or do not.

        Raises:
            LimitReached: It needs a lane of its own, or is the first of its kind, and
                there are too many; the client stays where it is.
        """
        key = replace(key, setup=())
        state = client.state
        before = after = self._by_client.get(client)
        if tracking is None or (key.resp == 2 and not tracking.redirect):
            # RESP2 without REDIRECT: there is no way to tell it, so nothing is worth tracking.
            self._engine.use_lane(client, self._pools.lane(key))
            after = self._by_client.pop(client, None) and None
        elif before is None or not before.fits(key, tracking):
            after = self._by_client[client] = Tracker(
                client,
                pools=self._pools,
                key=key,
                tracking=tracking,
                tell=self._tell,
                restore=self._restore,
            )
            self._engine.use_lane(client, after.lane)
        if before is not None and before is not after:
            before.close()
        was_tracking, state.tracking = state.tracking is not None, tracking
        if after is not None and after is not before and was_tracking:
            # What it read over other connections, nobody tracks any more. Said behind the
            # reply: a client may be of RESP3 only when it has that.
            self._late.append(after)
            self._is_late.set()

    def forget(self, client: Client) -> None:
        """Close what a client had that is gone."""
        tracker = self._by_client.pop(client, None)
        if tracker is not None:
            tracker.close()

    def tracker_of(self, client: Client) -> Tracker | None:
        """Return the connections of a client that tracks."""
        return self._by_client.get(client)

    # ---- what is heard -----------------------------------------------------------------

    def _tell(self, client: Client, frame: bytes) -> None:
        """Pass on an invalidation, as a server does to a client or to its redirection's target."""
        tracking = client.state.tracking
        if tracking is None or client.is_closed:
            return
        target: Client | None = client
        if tracking.redirect:
            target = self._audience.find_client(tracking.redirect)
        if target is None:
            client.state.tracking = replace(tracking, broken=True)
            if client.resp == 3:
                self._engine.push(client, _BROKEN + integer(tracking.redirect))
        elif target.resp == 3:
            self._engine.push(target, frame)
        elif tracking.redirect and self._audience.is_subscriber(target):
            keys = frame.removeprefix(_INVALIDATE)
            self._engine.push(target, _MESSAGE + (b"$-1\r\n" if keys == b"_\r\n" else keys))

    def note_untracked(self, client: Client) -> None:
        """Have a client forget what other connections than its own have read for it."""
        tracking = client.state.tracking
        tracker = self._by_client.get(client)
        if tracker is None or tracking is None or tracking.bcast:
            return
        if tracker.owes_flush or not tracking.optin:
            tracker.owes_flush = False
            tracker.flush()

    # ---- keeping it up -------------------------------------------------------------------

    async def run(self) -> None:
        """Flush after changes of the map and restore what is lost, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_map)
            nursery.start_soon(self._flush_late)
            async for tracker in self._broken_receive:
                nursery.start_soon(self._connect_again, tracker)

    def map_changed(self) -> None:
        """Note that slots have other primaries than before."""
        if self._by_client:
            self._slots_changed.set()

    async def _flush_late(self) -> None:
        while True:
            await self._is_late.wait()
            self._is_late = trio.Event()
            late, self._late = self._late, []
            for tracker in late:
                tracker.flush()

    async def _follow_map(self) -> None:
        while True:
            await self._slots_changed.wait()
            self._slots_changed = trio.Event()
            topology = self._nodes.topology
            serving = {self._pools.number(node) for node in all_primaries(topology)}
            for tracker in list(self._by_client.values()):
                tracker.let_go(serving)
                tracker.flush()
                if tracker.is_bcast:
                    self._restore(tracker)
            await trio.sleep(FLUSH_INTERVAL_S)

    async def connect(self, client: Client) -> bytes | None:
        """Connect a client that tracks with BCAST, so that it misses nothing from now on.

        Returns:
            None, or the error frame.
        """
        tracker = self._by_client.get(client)
        return await self._reach(tracker) if tracker is not None and tracker.is_bcast else None

    async def _reach(self, tracker: Tracker) -> bytes | None:
        """Have all primaries connected; return what goes wrong."""
        patience = Patience(self._nodes)
        try:
            answers = await ask_everyone(
                [_ANY_COMMAND],
                all_primaries,
                nodes=self._nodes.over(tracker.lane),
                patience=patience,
            )
        except BackendUnavailable:
            return replies.unreached_cluster(patience.timeout_s)
        return failure_of(b"client|tracking", answers, patience)

    def _restore(self, tracker: Tracker) -> None:
        if not tracker.is_restoring:
            tracker.is_restoring = True
            self._broken_send.send_nowait(tracker)

    async def _connect_again(self, tracker: Tracker) -> None:
        """Connect to every primary, and flush: what changed before was not heard."""
        while tracker.is_open:
            tracker.is_restoring = False
            failure = await self._reach(tracker)
            if failure is None and not tracker.is_restoring:
                tracker.flush()
                return
