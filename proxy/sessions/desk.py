"""What a punt means: the desk where requests that left the hot road are served.

Strategy: look at the reason and the row's road, and lead on: to a local handler,
to a task that asks nodes, or to the text of a refusal. A client whose request
became a task is stopped until ``finish_punt``, so its order holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import hiredis
import structlog
import trio

from proxy.cluster.slots import key_slot
from proxy.commands.spec import Road
from proxy.commands.table import is_denied
from proxy.control.fanout import fan_out
from proxy.control.hub import Hub
from proxy.control.nodes import AllNodes
from proxy.control.pools import Pools
from proxy.control.rates import RateBook
from proxy.control.script_commands import SCRIPT_COMMANDS
from proxy.control.scripts import Bringer, ScriptBook
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Punt
from proxy.dataplane.tables import Command
from proxy.errors import LimitReached
from proxy.resp import replies
from proxy.resp import replies_limits as say
from proxy.resp.decode import decode
from proxy.resp.encode import encode_command
from proxy.sessions import local
from proxy.sessions.accounts import Accounts
from proxy.sessions.across import Across
from proxy.sessions.arguments import miscounted
from proxy.sessions.blocking import Blocking
from proxy.sessions.caching import CachingSession
from proxy.sessions.context import ClientView
from proxy.sessions.local_desk import LocalDesk
from proxy.sessions.monitor import Monitors
from proxy.sessions.punt_tasks import PuntTasks
from proxy.sessions.roads import SESSION_ROADS
from proxy.sessions.session import Session
from proxy.sessions.strangers import refuse_stranger
from proxy.sessions.transaction_queue import TransactionRules

log = structlog.get_logger()

NO_SLOT = -1

StoreFound = Callable[[list[bytes], list[bytes]], tuple[list[bytes], list[bytes]]]
"""(a request, its keys in order) to both by the names under which keys are stored."""


class Installer(Protocol):
    """Makes a new command table the one in use."""

    def __call__(self, command_reply: object) -> None:
        """Compile what COMMAND answered, and install it."""


class Desk(LocalDesk):
    """Serves what the hot road punts; also what local handlers see of the proxy.

    Args:
        engine: Where answers go.
        nodes: The cluster, for tasks.
        install_commands: Called when a server knows a command that the table lacks.
        ask_unknown: Whether to ask a server about such a command at all.
        denied: Names that the setting commands.deny refuses.
        transactions: The settings that concern MULTI.
        across: Does what has keys in several slots.
        blocking: The clients that wait.
        scripts: The scripts that clients have brought along.
        bringer: Brings them to nodes that lack them.
        hub: What clients listen to.
        subscription_limit: Subscriptions of one client.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        nodes: AllNodes,
        pools: Pools,
        rates: RateBook,
        accounts: Accounts,
        expose_cluster: bool,
        install_commands: Installer,
        ask_unknown: bool,
        denied: frozenset[bytes],
        timeout_s: float,
        transactions: TransactionRules,
        across: Across,
        blocking: Blocking,
        scripts: ScriptBook,
        bringer: Bringer,
        hub: Hub,
        subscription_limit: int,
    ) -> None:
        self.hub = hub
        self.monitors = Monitors(engine, hub.slow, lambda client: self.guards.was_refused(client))
        self.subscription_limit = subscription_limit
        self.across = across
        self.blocking = blocking
        self.scripts = scripts
        self.bringer = bringer
        self.transactions = transactions
        super().__init__(
            engine=engine,
            nodes=nodes,
            pools=pools,
            rates=rates,
            accounts=accounts,
            expose_cluster=expose_cluster,
        )
        self._install_commands = install_commands
        self.ask_unknown = ask_unknown
        self.denied = denied
        self.admin_timeout_s = timeout_s
        self.tasks = PuntTasks(
            engine=engine,
            timeout_s=timeout_s,
            on_answered=self.reply_was_made,
        )
        self._sessions: dict[Client, Session] = {}
        # Of what a server has found to be keys; pins put another one here.
        self.store_found: StoreFound = lambda args, keys: (args, keys)

    async def run(self) -> None:
        """Run the tasks of punts that have to wait, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.trackers.run)
            nursery.start_soon(self.pause.run)
            nursery.start_soon(self.tasks.run)

    def note_server(self, info: object, databases: object) -> None:
        """Take over what the servers are from INFO, and how many databases they have."""
        self.note_databases(databases)
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
        except LimitReached as problem:
            return replies.limit_reached(problem.setting.encode(), problem.limit)
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
                return miscounted(command, args)
            case Punt.CROSS_SLOT if command is not None:
                return self.serve_across(client, command, args)
            case _ if command is not None:
                return self._serve_known(client, command, args)
            case _:
                raise AssertionError(f"{reason!r} without a row")
        return None

    def _answer_stranger(
        self, client: Client, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Let a client that has not logged in do only that."""
        is_login = self.is_login(args)
        refusal = refuse_stranger(self.engine, client, command, args, is_login=is_login)
        if refusal is not None:
            return refusal
        reply = self._serve_local(client, args)
        if reply is not None:
            client.is_gated = not client.state.authenticated
            self.rates.settle(client)
            reply = self.admit(client, reply)
        return reply

    def refuse(
        self, command: Command | None, args: list[bytes], client: Client | None = None
    ) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None.

        Args:
            client: In whose session it is; None: the settings' guards are not asked.
        """
        if command is None:
            return replies.unknown_command(args[0], args[1:])
        if not command.spec.takes(len(args)):
            return miscounted(command, args)
        if command.spec.road is Road.DENIED:
            return self._deny(command)
        if self.engine.lacks_memory_for(command):
            self.engine.meter.note_limit("memory_limit_bytes")
            return say.out_of_memory(self.engine.memory_limit_bytes)
        if client is None:
            return None
        return self.guards.refuse(client, command, args, in_session=True)

    def serve(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve a request as if no session had the client; it has been checked."""
        if command is None:
            self.start(client, self._serve_unknown(client, args))
            return None
        return self._serve_known(client, command, args)

    def _serve_known(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        if not self.is_part_of_another(client):  # else it was asked about then
            refusal = self.guards.refuse(client, command, args)
            if refusal is not None:
                return refusal
        if self.needs_permission(command):
            self.start(client, self._serve_if_allowed(client, command, args))
            return None
        return self._serve_by_road(client, command, args)

    async def _serve_if_allowed(
        self, client: Client, command: Command, args: list[bytes]
    ) -> bytes | None:
        refusal = await self.forbid(client, command.name, args)
        return refusal or self._serve_by_road(client, command, args)

    def _serve_by_road(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        match command.spec.road:
            case Road.LOCAL:
                return self._serve_local(client, args)
            case Road.FAN_OUT:
                self.start(client, self._ask_everyone(client, command, args))
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

    def _ask_everyone(
        self, client: Client, command: Command, args: list[bytes]
    ) -> Awaitable[bytes]:
        nodes = self.nodes.like(client.lane, self.admin_timeout_s)
        serve = SCRIPT_COMMANDS.get(command.name)
        if serve is not None:
            return serve(command.spec, args, client.resp, nodes, self.scripts)
        return fan_out(command.spec, args, resp=client.resp, nodes=nodes)

    def serve_across(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        """Serve a request whose keys lie in several slots, and that cannot be split."""
        refusal = self.across.refuse(command, args)
        if refusal is None:
            self.start(client, self.across.serve(client.lane, command, args))
        return refusal

    def _deny(self, command: Command) -> bytes:
        if command.name.startswith(b"cluster|") and not self.expose_cluster:
            return replies.cluster_disabled()
        if is_denied(command.name, self.denied):
            return replies.denied(command.name)
        return replies.unsupported(command.name)

    def _serve_local(self, client: Client, args: list[bytes]) -> bytes | None:
        passed = self.pass_on(client, args)
        if passed is not None:
            self.start(client, passed)
            return None
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
        if args[0].lower() in local.CHANGE_USER:
            self.rates.settle(client)
        return reply

    # ---- what has to wait ---------------------------------------------------------

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request."""
        self.tasks.start(client, work)

    async def answer(self, client: Client, command: Command, args: list[bytes]) -> bytes:
        """Return the reply to a request that is part of another, and not the client's open one."""
        with self.tasks.diverted(client) as works:
            reply = self.serve(client, command, args)
        for work in works:
            reply = await self.tasks.outcome(client, work)
        return reply or replies.internal_error()

    def is_part_of_another(self, client: Client) -> bool:
        """Return whether the request that is being served is part of another (``answer``)."""
        return self.tasks.is_diverted(client)

    async def _serve_unknown(self, client: Client, args: list[bytes]) -> bytes | None:
        """Serve a command without a row: one of a new module, or of nobody."""
        if not self.ask_unknown:
            return replies.unknown_command(args[0], args[1:])
        if await self.learn(client, args):
            return await self._serve_by_getkeys(client, None, args)
        # Its own words are the exact ones, whatever its version.
        return await self.nodes_for(client).call(self.any_node(client), *args, resp=client.resp)

    async def learn(self, client: Client, args: list[bytes]) -> bool:
        """Ask a server about a command without a row; return whether it knows it.

        Then a module has been loaded since, and the table is made anew.
        """
        if not self.ask_unknown:
            return False
        node = self.any_node(client)
        known = decode(await self.nodes.call(node, b"COMMAND", b"INFO", args[0]))
        if not (isinstance(known, list) and known and known[0]):
            return False
        self._install_commands(decode(await self.nodes.call(node, b"COMMAND")))
        return True

    async def _serve_by_getkeys(
        self, client: Client, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Let the server say where the keys are, then send the request on its way."""
        answer = decode(await self.nodes.call(self.any_node(client), b"COMMAND", b"GETKEYS", *args))
        slots: set[int] = set()
        if isinstance(answer, list):
            args, keys = self.store_found(args, [key for key in answer if isinstance(key, bytes)])
            slots = set(map(key_slot, keys))
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

    # ---- sessions -----------------------------------------------------------------

    def begin(self, client: Client, session: Session) -> None:
        """Give the client to a session: all its further requests come to ``take``."""
        self._sessions[client] = session
        client.is_off_road = True

    def end(self, client: Client) -> None:
        """Let the client back to the hot road; without effect if it has no session."""
        if self._sessions.pop(client, None) is not None:
            client.is_off_road = client.is_gated

    def track_next(self, client: ClientView) -> None:
        """Have the client's next command tracked, or not tracked, as it has asked."""
        found = self.engine.clients[client.id]
        if not found.is_off_road:
            self.begin(found, CachingSession(self, found))

    def client_closed(self, client: Client) -> None:
        """End what was going on for a client that is gone."""
        session = self._sessions.pop(client, None)
        if session is not None:
            session.closed()
        if client.state.listening is not None:
            client.state.listening.end()
        self.monitors.forget(client)
        if client.state.watch is not None:
            client.state.watch.end()
        self.trackers.forget(client)
        self.tasks.forget(client)
