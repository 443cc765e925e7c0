"""The part of the desk that local answers see: clients, users, and whose lane a client has.

Strategy: what a client is to the servers (protocol, user, database, tracking) is its
lane, and every change of it passes through ``Trackers.use``, so that no client ever
has connections of what it was before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import replace

from proxy.cluster.topology import Node
from proxy.commands.spec import Road
from proxy.control.connection import Credentials
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import AllNodes, Nodes
from proxy.control.pools import Pools
from proxy.control.rates import RateBook
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane
from proxy.dataplane.tables import Command
from proxy.errors import BackendRefused, BackendUnavailable
from proxy.resp import replies, replies_lanes
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import error
from proxy.sessions import handshake
from proxy.sessions.accounts import Accounts, PassedUsers, dismiss_clients, gate_clients
from proxy.sessions.blocking import Blocking
from proxy.sessions.context import ClientView
from proxy.sessions.guard import Guards
from proxy.sessions.pause import Pause
from proxy.sessions.proxy_command import ProxyRoom
from proxy.sessions.tracking import Trackers
from proxy.sessions.tracking_options import Tracking

# Beside what is flagged admin. What a transaction holds would run one by one if the servers
# refused MULTI, and never end if they refused EXEC.
_SERVERS_WORD_FIRST = frozenset({b"client|caching", b"client|tracking", b"multi"})


class LocalDesk(ABC):
    """What local handlers may ask of the proxy (``context.LocalContext``)."""

    blocking: Blocking
    proxy: ProxyRoom
    """Given later: it looks at the desk too."""

    def __init__(
        self,
        *,
        engine: Engine,
        nodes: AllNodes,
        pools: Pools,
        rates: RateBook,
        accounts: Accounts,
        expose_cluster: bool,
    ) -> None:
        self.engine = engine
        self.nodes = nodes
        self.pools = pools
        self.rates = rates
        self.guards = Guards(engine)
        self.accounts = accounts
        self.expose_cluster = expose_cluster
        self.admins: frozenset[bytes] = frozenset()
        self.server_name = b"redis"
        self.server_version = b"7.0.0"
        self.databases = 1
        self._trying: set[Lane] = set()  # a client asks whether it may have them
        self.pause = Pause(engine)
        self.trackers = Trackers(engine=engine, pools=pools, nodes=nodes, audience=self)
        pools.on_refused = self._refused

    def note_databases(self, config: object) -> None:
        """Take over how many databases the servers have, from CONFIG GET cluster-databases."""
        match config:
            case [_, bytes() as number] if number.isdigit():
                self.databases = max(1, int(number))
            case _:
                self.databases = 1

    # ---- who is there ------------------------------------------------------------------

    @property
    def password_required(self) -> bool:
        """Whether a client has to log in before it may run commands."""
        return self.accounts.is_required

    @property
    def passes_users(self) -> bool:
        """Setting: the servers decide about users."""
        return self.accounts.is_passed

    def clients(self) -> Iterable[Client]:
        """Return every open client connection."""
        return list(self.engine.clients.values())

    def find_client(self, client_id: int) -> Client | None:
        """Return the open connection with this number, or None."""
        return self.engine.clients.get(client_id)

    def is_subscriber(self, client: Client) -> bool:
        """Return whether the client has any subscription."""
        listening = client.state.listening
        return listening is not None and listening.subscribes

    async def unblock(self, client_id: int, *, with_error: bool) -> bool:
        """End the wait of a client, by nil or by an error; False: it waits for nothing."""
        return await self.blocking.unblock(self.find_client(client_id), with_error=with_error)

    def has_user(self, user: bytes) -> bool:
        """Return whether there is a user of this name."""
        return self.accounts.has_user(user)

    def confirm(self, client: ClientView, code: bytes) -> bytes:
        """Answer PROXY CONFIRM."""
        return self.guards.confirm(self._found(client), code)

    def check_password(self, user: bytes, password: bytes) -> bool:
        """Return whether this pair lets a client in."""
        return self.accounts.check(user, password)

    def nodes_for(self, client: ClientView) -> Nodes:
        """Return the nodes, with the client's rights and in its database."""
        return self.nodes.like(self._found(client).lane)

    # ---- which lane a client has -------------------------------------------------------

    def use_resp(self, client: ClientView, version: int) -> None:
        """Serve a client over the connections of another protocol version."""
        found = self._found(client)
        self._use(found, replace(key_of(found.lane), resp=version))
        if found.state.listening is not None:
            found.state.listening.settle()

    def use_database(self, client: ClientView, index: int) -> None:
        """Serve a client over the connections of another database."""
        found = self._found(client)
        self._use(found, replace(key_of(found.lane), database=index))
        found.state.database = index

    def use_readers(self, client: ClientView) -> None:
        """Have a client's reads answered by whom its user wants."""
        found = self._found(client)
        key, reads = key_of(found.lane), self.pools.reads.of(client.state.user)
        if key.reads is not reads:
            self._use(found, replace(key, reads=reads))

    def start_over(self, client: ClientView) -> None:
        """Serve a client as if it had just come."""
        found = self._found(client)
        self.trackers.use(found, self.pools.newcomer_key(2), None)

    async def track(self, client: ClientView, tracking: Tracking | None) -> bytes:
        """Begin, change or end the tracking of a client, and answer it."""
        found = self._found(client)
        key, before = key_of(found.lane), found.state.tracking
        self.trackers.use(found, key, tracking)
        lane = found.lane
        self._trying.add(lane)
        try:
            failure = await self.trackers.connect(found)
        finally:
            self._trying.discard(lane)
        if failure is None:
            return replies.OK
        self.trackers.use(found, key, before)
        return failure

    @abstractmethod
    def track_next(self, client: ClientView) -> None:
        """Have the client's next command tracked, or not tracked, as it has asked."""

    def reply_was_made(self, client: Client) -> None:
        """Look whether a client that tracks was given what other connections have read."""
        if client.state.tracking is None:
            return
        row = self.engine.command_table.get(client.last_command)
        if row is not None and (
            row.name == b"exec" or (row.spec.key_specs and not row.spec.is_write)
        ):
            self.trackers.note_untracked(client)

    def _use(self, client: Client, key: LaneKey) -> None:
        self.trackers.use(client, key, client.state.tracking)

    def _found(self, client: ClientView) -> Client:
        return self.engine.clients[client.id]

    # ---- a full house -----------------------------------------------------------------

    def is_login(self, args: list[bytes]) -> bool:
        """Return whether a request is AUTH, or HELLO with a login."""
        return handshake.login_words(self, args) is not None

    def admit(self, client: Client, reply: bytes) -> bytes:
        """Return the reply to a login; of those over ``listen.max_clients``, admins stay."""
        if not client.is_extra or not client.state.authenticated:
            return reply
        if client.state.user not in self.admins:
            return self.engine.refuse_extra(client)
        self.engine.keep_extra(client)
        return reply

    # ---- users of the servers ----------------------------------------------------------

    def pass_on(self, client: Client, args: list[bytes]) -> Awaitable[bytes] | None:
        """Return the task of a request that the servers decide about; None if it is none."""
        if not self.passes_users:
            return None
        words = handshake.login_words(self, args)
        if words is not None:
            return self._log_in(client, words, args)
        index = handshake.new_database(self, client, args)
        return None if index is None else self._select(client, index)

    def needs_permission(self, command: Command) -> bool:
        """Return whether the servers say who may have the proxy itself run a command."""
        if not self.passes_users or command.spec.road not in (Road.LOCAL, Road.SESSION):
            return False
        return b"admin" in command.spec.flags or command.name in _SERVERS_WORD_FIRST

    async def _log_in(self, client: Client, words: tuple[bytes, ...], args: list[bytes]) -> bytes:
        """Pass AUTH or HELLO on to the servers, and make the client who it says it is."""
        assert isinstance(self.accounts, PassedUsers)
        credentials = await self.accounts.log_in(words)
        if isinstance(credentials, bytes):
            return credentials
        reads = self.pools.reads.of(credentials.words[0])
        self._use(client, replace(key_of(client.lane), credentials=credentials, reads=reads))
        client.state.user = credentials.words[0]
        client.state.authenticated = True
        client.is_gated = False
        self.rates.settle(client)
        is_auth = args[0].lower() == b"auth"
        reply = replies.OK if is_auth else handshake.hello(self, client, args)
        return self.admit(client, reply)

    async def _select(self, client: Client, index: int) -> bytes:
        """Let a server say whether this client's user may use a database."""
        lane = self.pools.lane(replace(key_of(client.lane), database=index, setup=()))
        try:
            async with self.pools.lease(self.any_node(client), lane) as private:
                answer = await private.ask(b"SELECT", b"%d" % index)
                private.keep()  # whatever the answer is, it is where it was
        except BackendRefused as problem:
            return error(problem.words)
        if error_code(answer) is not None:
            return answer
        self.use_database(client, index)
        return replies.OK

    async def forbid(self, client: Client, name: bytes, args: list[bytes]) -> bytes | None:
        """Return the error for a command that only the proxy can run, if the user may not."""
        user = client.state.user
        questions = [args] if name != b"multi" else [args, [b"EXEC"]]
        answers = await self.nodes.call_many(
            self.any_node(client), [(b"ACL", b"DRYRUN", user, *each) for each in questions]
        )
        answer = next((answer for answer in answers if answer != replies.OK), None)
        if answer is None:
            return None
        words = decode(answer)
        if error_code(answer) is not None or not isinstance(words, bytes):
            return replies_lanes.permission_unknown(name, user, answer[1:-2])
        # Redis 7.0 begins this sentence with a capital, unlike its errors.
        return error(b"NOPERM " + words.replace(b"This user", b"this user"))

    def any_node(self, client: ClientView) -> Node:
        """Return a primary, the same for all requests of a client while it is hoped for.

        Raises:
            BackendUnavailable: None is known.
        """
        primaries: tuple[Node, ...] = self.nodes.topology.primaries
        if not primaries:
            raise BackendUnavailable("no primary is known", sent=False)
        hoped_for = [node for node in primaries if self.nodes.given_up(node) is None] or primaries
        return hoped_for[client.id % len(hoped_for)]

    def _refused(self, lane: Lane, problem: BackendRefused) -> None:
        """Take note that no node will have the connections of a lane."""
        if lane in self._trying:
            return
        if key_of(lane).credentials == Credentials() and problem.words.startswith(b"NOAUTH"):
            gate_clients(self.engine, lane)
        else:
            dismiss_clients(self.engine, lane, problem)
