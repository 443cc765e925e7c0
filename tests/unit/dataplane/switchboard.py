"""A data plane in memory: the real engine, between clients and nodes on socket pairs.

Everything happens when a test says so: there is no thread, no trio and no clock,
only ``settle``, which ticks until nobody has anything left to do.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Self

from proxy.commands.spec import CommandSpec, KeySpec, Merge, Road
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import ReplyStream, RequestStream
from proxy.dataplane.hooks import Action, Guard, Punt
from proxy.dataplane.lane import Lane, Pipeline
from proxy.dataplane.tables import Command, CommandTable, SlotMap
from proxy.resp.encode import encode_command

SLOTS = 16384
RECEIVE_BYTES = 1 << 20

Answer = Callable[[list[bytes]], bytes | None]


def key_range(begin: int = 1, last_key: int = 0, step: int = 1, limit: int = 0) -> KeySpec:
    """Return the spec of keys that stand at fixed places."""
    return KeySpec(begin, b"", 0, False, last_key, step, limit, 0, 0, 1)


def key_count(begin: int = 1, keynum_index: int = 0, first_key: int = 1, step: int = 1) -> KeySpec:
    """Return the spec of keys that a number announces."""
    return KeySpec(begin, b"", 0, True, 0, 1, 0, keynum_index, first_key, step)


def spec_of(
    name: bytes,
    *key_specs: KeySpec,
    arity: int = -1,
    is_write: bool = True,
    road: Road = Road.FORWARD,
    merge: Merge = Merge.NONE,
    is_container: bool = False,
    blocking_keyword: bytes = b"",
    unsplittable_if: tuple[bytes, ...] = (),
) -> CommandSpec:
    """Return a row that says only what a test is about."""
    return CommandSpec(
        name=name,
        arity=arity,
        is_write=is_write,
        is_container=is_container,
        blocking_keyword=blocking_keyword,
        unsplittable_if=unsplittable_if,
        key_specs=key_specs,
        road=road,
        request_policy=b"",
        merge=merge,
        flags=frozenset(),
    )


class FakeControl:
    """Answers the engine's questions with words that say which question it was."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.asked: list[tuple[object, ...]] = []
        self.punt_reply: bytes | None = b"+punted\r\n"
        self.verdict: tuple[Action, int, float] = (Action.PASS, -1, 0.0)
        self.guarded = Guard.ALLOW
        self.confirmed: list[list[bytes]] = []
        self.on_judge: Callable[[], None] = lambda: None

    def named(self, name: str) -> list[tuple[object, ...]]:
        """Return what was said with the hooks of one name."""
        return [asked[1:] for asked in self.asked if asked[0] == name]

    def lane_for(self, resp: int) -> Lane:
        return self.lane

    def accepted(self, client: Client) -> None:
        self.asked.append(("accepted", client))

    def closed(self, client: Client, reason: str) -> None:
        self.asked.append(("closed", client.id, reason))

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        self.asked.append(("punt", reason, args))
        return self.punt_reply

    def judge(
        self, node: int, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, int, float]:
        self.asked.append(("judge", node, line))
        self.on_judge()
        return self.verdict

    def reader_refused(self, node: int, line: bytes, attempts: int) -> float:
        self.asked.append(("reader_refused", node, line))
        return 0.0

    def need_connection(self, pipeline: Pipeline) -> None:
        self.asked.append(("need_connection", pipeline.node))

    def lost_connection(self, pipeline: Pipeline) -> None:
        self.asked.append(("lost_connection", pipeline.node))

    def silent(self, pipeline: Pipeline, seconds: float) -> None:
        self.asked.append(("silent", pipeline.node))

    def uncovered(self, slot: int) -> None:
        self.asked.append(("uncovered", slot))

    def gave_up(
        self,
        slot: int,
        node: int,
        *,
        was_sent: bool,
        is_write: bool,
        patience: int,
    ) -> bytes:
        return b"-GAVEUP sent=%d\r\n" % was_sent

    def waited_in_vain(self, node: int, waited_s: float) -> None:
        self.asked.append(("waited_in_vain", node))

    def hopeless(self, slot: int, node: int) -> bytes:
        return b"-HOPELESS %d\r\n" % node

    def lost_reply(self, slot: int, node: int, *, is_write: bool) -> bytes:
        return b"-LOST write=%d\r\n" % is_write

    def parts_failed(self, command: Command, failed: int, parts: int, first_error: bytes) -> bytes:
        return b"-FAILED %d of %d: %b\r\n" % (failed, parts, b" ".join(first_error.split()))

    def replies_differ(self, command: Command) -> bytes:
        return b"-DIFFER %b\r\n" % command.name

    def reply_too_big(self, node: int) -> bytes:
        return b"-TOOBIG\r\n"

    def guard(self, client: Client, command: Command) -> Guard:
        return self.guarded

    def is_confirmed(self, client: Client, args: list[bytes]) -> bool:
        return args in self.confirmed

    def out_of_memory(self) -> bytes:
        return b"-NOMEMORY\r\n"

    def too_wide(self, command: Command, slots: int) -> bytes:
        return b"-TOOWIDE %d\r\n" % slots

    def over_rate(self, client: Client, is_bytes: bool) -> bytes:
        return b"-TOOFAST %b\r\n" % (b"bytes" if is_bytes else b"commands")

    def protocol_error(self, fault: str, got: bytes) -> bytes:
        return b"-PROTOCOL %b\r\n" % fault.encode()

    def inline_args(self, line: bytes) -> list[bytes] | None:
        return line.split()

    def distrusts(self, host: str) -> bytes | None:
        return None

    def turn_away(self, host: str, told: str | None, has_tls: bool) -> bytes | None:
        return None

    def too_many_clients(self) -> bytes:
        return b"-FULL\r\n"


class FakeNode:
    """One server: reads requests, and answers them when it is let."""

    def __init__(self, engine: Engine, pipeline: Pipeline) -> None:
        self.engine = engine
        self.pipeline = pipeline
        self.answer: Answer = lambda args: b"+OK\r\n"
        self.is_frozen = False
        self.requests: list[list[bytes]] = []
        self.socket: socket.socket | None = None
        self.connect()

    def connect(self) -> None:
        """Give the pipeline a (new) connection to this node; it has none just now."""
        if self.socket:
            self.socket.close()
        self.stream = RequestStream()
        ours, self.socket = socket.socketpair()
        ours.setblocking(False)
        self.socket.setblocking(False)
        self.engine.attach(self.pipeline, ours.detach())

    def serve(self) -> bool:
        """Read and answer what has come; return whether anything had."""
        if self.is_frozen:
            return False
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        for args in self.stream.feed(data):
            self.requests.append(args)
            reply = self.answer(args)
            if reply is not None:
                self.send(reply)
        return bool(data)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.socket.send(data) == len(data)


class FakeClient:
    """A client's end of its connection."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(board.listener.getsockname())
        self.socket.setblocking(False)
        board.settle()
        self.seen: Client = board.control.named("accepted")[-1][0]

    def send(self, *requests: bytes) -> None:
        """Send requests in one go; nobody acts on them before ``settle``."""
        wire = b"".join(requests)
        assert self.socket.send(wire) == len(wire)

    def read(self) -> bytes:
        """Return what has been answered so far."""
        self.board.settle()
        received = b""
        while True:
            try:
                data = self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return received
            if not data:
                return received
            received += data
            self.board.settle()

    def ask(self, *args: bytes) -> bytes:
        """Return the one reply to a request."""
        self.send(encode_command(*args))
        (reply,) = ReplyStream().feed(self.read())
        return reply


class Switchboard:
    """An engine with a few nodes; slot ``n`` is served by node ``n % nodes``.

    Args:
        specs: The rows of its command table.
        nodes: How many nodes there are.
    """

    def __init__(self, specs: Iterable[CommandSpec], nodes: int = 3) -> None:
        self.lane = Lane(2)
        self.control = FakeControl(self.lane)
        self.engine = Engine(self.control)
        self.engine.add_lane(self.lane)
        self.engine.install_commands(CommandTable(tuple(specs)))
        self.generation = 0
        self.install([slot % nodes for slot in range(SLOTS)])
        self.nodes = [FakeNode(self.engine, self.lane.pipeline_to(n)) for n in range(nodes)]
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(b"")  # Linux gives it a free name
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.engine.listen(self.listener.fileno())
        self.clients: list[FakeClient] = []

    def install(self, owners: list[int | None]) -> None:
        """Replace the slot map."""
        self.generation += 1
        self.engine.install_slots(SlotMap(owners, self.generation))

    def client(self) -> FakeClient:
        """Connect one more client."""
        client = FakeClient(self)
        self.clients.append(client)
        return client

    def settle(self) -> None:
        """Tick, and let the nodes answer, until nobody has anything left to do."""
        is_busy = True
        while is_busy:
            is_busy = self.engine.tick(0)
            for node in self.nodes:
                is_busy |= node.serve()

    def close(self) -> None:
        """Close every socket, on both sides."""
        for client in list(self.engine.clients.values()):
            self.engine.close_client(client)
        for node in self.nodes:
            self.engine.drop(node.pipeline)
            node.socket.close()
        for client in self.clients:
            client.socket.close()
        self.engine.stop_listening(self.listener.fileno())
        self.listener.close()
        self.engine.tick(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
