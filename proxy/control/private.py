"""Connections that one client has to itself for a while: leased, then given back or closed.

Strategy: what makes a connection somebody's own (WATCH, a blocked pop, a stream of
messages) goes over one of these and never over a lane's shared ones. Whoever
leases one says at the end that it is clean (``keep``); any other is closed, so
nobody ever meets what somebody else has left (law 9).

Cost: a connection to a node and, over loopback, 0.2 ms for a new one; none if one is idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.dataplane.cipher import Cipher
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import split_frames
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendUnavailable, LimitReached
from proxy.resp.encode import encode_command

IDLE_S = 20.0  # chosen: longer than the pauses of a client that polls
IDLE_LIMIT = 64  # to one node, for one kind of client; chosen


class PrivateConnection:
    """One connection to one node, used by one task at a time.

    Attributes:
        address: Where it leads to.
    """

    def __init__(self, engine: Engine, pipeline: Pipeline, address: Address) -> None:
        self.address = address
        self.is_clean = False
        self.idle_since = math.inf
        self._engine = engine
        self._pipeline = pipeline
        self._is_lost = False
        pipeline.on_lost = self._note_loss

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._is_lost

    @property
    def bytes_in(self) -> int:
        """How many bytes have come over it, in all its life."""
        return self._pipeline.bytes_in

    @property
    def on_push(self) -> Callable[[bytes], object] | None:
        """Takes push frames, inside a tick of the engine."""
        return self._pipeline.on_push

    @on_push.setter
    def on_push(self, take: Callable[[bytes], object] | None) -> None:
        self._pipeline.on_push = take

    async def ask(self, *args: bytes) -> bytes:
        """Return the raw reply frame to one command, however long it takes.

        Raises:
            BackendUnavailable: The connection is gone; ``sent`` says whether the
                node may have acted.
        """
        return await self._ask(encode_command(*args), 1)

    async def ask_many(self, commands: Sequence[tuple[bytes, ...]]) -> list[bytes]:
        """Send several commands at once and return their raw reply frames.

        Raises:
            BackendUnavailable: As ``ask``; ``sent`` if any of them may have run.
        """
        frame = b"".join(encode_command(*args) for args in commands)
        return split_frames(await self._ask(frame, len(commands)))

    def start(self, on_done: Callable[[bytes | BackendUnavailable], object], *args: bytes) -> None:
        """Send one command and do not wait; its reply frame comes to ``on_done``, inside a tick.

        Whoever leaves before it has come must not ``keep`` the connection.

        Raises:
            BackendUnavailable: The connection is gone.
        """
        if self._is_lost:
            raise BackendUnavailable(f"the connection to {self.address} is gone", sent=False)
        self._engine.submit(self._pipeline, encode_command(*args), on_done)

    def keep(self) -> None:
        """Say that no state is left on it, and no reply is owed: somebody else may have it."""
        self.is_clean = True

    def close(self) -> None:
        """Close it now; the node forgets what it held for this connection."""
        self.is_clean = False
        self._engine.drop(self._pipeline)

    async def _ask(self, frame: bytes, replies: int) -> bytes:
        if self._is_lost:
            raise BackendUnavailable(f"the connection to {self.address} is gone", sent=False)
        answer: bytes | BackendUnavailable | None = None
        done = trio.Event()

        def take(reply: bytes | BackendUnavailable) -> None:
            nonlocal answer
            answer = reply
            done.set()

        request = self._engine.submit(self._pipeline, frame, take, replies)
        try:
            await done.wait()
        finally:
            if answer is None:
                # Its reply is still to come, and must not be taken for the next one's.
                self._engine.abandon(request)
                self.close()
        if isinstance(answer, BackendUnavailable):
            raise BackendUnavailable(f"{self.address}: {answer}", sent=answer.sent)
        assert answer is not None
        return answer

    def _note_loss(self) -> None:
        self._is_lost = True


class PrivateConnections:
    """All of them: those in use, and those that wait to be used again.

    Args:
        limit: Of those in use at a time.
    """

    def __init__(self, *, engine: Engine, limit: int) -> None:
        self.limit = limit
        self._engine = engine
        self._in_use: set[PrivateConnection] = set()
        self._idle: dict[tuple[object, Address], list[PrivateConnection]] = {}

    @property
    def in_use(self) -> int:
        """How many are leased now."""
        return len(self._in_use)

    @property
    def idle(self) -> int:
        """How many wait to be used again."""
        return sum(map(len, self._idle.values()))

    def take_idle(self, key: object, address: Address) -> PrivateConnection | None:
        """Return one that is connected and clean, or None.

        Raises:
            LimitReached: Too many are in use.
        """
        if len(self._in_use) >= self.limit:
            self._engine.meter.note_limit("private_connection_limit")
            raise LimitReached("limits.private_connection_limit", self.limit)
        waiting = self._idle.get((key, address), [])
        while waiting:
            private = waiting.pop()
            if not private.is_lost:
                private.is_clean = False
                self._in_use.add(private)
                return private
        return None

    def add(
        self, lane: Lane, node: int, address: Address, fd: int, cipher: Cipher | None
    ) -> PrivateConnection:
        """Make one of a socket, and its TLS, that is connected and has shaken hands."""
        pipeline = Pipeline(lane, node)
        private = PrivateConnection(self._engine, pipeline, address)
        self._engine.attach(pipeline, fd, cipher)
        self._in_use.add(private)
        return private

    def give_back(self, key: object, private: PrivateConnection) -> None:
        """Take one whose user has done with it; it is closed unless it is clean."""
        self._in_use.discard(private)
        private.on_push = None
        waiting = self._idle.setdefault((key, private.address), [])
        if private.is_clean and not private.is_lost and len(waiting) < IDLE_LIMIT:
            private.idle_since = trio.current_time()
            waiting.append(private)
        else:
            private.close()

    def retire(self, topology: Topology) -> None:
        """Close those to nodes that serve no slot any more: nobody waits for a hung node."""
        serving = {node.address for node in topology.primaries}
        for private in list(self._in_use):
            if private.address not in serving:
                private.close()
        self._close_idle(lambda private: private.address not in serving)

    def close_old(self) -> None:
        """Close those that nobody has used for ``IDLE_S``."""
        oldest = trio.current_time() - IDLE_S
        self._close_idle(lambda private: private.idle_since < oldest)

    def _close_idle(self, is_due: Callable[[PrivateConnection], bool]) -> None:
        for place, waiting in list(self._idle.items()):
            for private in waiting:
                if is_due(private):
                    private.close()
            kept = [private for private in waiting if not private.is_lost and not is_due(private)]
            if kept:
                self._idle[place] = kept
            else:
                del self._idle[place]
