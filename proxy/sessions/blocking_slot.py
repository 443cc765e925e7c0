"""Wait at the primary of one slot, as the client asked it to be waited.

Strategy: the command goes as the client sent it over a private connection to the
slot's primary, and what the server says comes back as it is. When the server will not
have the client any longer (the slot moved, a replica took over, the connection broke),
the wait goes on at the next primary for the rest of the time.

What is guaranteed:

- Nobody gets an element twice. A pop is sent again only after the server has refused
  it, or after its connection is gone, which ends it there.
- A client that leaves takes nothing with it: the server is told to end the wait, and
  says in the same breath whether it had served it already. If so, the element goes back
  to the end it came from. BLMOVE has put it where the client wanted it, and XREADGROUP
  has noted it as pending: both stay.
- An element is lost only with its server, as a standalone server loses one: it popped,
  and died, or its connection did, before the reply was read. If nothing of the reply had
  come, nobody can tell this from a server that died waiting, which is what happens in
  nearly all cases, so the wait goes on. If the reply had begun, the client hears that it is
  lost, and nothing is popped a second time.

Cost: a private connection and a trio task for each client that waits, and CLIENT ID in
the same packet as the command.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Protocol

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.lane_key import key_of
from proxy.control.pools import Pools
from proxy.control.private import PrivateConnection
from proxy.dataplane.hooks import Action
from proxy.dataplane.lane import Lane
from proxy.errors import BackendRefused, BackendUnavailable
from proxy.resp import replies
from proxy.resp import replies_blocking as say
from proxy.sessions import blocking_words as words

log = structlog.get_logger()

# Sent as the client wrote it when less than this has passed since.
PROMPT_S = 0.01
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 1.0  # between two attempts; a change of the map ends every pause
_FORCED = b"-UNBLOCKED force unblock"
_STREAM_GONE = b"-UNBLOCKED the stream key"


class Room(Protocol):
    """What a wait needs of the rest: ``blocking.Blocking``."""

    pools: Pools
    margin_s: float
    """How long a healthy server's own nil may be behind ours before it counts as unreachable."""

    def topology(self) -> Topology | None:
        """Return the map in use."""

    def suspect(self) -> None:
        """Have the map refreshed soon."""

    def judge(
        self, address: Address, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, Address | None, float]:
        """Return what to do after a refusal, where, and after how many seconds."""

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the map changes."""

    async def unblock_at(self, held: Held, *, with_error: bool) -> bool:
        """Have the server end a wait; False: it had ended before.

        Raises:
            BackendUnavailable: The server does not say.
        """

    def holding(self, address: Address) -> AbstractContextManager[None]:
        """Note that somebody waits at a node while the block lasts."""

    def let_go(self, stack: AsyncExitStack, held: Held) -> None:
        """End a wait that nobody is interested in, and give back what it took."""


class Held:
    """A blocking command on its private connection."""

    def __init__(
        self, private: PrivateConnection, lane: Lane, name: bytes, args: Sequence[bytes]
    ) -> None:
        self.private = private
        self.lane = lane
        self.name = name
        self.args = args
        self.id = b""
        """The connection's number at the server; empty until it is known."""
        self.has_arrived = False
        """The server reads what was sent."""
        self.was_replying = False
        """The connection was lost in the middle of the reply."""
        self.frame: bytes | None = None
        self._problem: BackendUnavailable | None = None
        self._is_over = trio.Event()
        self._read_bytes = private.bytes_in

    def send(self, before: Sequence[tuple[Reader, tuple[bytes, ...]]]) -> None:
        """Send the command, behind others whose replies go to their readers."""
        self.private.start(self._counted(self._take_id), b"CLIENT", b"ID")
        for take, args in before:
            self.private.start(self._counted(take), *args)
        self.private.start(self._take, *self.args)

    @property
    def is_over(self) -> bool:
        """Whether the server has answered, or never will."""
        return self._is_over.is_set()

    async def wait_over(self) -> None:
        """Wait until the server has answered, or never will."""
        await self._is_over.wait()

    async def reply(self) -> bytes:
        """Return the reply.

        Raises:
            BackendUnavailable: The connection is gone.
        """
        await self._is_over.wait()
        if self._problem is not None:
            raise self._problem
        assert self.frame is not None
        return self.frame

    def _counted(self, take: Reader) -> Reader:
        """Have a reply counted as read before it is taken."""

        def count(reply: bytes | BackendUnavailable) -> None:
            if isinstance(reply, bytes):
                self._read_bytes += len(reply)
            take(reply)

        return count

    def _take_id(self, reply: bytes | BackendUnavailable) -> None:
        self.has_arrived = True
        if isinstance(reply, bytes) and reply[:1] == b":":
            self.id = reply[1:-2]

    def _take(self, reply: bytes | BackendUnavailable) -> None:
        if isinstance(reply, BackendUnavailable):
            self._problem = reply
            self.was_replying = self.private.bytes_in > self._read_bytes
        else:
            self.frame = reply
        self._is_over.set()


class Reader(Protocol):
    """Takes a reply frame inside a tick."""

    def __call__(self, reply: bytes | BackendUnavailable) -> None:
        """Take it."""


class SlotWait:
    """One blocking command whose keys share a slot.

    Args:
        slot: -1 if it has no keys: any server says what is wrong with it.
        taken_at: When the client's request came, by ``trio.current_time``.
    """

    def __init__(
        self, room: Room, lane: Lane, *, slot: int, name: bytes, args: list[bytes], taken_at: float
    ) -> None:
        self._room = room
        self._lane = lane
        self._slot = slot
        self._name = name
        self._args = args
        self._taken_at = taken_at
        self._time_s = words.timeout_s(name, args)
        self._deadline = taken_at + (self._time_s or math.inf)
        self._scope = trio.CancelScope(deadline=self._deadline + room.margin_s)
        self._held: Held | None = None
        self._ended: bytes | None = None
        self._ask_at: Address | None = None
        self._ids: dict[int, bytes] = {}
        self._stream_gone: bytes | None = None
        self._redirects = 0
        self._attempts = 0

    @property
    def is_blocked(self) -> bool:
        """Whether the server has the command: its answer to CLIENT ID came in the same packet."""
        return self._held is not None and self._held.has_arrived

    async def run(self) -> bytes:
        """Wait, and return the client's reply."""
        with self._scope:
            while self._ended is None:
                frame = await self._wait_somewhere()
                if frame is not None:
                    return frame
        return self._ended or say.unreachable_at_timeout(self._name, self._slot)

    async def end(self, *, with_error: bool) -> bool:
        """End the wait as CLIENT UNBLOCK does; False: it has got its reply before."""
        held = self._held
        if held is not None:
            try:
                return await self._room.unblock_at(held, with_error=with_error)
            except BackendUnavailable:
                pass  # a hung server: the client need not hang with it
        self._ended = say.UNBLOCKED if with_error else words.nothing(self._lane.resp)
        self._scope.cancel()
        return True

    def remainder(self) -> list[bytes]:
        """Return the command for the rest of the wait; ``$`` is what it was at first."""
        return self._args_now()

    async def _wait_somewhere(self) -> bytes | None:
        """Wait at one node; None: it will not have us any longer."""
        node = self._node()
        if node is None:
            await self._pause()
            return None
        try:
            async with AsyncExitStack() as stack:
                private = await stack.enter_async_context(
                    self._room.pools.lease(node, like=self._lane)
                )
                began = trio.current_time()
                held = Held(private, self._lane, self._name, self._args_now())
                held.send(self._questions_before())
                self._held = held
                try:
                    with self._room.holding(node.address):
                        frame = await held.reply()
                except BackendUnavailable:
                    if held.was_replying and self._name != b"xread":
                        return replies.lost_write(str(node.address))
                    raise
                except trio.Cancelled:
                    self._room.let_go(stack.pop_all(), held)
                    raise
                finally:
                    self._held = None
                private.keep()
        except BackendUnavailable as problem:
            if isinstance(problem, BackendRefused) and not key_of(self._lane).is_own:
                raise
            log.debug("a blocked client goes on elsewhere", problem=str(problem))
            await self._pause()
            return None
        if trio.current_time() - began > LONGEST_PAUSE_S:
            self._attempts = self._redirects = 0
        return await self._judge(node.address, frame)

    def _node(self) -> Node | None:
        topology = self._room.topology()
        if topology is None:
            return None
        if self._ask_at is not None:
            return topology.node_at(self._ask_at)
        if self._slot < 0:
            return next(iter(topology.primaries), None)
        return topology.owner(self._slot)

    async def _pause(self) -> None:
        self._ask_at = None
        self._room.suspect()
        await self._room.pause(self._pause_s())
        self._attempts += 1

    def _pause_s(self) -> float:
        """Return how long to leave a slot alone: thousands may wait for it."""
        return min(FIRST_PAUSE_S * 2.0 ** min(self._attempts, 10), LONGEST_PAUSE_S)

    # ---- what is sent --------------------------------------------------------------------

    def _args_now(self) -> list[bytes]:
        """Return the command with what is left of its time, and ``$`` as it was at first."""
        args = self._args
        if self._ids:
            streams = words.parse_streams(args)
            assert streams is not None
            args = words.with_ids(args, streams, self._ids)
        passed_s = trio.current_time() - self._taken_at
        if not self._time_s or (passed_s < PROMPT_S and self._attempts == 0):
            return args
        return words.with_timeout(self._name, args, max(self._time_s - passed_s, words.LEAST_S))

    def _questions_before(self) -> list[tuple[Reader, tuple[bytes, ...]]]:
        """Return what has to be sent before the command: ASKING, and what ``$`` means."""
        before: list[tuple[Reader, tuple[bytes, ...]]] = []
        streams = words.parse_streams(self._args) if self._name in words.STREAMS else None
        if streams is not None and not self._ids:
            for stream in words.newest_streams(self._name, self._args, streams):
                key = self._args[streams.first_key + stream]
                question = (b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1")
                before.append((self._id_reader(stream), question))
        if self._ask_at is not None:
            asking: tuple[Reader, tuple[bytes, ...]] = (_ignore, (b"ASKING",))
            before = [each for question in before for each in (asking, question)] + [asking]
        return before

    def _id_reader(self, stream: int) -> Reader:
        def take(reply: bytes | BackendUnavailable) -> None:
            found = words.last_id(reply) if isinstance(reply, bytes) else None
            if found is not None:
                self._ids[stream] = found

        return take

    # ---- what came -----------------------------------------------------------------------

    async def _judge(self, address: Address, frame: bytes) -> bytes | None:
        """Return the client's reply, or None: the server would not have us."""
        if frame[:1] != b"-":
            return frame
        self._ask_at = None
        if frame.startswith(_FORCED):
            await self._pause()
            return None
        if frame.startswith(_STREAM_GONE):
            # Deleted, or moved with its slot: asked again, the server says which.
            self._stream_gone = frame
            self._attempts += 1
            return None
        if self._stream_gone is not None and frame.startswith(b"-NOGROUP"):
            return self._stream_gone
        action, place, wait_s = self._room.judge(address, frame, self._redirects, self._attempts)
        if action is Action.PASS:
            return frame
        self._ask_at = place if action is Action.ASK else None
        if self._slot < 0 and frame.startswith(b"-MOVED "):
            # The server found a key where the table saw none, as in a numkeys of " 1".
            self._slot = int(frame.split(b" ")[1])
        self._attempts += 1
        if wait_s:
            await self._room.pause(max(wait_s, self._pause_s()))
        else:
            self._redirects += 1
        return None


def _ignore(reply: bytes | BackendUnavailable) -> None:
    """Take the reply to ASKING."""
