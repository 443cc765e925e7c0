"""A node that a test scripts: it speaks RESP over a real socket and misbehaves on cue.

Strategy: left alone, a node answers from its cluster's one store and redirects
like a server, so a test only says what is unusual. ``once`` and ``always`` put a
frame, or a fate of the connection, in the place of an answer; ``hold`` stops the
answers of a connection at one request until the test decides. As in a server, a
connection's answers come in the order of its requests, while requests are read,
and noted in ``log``, whatever the answers wait for.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import hiredis
import trio
import trio.testing
from pace import PACE

from proxy.cluster.addresses import Address
from proxy.resp.encode import error

if TYPE_CHECKING:
    from scripted_cluster import FakeCluster

# What the proxy asks on its own behalf; everything else is a client's.
HOUSEKEEPING = frozenset(
    {
        b"CLUSTER",
        b"INFO",
        b"COMMAND",
        b"CONFIG",
        b"FUNCTION",
        b"HELLO",
        b"AUTH",
        b"ASKING",
        b"READONLY",
    }
)
PATIENCE_S = 5.0 * PACE
# A proxy that is asked for something all the time never rests.
NOTICE_S = 1.0


class Fate(Enum):
    """What becomes of a connection instead of an answer."""

    CLOSE = "as a server that shuts down: FIN"
    RESET = "as a server that crashes: RST"


Answer = bytes | Fate
Answerer = Callable[["Seen"], Awaitable[Answer]]


@dataclass(eq=False)
class Seen:
    """A request as a node received it."""

    node: FakeNode
    connection: FakeConnection
    args: list[bytes]
    is_asking: bool = False
    """ASKING came directly before it, on the same connection."""


@dataclass(eq=False)
class Held:
    """A request whose answer waits for the test."""

    seen: Seen | None = None
    _arrived: trio.Event = field(default_factory=trio.Event)
    _decided: trio.Event = field(default_factory=trio.Event)
    _answer: Answer | None = None

    async def arrived(self) -> Seen:
        """Wait until it is this request's turn to be answered."""
        with trio.fail_after(PATIENCE_S):
            await self._arrived.wait()
        assert self.seen is not None
        return self.seen

    def answer(self, answer: Answer) -> None:
        """Answer with these bytes, or end the connection."""
        self._answer = answer
        self._decided.set()

    def let_go(self) -> None:
        """Answer as the node would have."""
        self._decided.set()

    async def __call__(self, seen: Seen) -> Answer:
        self.seen = seen
        self._arrived.set()
        await self._decided.wait()
        return seen.node.cluster.answer(seen) if self._answer is None else self._answer


@dataclass(eq=False)
class Rule:
    """Answers requests that begin with these words, so many times."""

    words: tuple[bytes, ...]
    answerer: Answerer
    times: float

    def fits(self, args: list[bytes]) -> bool:
        """Return whether a request begins with the rule's words, in any case."""
        return [word.upper() for word in args[: len(self.words)]] == [
            word.upper() for word in self.words
        ]


class FakeConnection:
    """One connection to a node: what it received, and how its answers leave."""

    def __init__(self, node: FakeNode, stream: trio.SocketStream) -> None:
        self.node = node
        self.resp = 2
        self.is_open = True
        self.is_readonly = False
        self.received = bytearray()
        self._stream = stream
        self._writing = trio.Lock()
        self._due_send, self._due_receive = trio.open_memory_channel[Seen](1_000_000)

    async def run(self) -> None:
        """Read and answer until one side ends it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._answer_all)
                await self._read_all()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.is_open = False
            await trio.aclose_forcefully(self._stream)

    async def _read_all(self) -> None:
        reader = hiredis.Reader()
        asking = False
        while True:
            await self.node.wait_until_thawed()
            data = await self._stream.receive_some(65536)
            if not data:
                return
            self.received += data
            reader.feed(data)
            while (args := reader.gets()) is not False:
                seen = Seen(self.node, self, args, is_asking=asking)
                asking = args[0].upper() == b"ASKING"
                self.node.note(seen)
                self._due_send.send_nowait(seen)

    async def _answer_all(self) -> None:
        async for seen in self._due_receive:
            await self.node.wait_until_thawed()
            answer = await self.node.answer(seen)
            if isinstance(answer, Fate):
                self.end(answer)
                return
            await self.send(answer)

    async def send(self, data: bytes) -> None:
        """Send bytes, also such that nobody asked for."""
        async with self._writing:
            await self._stream.send_all(data)

    def end(self, fate: Fate) -> None:
        """End the connection now."""
        if not self.is_open:
            return
        self.is_open = False
        if fate is Fate.RESET:
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()


class FakeNode:
    """One node of a ``FakeCluster``.

    Attributes:
        log: Every request, in the order received.
        view: What CLUSTER NODES says here, if not the truth.
    """

    def __init__(self, cluster: FakeCluster, index: int, node_id: str) -> None:
        self.cluster = cluster
        self.index = index
        self.id = node_id
        self.config_epoch = index + 1
        self.view: bytes | None = None
        self.log: list[Seen] = []
        self.connections: list[FakeConnection] = []
        self.port = 0
        self._rules: list[Rule] = []
        self._thawed = trio.Event()
        self._thawed.set()
        self._changed = trio.Event()
        self._listening = trio.CancelScope()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address("127.0.0.1", self.port)

    # ---- its life ---------------------------------------------------------------

    async def start(self, nursery: trio.Nursery, *, receive_buffer_bytes: int = 0) -> None:
        """Listen on its port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(100)
        self._listening = trio.CancelScope()
        nursery.start_soon(self._listen, trio.socket.from_stdlib_socket(listener), nursery)

    async def _listen(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        with listener, self._listening:
            while True:
                accepted, _ = await listener.accept()
                connection = FakeConnection(self, trio.SocketStream(accepted))
                self.connections.append(connection)
                nursery.start_soon(connection.run)

    async def crash(self) -> None:
        """Die as a crashed server does: no goodbye, sockets reset, nobody listens."""
        self._listening.cancel()
        await trio.lowlevel.checkpoint()
        self.lose_connections(Fate.RESET)
        with trio.move_on_after(NOTICE_S):
            await trio.testing.wait_all_tasks_blocked()

    def lose_connections(self, fate: Fate) -> None:
        """End every connection that is open."""
        for connection in self.connections:
            if connection.is_open:
                connection.end(fate)

    def freeze(self) -> None:
        """Keep every socket open, read nothing and answer nothing, as a hung server does."""
        self._thawed = trio.Event()

    def thaw(self) -> None:
        """Go on where it was."""
        self._thawed.set()

    async def wait_until_thawed(self) -> None:
        """Wait while frozen."""
        await self._thawed.wait()

    # ---- the script -------------------------------------------------------------

    def once(self, *words: bytes, answer: Answer, times: float = 1) -> None:
        """Give this answer to the next request that begins with these words."""
        self.by(*words, answerer=_always_answering(answer), times=times)

    def always(self, *words: bytes, answer: Answer) -> None:
        """Give this answer to every request that begins with these words."""
        self.once(*words, answer=answer, times=float("inf"))

    def by(self, *words: bytes, answerer: Answerer, times: float = float("inf")) -> None:
        """Have a function answer requests that begin with these words; none: all of a client."""
        self._rules.append(Rule(words, answerer, times))

    def hold(self, *words: bytes) -> Held:
        """Stop the answers of a connection at the next request that begins with these words."""
        held = Held()
        self.by(*words, answerer=held, times=1)
        return held

    def prefer_newest(self) -> None:
        """Look at the rule that was made last before all others."""
        self._rules.insert(0, self._rules.pop())

    def forget_script(self) -> None:
        """Answer as a server again."""
        self._rules.clear()

    async def answer(self, seen: Seen) -> Answer:
        """Return the answer to a request: the script's, or a server's."""
        for rule in self._rules:
            if rule.times > 0 and rule.fits(seen.args):
                if not rule.words and seen.args[0].upper() in HOUSEKEEPING:
                    continue
                rule.times -= 1
                return await rule.answerer(seen)
        return self.cluster.answer(seen)

    # ---- what it saw ------------------------------------------------------------

    def note(self, seen: Seen) -> None:
        """Remember a request."""
        self.log.append(seen)
        self._changed.set()
        self._changed = trio.Event()

    @property
    def requests(self) -> list[list[bytes]]:
        """What clients asked of it, in the order received."""
        return [seen.args for seen in self.log if seen.args[0].upper() not in HOUSEKEEPING]

    def seen(self, *words: bytes) -> list[Seen]:
        """Return the requests received so far that begin with these words."""
        rule = Rule(words, _always_answering(b""), 1)
        return [seen for seen in self.log if rule.fits(seen.args)]

    async def wait_for(self, *words: bytes, count: int = 1) -> list[Seen]:
        """Wait until so many requests that begin with these words were received."""
        with trio.fail_after(PATIENCE_S):
            while len(self.seen(*words)) < count:
                await self._changed.wait()
        return self.seen(*words)

    # ---- words of a server --------------------------------------------------------

    def moved(self, slot: int) -> bytes:
        """Return the MOVED that leads to this node."""
        return error(b"MOVED %d %b:%d" % (slot, self.cluster.announced_host, self.port))

    def ask(self, slot: int) -> bytes:
        """Return the ASK that leads to this node."""
        return error(b"ASK %d %b:%d" % (slot, self.cluster.announced_host, self.port))


def _always_answering(answer: Answer) -> Answerer:
    async def answerer(seen: Seen) -> Answer:
        return answer

    return answerer
