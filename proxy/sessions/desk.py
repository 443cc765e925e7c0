"""What a punt means: the desk where requests that left the hot road are served.

Strategy: look at the reason and the row's road, and lead on: to a local handler,
to a task that asks nodes, or to the text of a refusal. A client whose request
became a task is stopped until ``finish_punt``, so its order holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Protocol

import hiredis
import structlog
import trio

from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Node
from proxy.commands.spec import Road
from proxy.commands.table import is_denied
from proxy.control.fanout import fan_out
from proxy.control.nodes import Nodes
from proxy.control.pools import LaneKey, Pools
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Punt
from proxy.dataplane.tables import Command
from proxy.errors import BackendProtocolError, BackendUnavailable, LimitReached
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import encode_command
from proxy.sessions import local
from proxy.sessions.context import ClientView
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.roads import SESSION_ROADS
from proxy.sessions.session import Session

log = structlog.get_logger()

NO_SLOT = -1


class Installer(Protocol):
    """Makes a new command table the one in use."""

    def __call__(self, command_reply: object) -> None:
        """Compile what COMMAND answered, and install it."""


class Desk:
    """Serves what the hot road punts; also what local handlers see of the proxy.

    Args:
        engine: Where answers go.
        nodes: The cluster, for tasks.
        install_commands: Called when a server knows a command that the table lacks.
        ask_unknown: Whether to ask a server about such a command at all.
        denied: Names that the setting commands.deny refuses.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        nodes: Nodes,
        pools: Pools,
        passwords: PasswordBook,
        expose_cluster: bool,
        install_commands: Installer,
        ask_unknown: bool,
        denied: frozenset[bytes],
        max_clients: int,
        timeout_s: float,
    ) -> None:
        self.engine = engine
        self.nodes = nodes
        self.pools = pools
        self.expose_cluster = expose_cluster
        self.server_name = b"redis"
        self.server_version = b"7.0.0"
        self._passwords = passwords
        self._install_commands = install_commands
        self._ask_unknown = ask_unknown
        self._denied = denied
        self._timeout_s = timeout_s
        # A client has one open punt at most, so this is as long as there are clients.
        self._tasks_send, self._tasks_receive = trio.open_memory_channel[
            tuple[Client, Awaitable[bytes | None]]
        ](max_clients)
        self._sessions: dict[Client, Session] = {}
        self._scopes: dict[Client, trio.CancelScope] = {}

    async def run(self) -> None:
        """Run the tasks of punts that have to wait, for ever."""
        async with trio.open_nursery() as nursery:
            async for client, work in self._tasks_receive:
                nursery.start_soon(self._finish, client, work)

    def note_server(self, info: object) -> None:
        """Take over name and version of the servers from INFO, for HELLO."""
        if not isinstance(info, bytes):
            return
        fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
        if b"valkey_version" in fields:
            self.server_name, self.server_version = b"valkey", fields[b"valkey_version"]
        elif b"redis_version" in fields:
            self.server_name, self.server_version = b"redis", fields[b"redis_version"]

    # ---- a punt comes in --------------------------------------------------------

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Return the reply, or None if a task will bring it."""
        try:
            return self._decide(client, reason, command, args)
        except Exception:  # a bug met by one client must not end all of them
            log.exception("bug in a local answer", command=command and command.name)
            return replies.internal_error()

    def _decide(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        match reason:
            case Punt.GATED:
                return self._answer_stranger(client, command, args)
            case Punt.SESSION:
                return self._sessions[client].take(client, command, args)
            case Punt.UNKNOWN:
                self.start(client, self._serve_unknown(client, args))
            case Punt.ARITY if command is not None:
                return _miscounted(command, args)
            case Punt.CROSS_SLOT if command is not None:
                return replies.cross_slot(command.name)
            case _ if command is not None:
                return self._serve_known(client, command, args)
            case _:
                raise AssertionError(f"{reason!r} without a row")
        return None

    def _answer_stranger(
        self, client: Client, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Let a client that has not logged in do only that."""
        if args[0].lower() not in local.BEFORE_AUTH or command is None:
            return replies.auth_required()
        if not command.spec.takes(len(args)):
            return replies.wrong_arity(command.name)
        reply = self._serve_local(client, args)
        client.is_gated = not client.state.authenticated
        return reply

    def refuse(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None."""
        if command is None:
            return replies.unknown_command(args[0], args[1:])
        if not command.spec.takes(len(args)):
            return _miscounted(command, args)
        return self._deny(command) if command.spec.road is Road.DENIED else None

    def serve(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve a request as if no session had the client; it has been checked."""
        if command is None:
            self.start(client, self._serve_unknown(client, args))
            return None
        return self._serve_known(client, command, args)

    def _serve_known(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        match command.spec.road:
            case Road.LOCAL:
                return self._serve_local(client, args)
            case Road.FAN_OUT:
                self.start(client, fan_out(command.spec, args, resp=client.resp, nodes=self.nodes))
            case Road.ASK_SERVER:
                self.start(client, self._serve_by_getkeys(client, command, args))
            case Road.DENIED:
                return self._deny(command)
            case _:
                # SESSION, and what only its BLOCK option makes one.
                handler = SESSION_ROADS.get(command.name)
                if handler is None:
                    return replies.needs_session(command.name)
                return handler(self, client, command, args)
        return None

    def _deny(self, command: Command) -> bytes:
        if command.name.startswith(b"cluster|") and not self.expose_cluster:
            return replies.cluster_disabled()
        if is_denied(command.name, self._denied):
            return replies.denied(command.name)
        return replies.unsupported(command.name)

    def _serve_local(self, client: Client, args: list[bytes]) -> bytes | None:
        waiting = local.find_async(args)
        if waiting is not None:
            self.start(client, waiting(self, client, args))
            return None
        handler = local.find_sync(args)
        if handler is None:
            return replies.unknown_subcommand(args[0], args[1] if len(args) > 1 else b"")
        reply = handler(self, client, args)
        if not client.state.authenticated and self.password_required:
            client.is_gated = True  # RESET logs out
        return reply

    # ---- what has to wait ---------------------------------------------------------

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request."""
        self._tasks_send.send_nowait((client, work))

    async def _finish(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Bring a task's answer to its client; end it when the client goes."""
        with trio.CancelScope() as scope:
            if client.is_closed:
                scope.cancel()
            self._scopes[client] = scope
            try:
                await self._answer(client, work)
            finally:
                if self._scopes.get(client) is scope:
                    del self._scopes[client]

    async def _answer(self, client: Client, work: Awaitable[bytes | None]) -> None:
        try:
            reply = await work
        except LimitReached as problem:
            reply = replies.limit_reached(problem.setting.encode(), problem.limit)
        except BackendUnavailable as problem:
            log.warning("no reply from the cluster", problem=str(problem))
            reply = (
                replies.lost_write("the cluster")
                if problem.sent
                else replies.never_sent(None, self._timeout_s)
            )
        except BackendProtocolError:
            log.exception("a server's answer cannot be read")
            reply = replies.internal_error()
        except Exception:  # a bug met by one client must not end all of them
            log.exception("bug in a task", command=client.last_command)
            reply = replies.internal_error()
        if reply is not None:
            self.engine.finish_punt(client, reply)

    async def _serve_unknown(self, client: Client, args: list[bytes]) -> bytes | None:
        """Ask a server about a command without a row: a module may have been loaded since."""
        if not self._ask_unknown:
            return replies.unknown_command(args[0], args[1:])
        node = self._any_node(client)
        known = decode(await self.nodes.call(node, b"COMMAND", b"INFO", args[0]))
        if isinstance(known, list) and known and known[0]:
            self._install_commands(decode(await self.nodes.call(node, b"COMMAND")))
            return await self._serve_by_getkeys(client, None, args)
        # Its own words are the exact ones, whatever its version.
        return await self.nodes.call(node, *args, resp=client.resp)

    async def _serve_by_getkeys(
        self, client: Client, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Let the server say where the keys are, then send the request on its way."""
        answer = decode(
            await self.nodes.call(self._any_node(client), b"COMMAND", b"GETKEYS", *args)
        )
        slots: set[int] = set()
        if isinstance(answer, list):
            slots = {key_slot(key) for key in answer if isinstance(key, bytes)}
        elif not isinstance(answer, hiredis.ReplyError):
            return replies.keys_unknown(args[0])
        if len(slots) > 1:
            return replies.cross_slot(args[0].lower())
        self.engine.forward_punt(
            client,
            encode_command(*args),
            slots.pop() if slots else NO_SLOT,
            command is None or command.spec.is_write,
        )
        return None

    def _any_node(self, client: Client) -> Node:
        primaries: tuple[Node, ...] = self.nodes.topology.primaries
        if not primaries:
            raise BackendUnavailable("no primary is known", sent=False)
        return primaries[client.id % len(primaries)]

    # ---- sessions -----------------------------------------------------------------

    def begin(self, client: Client, session: Session) -> None:
        """Give the client to a session: all its further requests come to ``take``."""
        self._sessions[client] = session
        client.is_off_road = True

    def end(self, client: Client) -> None:
        """Let the client back to the hot road; without effect if it has no session."""
        if self._sessions.pop(client, None) is not None:
            client.is_off_road = client.is_gated

    def client_closed(self, client: Client) -> None:
        """End what was going on for a client that is gone."""
        session = self._sessions.pop(client, None)
        if session is not None:
            session.closed()
        scope = self._scopes.get(client)
        if scope is not None:
            scope.cancel()

    # ---- what local handlers see of the proxy ----------------------------------------

    @property
    def password_required(self) -> bool:
        """Whether the default user has a password."""
        return self._passwords.is_required

    def clients(self) -> Iterable[Client]:
        """Return every open client connection."""
        return list(self.engine.clients.values())

    def find_client(self, client_id: int) -> Client | None:
        """Return the open connection with this number, or None."""
        return self.engine.clients.get(client_id)

    def use_resp(self, client: ClientView, version: int) -> None:
        """Serve a client over the connections of another protocol version."""
        found = self.engine.clients[client.id]
        key = found.lane.key
        assert isinstance(key, LaneKey)
        self.engine.use_lane(found, self.pools.lane(replace(key, resp=version)))

    def has_user(self, user: bytes) -> bool:
        """Return whether there is a user of this name."""
        return self._passwords.has_user(user)

    def check_password(self, user: bytes, password: bytes) -> bool:
        """Return whether this pair lets a client in."""
        return self._passwords.check(user, password)


def _miscounted(command: Command, args: list[bytes]) -> bytes:
    """Say what a server says to too few or too many arguments, or to a last key cut short."""
    is_cut_short = command.spec.takes(len(args))
    if is_cut_short and any(keys.is_keynum for keys in command.spec.key_specs):
        return replies.syntax_error()
    return replies.wrong_arity(command.name)
