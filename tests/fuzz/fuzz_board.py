"""An engine with hostile or honest ends, which every target of the engine plays on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from lots import Lots
from switchboard import RECEIVE_BYTES, FakeControl, key_count, key_range, spec_of

from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import RequestStream
from proxy.dataplane.hooks import Action, Punt
from proxy.dataplane.lane import Lane, Pipeline
from proxy.dataplane.tables import Command, CommandTable, SlotMap
from proxy.resp.encode import array, bulk, integer
from proxy.sessions.state import ClientState

NODES = 3
OWNERS = [b"alice", b"bob", b"carol"]
COUNTED = (b"del", b"exists")
# A reply that never comes would be waited for; nothing here may take so many ticks.
MANY_TICKS = 20_000

ROWS: tuple[CommandSpec, ...] = (
    spec_of(b"get", key_range(), arity=2, is_write=False),
    spec_of(b"set", key_range(), arity=-3),
    spec_of(
        b"mget", key_range(1, -1), arity=-2, is_write=False, road=Road.SPLIT, merge=Merge.ARRAY
    ),
    spec_of(b"mset", key_range(1, -1, 2), arity=-3, road=Road.SPLIT, merge=Merge.ALL_OK),
    spec_of(b"del", key_range(1, -1), arity=-2, road=Road.SPLIT, merge=Merge.SUM),
    spec_of(
        b"msetex", key_count(1, 0, 1, 2), arity=-4, road=Road.SPLIT, merge=Merge.ALL_OK,
        unsplittable_if=(b"NX", b"XX"),
    ),
    spec_of(b"eval", key_count(2), arity=-3),
    spec_of(b"zunion", key_count(), arity=-3, is_write=False),
    spec_of(b"xread", key_range(1, -1), arity=-4, blocking_keyword=b"BLOCK", is_write=False),
    spec_of(b"blpop", key_range(1, -2), arity=-3, road=Road.SESSION),
    spec_of(b"ping", arity=-1, road=Road.LOCAL),
    spec_of(b"config", arity=-2, road=Road.LOCAL, is_container=True),
    spec_of(b"config|get", arity=-3, road=Road.LOCAL),
)  # fmt: skip


@cache
def _slots() -> SlotMap:
    return SlotMap([slot % NODES for slot in range(16384)], 1)


@cache
def _rows() -> CommandTable:
    return CommandTable(ROWS)


def answer(args: list[bytes]) -> bytes:
    """Return what an honest node, or the control plane, says to a request."""
    match args[0].lower():
        case b"mget":
            return array([bulk(key) for key in args[1:]])
        case b"mset" | b"msetex":
            return b"+OK\r\n"
        case name if name in COUNTED:
            return integer(len(args) - 1)
    return bulk(b" ".join(args))


class Control(FakeControl):
    """Answers what leaves the hot road, at once or later, as a node would."""

    def __init__(self, lane: Lane, lots: Lots) -> None:
        super().__init__(lane)
        self.lots = lots
        self.later: list[tuple[Client, bytes]] = []
        self.wanted: set[Pipeline] = set()

    def accepted(self, client: Client) -> None:
        client.state = ClientState(authenticated=True)

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        if self.lots.byte() % 4 == 3:
            self.later.append((client, answer(args)))
            return None
        return answer(args)

    def judge(
        self, node: int, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, int, float]:
        if attempts > 3:
            return Action.PASS, -1, 0.0
        kind = self.lots.choice([Action.BY_MAP, Action.ASK, Action.PASS])
        return kind, self.lots.below(NODES) if kind == Action.ASK else -1, 0.0

    def lacks_script(self, pipeline: Pipeline, request: bytes, attempts: int) -> float | None:
        return None if attempts > 2 else 0.0

    def note_script(self, body: bytes) -> None:
        assert isinstance(body, bytes)

    def overtaken(self, node: int, *, was_lost: bool) -> bytes:
        return b"-OVERTAKEN\r\n"

    def cut_off(self, node: int) -> bytes:
        return b"-CUTOFF\r\n"

    def need_connection(self, pipeline: Pipeline) -> None:
        self.wanted.add(pipeline)

    def lost_connection(self, pipeline: Pipeline) -> None:
        self.wanted.add(pipeline)


@dataclass
class Node:
    """The far end of a pipeline: honest until told otherwise."""

    pipeline: Pipeline
    socket: socket.socket
    stream: RequestStream = field(default_factory=RequestStream)
    due: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        """Read what has come, and owe the answers."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        for args in self.stream.feed(data):
            self.due += b"+OK\r\n" if args == [b"ASKING"] else answer(args)

    def pay(self, length: int) -> None:
        """Send so many bytes of what is owed."""
        if length and self.due:
            send(self.socket, bytes(self.due[:length]))
            del self.due[:length]


@dataclass
class Caller:
    """A client's end: all it has sent, all it has been sent."""

    owner: bytes
    socket: socket.socket
    sent: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    is_closed: bool = False

    def send(self, length: int) -> None:
        """Send so many of the bytes that it has to send."""
        piece = bytes(self.unsent[:length])
        del self.unsent[: len(piece)]
        self.sent += piece
        if piece:
            send(self.socket, piece)

    def read(self) -> None:
        """Read what has come."""
        try:
            while data := self.socket.recv(RECEIVE_BYTES):
                self.received += data
            self.is_closed = True
        except BlockingIOError:
            return
        except ConnectionError:
            self.is_closed = True


class Board:
    """An engine with clients and nodes on socket pairs; everything happens when it is told."""

    def __init__(
        self,
        lots: Lots,
        make_control: Callable[[Lane, Lots], Control] = Control,
        **limits: int,
    ) -> None:
        self.lots = lots
        self.lane = Lane(2)
        self.control = make_control(self.lane, lots)
        self.engine = Engine(self.control)
        self.engine.set_request_limits(**limits)
        self.engine.add_lane(self.lane)
        self.engine.install_commands(_rows())
        self.engine.install_slots(_slots())
        self.engine.reply_limit_bytes = 4096
        self.nodes: list[Node] = []
        for number in range(NODES):
            self.connect(self.lane.pipeline_to(number))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(b"")
        self.listener.listen(8)
        self.listener.setblocking(False)
        self.engine.listen(self.listener.fileno())
        self.callers = [self._caller(owner) for owner in OWNERS]

    def _caller(self, owner: bytes) -> Caller:
        end = socket.socket(socket.AF_UNIX)
        end.connect(self.listener.getsockname())
        end.setblocking(False)
        return Caller(owner, end)

    def connect(self, pipeline: Pipeline) -> None:
        """Give a pipeline a connection to an honest node."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.engine.attach(pipeline, ours.detach())
        self.nodes.append(Node(pipeline, theirs))

    def reconnect(self) -> bool:
        """Connect whatever the engine wants connected; return whether anything was."""
        is_wanted = bool(self.control.wanted)
        for pipeline in sorted(self.control.wanted, key=lambda each: each.node):
            if not pipeline.is_connected:
                self.nodes = [node for node in self.nodes if node.pipeline is not pipeline or
                              node.socket.close()]  # fmt: skip
                self.connect(pipeline)
        self.control.wanted.clear()
        return is_wanted

    def tick(self, nodes: list[Node]) -> None:
        """Let the engine work, and these nodes read and owe."""
        self.engine.tick(0)
        for node in nodes:
            node.read()
        for caller in self.callers:
            caller.read()

    def answer_later(self) -> None:
        """Bring the oldest answer that the control plane owes."""
        if self.control.later:
            self.engine.finish_punt(*self.control.later.pop(0))

    def finish(self) -> None:
        """Have everybody send, answer and read everything that is left, from honest nodes."""
        for _ in range(MANY_TICKS):
            is_busy = self.engine.tick(0) | self.reconnect()
            for caller in self.callers:
                is_busy |= bool(caller.unsent)
                caller.send(RECEIVE_BYTES)
            for node in self.nodes:
                node.read()
                is_busy |= bool(node.due)
                node.pay(RECEIVE_BYTES)
            is_busy |= bool(self.control.later)
            self.answer_later()
            for caller in self.callers:
                caller.read()
            if not is_busy:
                return
        raise AssertionError("it never comes to rest")

    def close(self) -> None:
        """Close every socket, on both sides."""
        self.engine.stop_listening(self.listener.fileno())
        self.listener.close()
        self.engine.close()
        for end in (*self.callers, *self.nodes):
            end.socket.close()


def send(end: socket.socket, data: bytes) -> None:
    """Send what the kernel takes, if the other side is still there."""
    try:
        end.send(data)
    except OSError:
        return  # the other side has closed it
