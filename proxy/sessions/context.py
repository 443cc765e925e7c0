"""What local answers see of the rest of the proxy: two narrow faces, no more.

Strategy: the handlers in this folder are functions of these protocols, so a
test calls them with two small fakes, and the control plane can change behind
them. Nothing here is implemented; ``control`` and ``dataplane`` do that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from proxy.cluster.topology import Node, Topology
from proxy.sessions.state import ClientState
from proxy.sessions.tracking_options import Tracking

if TYPE_CHECKING:
    from proxy.sessions.proxy_command import ProxyRoom

REPLY_ON = 0
REPLY_OFF = 1
REPLY_SKIP_NEXT = 2


class ClientView(Protocol):
    """One client connection, as the data plane keeps it."""

    state: ClientState
    reply_mode: int
    """REPLY_ON, REPLY_OFF or REPLY_SKIP_NEXT.

    A handler sees it as it was *before* its command. What becomes of the
    handler's frame is decided after it returned: an empty frame sends nothing
    and leaves the mode as the handler set it; otherwise REPLY_SKIP_NEXT drops
    the frame and becomes REPLY_ON, REPLY_OFF drops it, REPLY_ON sends it. So
    CLIENT REPLY ON is answered in every mode, as a server does.
    """

    @property
    def id(self) -> int:
        """Number of the connection; never given twice by one process."""

    @property
    def fd_number(self) -> int:
        """Number of its socket; -1 once it is closed."""

    @property
    def is_unix(self) -> bool:
        """Whether it came by a Unix socket."""

    @property
    def resp(self) -> int:
        """Protocol version of replies: 2 or 3."""

    @property
    def address(self) -> str:
        """Where the client connected from: ``host:port``, IPv6 in brackets; or ``path:0``."""

    @property
    def local_address(self) -> str:
        """Where it connected to, in the same form."""

    @property
    def created_s(self) -> float:
        """When it connected, by ``time.monotonic``."""

    @property
    def last_active_s(self) -> float:
        """When it last sent something, by ``time.monotonic``."""

    @property
    def last_command(self) -> bytes:
        """Name of its last command, lower case, ``client|id`` with a subcommand; or empty."""

    @property
    def query_buffer_bytes(self) -> int:
        """Bytes read from it and not yet taken as requests."""

    @property
    def output_bytes(self) -> int:
        """Bytes of replies that it has not read yet."""

    @property
    def commands(self) -> int:
        """How many requests it has sent."""

    @property
    def bytes_in(self) -> int:
        """How many bytes it has sent."""

    @property
    def bytes_out(self) -> int:
        """How many bytes it was sent."""

    def close_after_reply(self) -> None:
        """Take no more requests from it; close when its replies are written."""

    def close(self) -> None:
        """Close it at once; replies still owed to it are dropped."""


class Nodes(Protocol):
    """The cluster, for the few local answers that only a server can give."""

    @property
    def topology(self) -> Topology:
        """The map in use."""

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        """Return one node's raw reply frame; an error reply is a reply.

        Raises:
            BackendUnavailable: No reply will come.
        """


class Pausing(Protocol):
    """What CLIENT PAUSE and UNPAUSE need of ``sessions.pause.Pause``."""

    def begin(self, duration_s: float, *, only_writes: bool) -> None:
        """Hold all clients back, or those that write, for so long at least."""

    def end(self) -> None:
        """Let all clients go on."""


class LocalContext(Protocol):
    """What handlers may ask of the proxy. The control room implements it."""

    @property
    def server_name(self) -> bytes:
        """Who the connected servers say they are in HELLO: ``redis`` or ``valkey``.

        The two have drifted apart in texts and options. A client of the proxy
        gets the words of the engine that is behind it.
        """

    @property
    def server_version(self) -> bytes:
        """Version of the connected servers, as in HELLO."""

    @property
    def password_required(self) -> bool:
        """Whether a client has to log in before it may run commands."""

    @property
    def expose_cluster(self) -> bool:
        """Setting: let clients see that there is a cluster."""

    @property
    def databases(self) -> int:
        """How many databases the servers have: 1, unless they have them in cluster mode."""

    @property
    def passes_users(self) -> bool:
        """Setting: the servers decide about users."""

    @property
    def admins(self) -> frozenset[bytes]:
        """Setting: users who may see what concerns others with PROXY; empty: all."""

    @property
    def proxy(self) -> ProxyRoom:
        """What the proxy knows of itself."""

    @property
    def pause(self) -> Pausing:
        """Holds clients back."""

    def nodes_for(self, client: ClientView) -> Nodes:
        """Return the cluster, with the client's rights and in its database."""

    def clients(self) -> Iterable[ClientView]:
        """Return every open client connection."""

    def find_client(self, client_id: int) -> ClientView | None:
        """Return the open connection with this number, or None."""

    def use_readers(self, client: ClientView) -> None:
        """Have a client's reads answered by whom its user wants."""

    def use_resp(self, client: ClientView, version: int) -> None:
        """Make ``client.resp`` 2 or 3, from this command's own reply on."""

    def use_database(self, client: ClientView, index: int) -> None:
        """Have the client's further commands run in a database that exists."""

    def start_over(self, client: ClientView) -> None:
        """Make the client, for the servers, one that has just come: RESP2, database 0."""

    async def track(self, client: ClientView, tracking: Tracking | None) -> bytes:
        """Begin, change or end the tracking of a client, and answer it."""

    def track_next(self, client: ClientView) -> None:
        """Have the next command heed CLIENT CACHING."""

    async def unblock(self, client_id: int, *, with_error: bool) -> bool:
        """End the wait of a client, by nil or by an error; False: it waits for nothing."""

    def confirm(self, client: ClientView, code: bytes) -> bytes:
        """Answer PROXY CONFIRM: let the client's command pass to which the code was given."""

    def has_user(self, user: bytes) -> bool:
        """Return whether there is a user of this name; the default user always is."""

    def check_password(self, user: bytes, password: bytes) -> bool:
        """Return whether this pair lets a client in, in time that tells nothing else."""


SyncHandler = Callable[[LocalContext, ClientView, list[bytes]], bytes]
"""``args[0]`` is the command's name as sent. Returns the raw reply frame, in the
protocol version that holds after the command; empty: nothing is sent. Raises
nothing: any exception out of a handler is a bug."""

AsyncHandler = Callable[[LocalContext, ClientView, list[bytes]], Awaitable[bytes]]
"""As SyncHandler, for what a node has to be asked."""


def speaks_valkey(ctx: LocalContext) -> bool:
    """Return whether the connected servers are Valkey, else they are taken for Redis."""
    return ctx.server_name == b"valkey"
