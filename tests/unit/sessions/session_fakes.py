"""What local answers need around them, in memory: a client, and a proxy that has only that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import Address, Node, Topology
from proxy.errors import BackendUnavailable
from proxy.resp.encode import simple
from proxy.sessions.context import REPLY_ON, REPLY_SKIP_NEXT, ClientView
from proxy.sessions.local import find_async, find_sync
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.state import ClientState
from proxy.sessions.tracking_options import Tracking


@dataclass(eq=False)
class FakeClient:
    """A client connection that remembers whether it was closed, and how."""

    id: int = 7
    address: str = "127.0.0.1:50007"
    local_address: str = "127.0.0.1:6379"
    resp: int = 2
    reply_mode: int = 0
    state: ClientState = field(default_factory=lambda: ClientState(authenticated=True))
    fd_number: int = 9
    is_unix: bool = False
    created_s: float = field(default_factory=time.monotonic)
    last_active_s: float = field(default_factory=time.monotonic)
    last_command: bytes = b""
    query_buffer_bytes: int = 0
    output_bytes: int = 0
    commands: int = 1
    bytes_in: int = 0
    bytes_out: int = 0
    closed: str = ""

    def close_after_reply(self) -> None:
        self.closed = "after reply"

    def close(self) -> None:
        self.closed = "at once"


class FakeNodes:
    """Nodes that reply from a table, by id; a node that is not in it is dead."""

    def __init__(self, topology: Topology, replies: Mapping[str, bytes]) -> None:
        self.topology = topology
        self.replies = replies
        self.calls: list[tuple[str, tuple[bytes, ...], int]] = []

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        self.calls.append((node.id, args, resp))
        if node.id not in self.replies:
            raise BackendUnavailable(f"{node.id} is dead", sent=False)
        return self.replies[node.id]


class FakePause:
    """Remembers what was held back, and for how long."""

    def __init__(self) -> None:
        self.log: list[tuple[float, bool] | str] = []

    def begin(self, duration_s: float, *, only_writes: bool) -> None:
        self.log.append((duration_s, only_writes))

    def end(self) -> None:
        self.log.append("end")


@dataclass
class FakeContext:
    """A proxy with some clients, and perhaps some nodes."""

    server_name: bytes = b"redis"
    server_version: bytes = b"7.0.15"
    expose_cluster: bool = False
    databases: int = 1
    passes_users: bool = False
    passwords: PasswordBook = field(default_factory=lambda: PasswordBook({}))
    connected: list[FakeClient] = field(default_factory=list)
    tracked_next: list[int] = field(default_factory=list)
    nodes: FakeNodes = field(default_factory=lambda: FakeNodes(topology_of([]), {}))
    pause: FakePause = field(default_factory=FakePause)

    @property
    def password_required(self) -> bool:
        return self.passwords.is_required

    def clients(self) -> list[ClientView]:
        return list(self.connected)

    def find_client(self, client_id: int) -> ClientView | None:
        return next((each for each in self.connected if each.id == client_id), None)

    def nodes_for(self, client: ClientView) -> FakeNodes:
        return self.nodes

    def use_database(self, client: ClientView, index: int) -> None:
        client.state.database = index

    def start_over(self, client: ClientView) -> None:
        client.state.tracking = None
        self.use_resp(client, 2)

    async def track(self, client: ClientView, tracking: Tracking | None) -> bytes:
        client.state.tracking = tracking
        return simple(b"OK")

    def track_next(self, client: ClientView) -> None:
        self.tracked_next.append(client.id)

    def use_resp(self, client: ClientView, version: int) -> None:
        assert isinstance(client, FakeClient)
        client.resp = version

    def use_readers(self, client: ClientView) -> None:
        assert isinstance(client, FakeClient)

    async def unblock(self, client_id: int, *, with_error: bool) -> bool:
        return False

    def has_user(self, user: bytes) -> bool:
        return self.passwords.has_user(user)

    def check_password(self, user: bytes, password: bytes) -> bool:
        return self.passwords.check(user, password)

    def say(self, client: FakeClient, *args: bytes) -> bytes:
        """Answer a command that needs no node, as the data plane would send it."""
        handler = find_sync(list(args))
        assert handler is not None, args
        return frame_to_send(client, handler(self, client, list(args)))

    async def ask(self, client: FakeClient, *args: bytes) -> bytes:
        """Answer any command, as the data plane would send it."""
        handler = find_async(list(args))
        if handler is None:
            return self.say(client, *args)
        return frame_to_send(client, await handler(self, client, list(args)))


def frame_to_send(client: FakeClient, frame: bytes) -> bytes:
    """Return what the client gets of an answer: the rule that ``ClientView.reply_mode`` states."""
    if not frame or client.reply_mode == REPLY_ON:
        return frame
    if client.reply_mode == REPLY_SKIP_NEXT:
        client.reply_mode = REPLY_ON
    return b""


def topology_of(ids: Sequence[str]) -> Topology:
    """Return a cluster of primaries with these ids, which share the slots evenly."""
    nodes = tuple(
        Node(
            id=each,
            address=Address("127.0.0.1", 7000 + number),
            is_primary=True,
            primary_id=None,
            config_epoch=number,
            failed=False,
            link_up=True,
        )
        for number, each in enumerate(ids)
    )
    owners = tuple(slot * len(ids) // SLOT_COUNT if ids else None for slot in range(SLOT_COUNT))
    return Topology(nodes=nodes, owners=owners)
