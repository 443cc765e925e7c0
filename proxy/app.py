"""Wire the rooms together, start them, stop them. The only place that knows everybody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.commands.overrides import DENIED_BY_DEFAULT, DENIED_TO_THE_PROXYS_USER
from proxy.commands.table import compile_table, snapshot_table
from proxy.config import Settings
from proxy.control.calls import Calls
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.doorman import Doorman
from proxy.control.functions import FunctionCare
from proxy.control.hub import Hub
from proxy.control.hub_roads import HubRoads
from proxy.control.plane import ControlPlane, RequestLimits
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.control.scripts import Bringer, ScriptBook
from proxy.control.slow_readers import SlowReaders
from proxy.control.watch import Watcher
from proxy.dataplane.drive import drive
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import CommandTable
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.listeners import open_listeners
from proxy.sessions.accounts import Accounts, PassedUsers
from proxy.sessions.across import Across
from proxy.sessions.blocking import Blocking
from proxy.sessions.desk import Desk
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.pins import LEAVING, stand_before
from proxy.sessions.state import ClientState
from proxy.sessions.transaction_queue import TransactionRules

log = structlog.get_logger()

# Only Valkey since 9.0 knows it; all others have one database in cluster mode.
ASK_DATABASES = ("CONFIG", "GET", "cluster-databases")

DRAIN_LOOK_S = 0.01  # how often a proxy that stops looks whether it may


class Proxy:
    """A whole proxy.

    Args:
        settings: Everything that can be set.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = settings.listen.port
        self._started_s = time.monotonic()
        self._denied = settings.commands.denied(
            DENIED_BY_DEFAULT - DENIED_TO_THE_PROXYS_USER
            if settings.clients.acl == "pass"
            else DENIED_BY_DEFAULT
        )
        credentials = Credentials.of(settings.cluster.username, settings.cluster.read_password())
        limits = settings.limits
        self.routes = Routes()
        self.plane = ControlPlane(
            address_map=settings.cluster.addresses_from_here(),
            request_timeout_s=settings.cluster.request_timeout_s,
            limits=RequestLimits(
                argument_limit=limits.argument_limit,
                argument_limit_bytes=limits.argument_limit_bytes,
                inline_limit_bytes=limits.inline_limit_bytes,
                request_limit_bytes=limits.request_limit_bytes,
            ),
            reply_limit_bytes=limits.reply_limit_bytes,
            new_state=lambda: ClientState(authenticated=not self.accounts.is_required),
            must_log_in=lambda: self.accounts.is_required,
        )
        self.engine = Engine(self.plane)
        self._set_limits()
        self.watcher = Watcher(
            seeds=settings.cluster.seed_addresses(),
            credentials=credentials,
            address_map=settings.cluster.addresses_from_here(),
            on_change=self._map_changed,
            on_moved=self._slot_moved,
            # A node without slots comes and goes without a change of the routes.
            on_read=self._map_read,
            interval_s=settings.cluster.refresh_interval_s,
            min_interval_s=settings.cluster.refresh_min_interval_s,
            timeout_s=settings.cluster.connect_timeout_s,
        )
        self.pools = Pools(
            engine=self.engine,
            routes=self.routes,
            watcher=self.watcher,
            credentials=credentials,
            connect_timeout_s=settings.cluster.connect_timeout_s,
            width=settings.cluster.connections_per_node,
            private_limit=limits.private_connection_limit,
            lane_limit=limits.lane_limit,
        )
        self.accounts = self._make_accounts()
        self.calls = Calls(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            watcher=self.watcher,
            timeout_s=settings.cluster.request_timeout_s,
            own_info=self._own_info,
        )
        self.hub = Hub(
            engine=self.engine,
            roads=HubRoads(engine=self.engine, pools=self.pools, routes=self.routes),
            slow=SlowReaders(
                close=self.engine.close_client,
                limit_bytes=limits.pubsub_output_limit_bytes,
                soft_bytes=limits.pubsub_output_soft_bytes,
                soft_s=limits.pubsub_output_soft_s,
            ),
            judge=self.plane.judge,
            suspect=self.watcher.suspect,
            timeout_s=settings.cluster.request_timeout_s,
        )
        self.scripts = ScriptBook(limits.script_memory_bytes)
        self.engine.doubtful_scripts = self.scripts.doubtful
        self.pools.greeting = self.scripts.greeting
        self.functions = FunctionCare(self.calls)
        self.bringer = Bringer(
            engine=self.engine,
            book=self.scripts,
            functions=self.functions,
            nodes=self.calls,
            find_lane=self.pools.lane,
            address_of=self.routes.address,
        )
        self.across = Across(
            setting=settings.commands.cross_slot,
            nodes=self.calls,
            find_lane=self.pools.lane,
            limit_bytes=limits.cross_slot_limit_bytes,
            timeout_s=settings.cluster.request_timeout_s,
        )
        self.blocking = Blocking(
            engine=self.engine,
            pools=self.pools,
            nodes=self.calls,
            routes=self.routes,
            watcher=self.watcher,
            plane=self.plane,
        )
        self.desk = Desk(
            engine=self.engine,
            nodes=self.calls,
            pools=self.pools,
            accounts=self.accounts,
            expose_cluster=settings.clients.expose_cluster,
            install_commands=self._install_commands,
            ask_unknown=settings.commands.unknown == "ask",
            denied=self._denied,
            max_clients=settings.listen.max_clients,
            timeout_s=settings.cluster.request_timeout_s,
            transactions=TransactionRules(
                may_split=settings.commands.transactions == "split",
                limit_bytes=limits.transaction_limit_bytes,
            ),
            across=self.across,
            blocking=self.blocking,
            scripts=self.scripts,
            bringer=self.bringer,
            hub=self.hub,
            subscription_limit=limits.client_subscription_limit,
        )
        front = stand_before(self.desk, settings.pin_table())
        self.plane.connect(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            watcher=self.watcher,
            on_punt=front.punt,
            on_closed=front.client_closed,
            scripts=self.scripts,
            bringer=self.bringer,
        )
        self._credentials = credentials

    def _make_accounts(self) -> Accounts:
        """Return who may come in: users of the settings, or of the servers."""
        clients, cluster = self.settings.clients, self.settings.cluster
        if clients.acl != "pass":
            return PasswordBook({}, clients.user_digests())
        doorman = Doorman(
            topology=lambda: self.watcher.topology,
            suspect=self.watcher.suspect,
            connect_timeout_s=cluster.connect_timeout_s,
            timeout_s=cluster.request_timeout_s,
        )
        return PassedUsers(doorman, self.pools)

    def _set_limits(self) -> None:
        limits, engine = self.settings.limits, self.engine
        engine.set_request_limits(
            argument_limit=limits.argument_limit,
            argument_limit_bytes=limits.argument_limit_bytes,
            inline_limit_bytes=limits.inline_limit_bytes,
            request_limit_bytes=limits.request_limit_bytes,
        )
        engine.max_clients = self.settings.listen.max_clients
        engine.request_timeout_s = self.settings.cluster.request_timeout_s
        engine.silence_s = self.settings.cluster.silence_timeout_s
        engine.idle_timeout_s = self.settings.clients.idle_timeout_s
        engine.in_flight_limit = limits.client_in_flight_limit
        engine.node_queue_soft_bytes = limits.node_queue_soft_bytes
        engine.client_output_soft_bytes = limits.client_output_soft_bytes
        engine.client_output_limit_bytes = limits.client_output_limit_bytes
        engine.reply_limit_bytes = limits.reply_limit_bytes

    def _map_read(self, topology: Topology) -> None:
        self.pools.retire(topology)
        self.functions.note_map(topology)

    def _map_changed(self, topology: Topology) -> None:
        generation = self.engine.slot_map.generation + 1
        self.engine.install_slots(self.routes.slot_map(topology, generation))
        self.desk.trackers.map_changed()
        self.hub.map_changed()
        self.blocking.map_changed()

    def _slot_moved(self, slot: int, address: Address) -> None:
        """Patch one slot: a resharding brings hundreds of these a second."""
        number = self.routes.number(address)
        self.engine.install_slots(self.engine.slot_map.with_owner(slot, number))
        self.desk.trackers.map_changed()
        self.hub.slot_moved(slot)
        self.blocking.map_changed()

    def _install_commands(self, command_reply: object) -> None:
        self._use_table(CommandTable(compile_table(command_reply, self._denied)))
        self.hub.divert_publish()

    def _use_table(self, table: CommandTable) -> None:
        if self.settings.pin:
            table.pin(LEAVING)
        self.engine.install_commands(table)

    def _own_info(self) -> dict[bytes, bytes]:
        """Return the fields of INFO in which clients should see the proxy, not a server."""
        clients = self.engine.clients
        return {
            b"tcp_port": b"%d" % self.port,
            b"connected_clients": b"%d" % len(clients),
            b"blocked_clients": b"%d" % self.blocking.count,
            b"maxclients": b"%d" % self.engine.max_clients,
            b"total_connections_received": b"%d" % self.engine.accepted,
            b"rejected_connections": b"%d" % self.engine.refused_clients,
            b"process_id": b"%d" % os.getpid(),
            b"uptime_in_seconds": b"%d" % (time.monotonic() - self._started_s),
            b"uptime_in_days": b"%d" % ((time.monotonic() - self._started_s) // 86400),
            **self.hub.book.info(),
        }

    async def run(self, *, on_listening: Callable[[int], None] = lambda port: None) -> None:
        """Serve until cancelled.

        Args:
            on_listening: Called with the port, once clients are served.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        self._listeners = listeners = open_listeners(self.settings.listen)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drive, self.engine)
                nursery.start_soon(self.watcher.run)
                nursery.start_soon(self.pools.run)
                nursery.start_soon(self.desk.run)
                nursery.start_soon(self.hub.run)
                nursery.start_soon(self.blocking.run)
                nursery.start_soon(self.across.run)
                nursery.start_soon(self.functions.run)
                nursery.start_soon(self.bringer.run)
                await self._learn_commands()
                if isinstance(self.accounts, PassedUsers):
                    await self.accounts.open()
                    nursery.start_soon(self.accounts.run)
                for listener in listeners:
                    self.engine.listen(listener.fileno())
                self.port = listeners[0].getsockname()[1]
                log.info(
                    "listening",
                    address=self.settings.listen.address,
                    port=self.port,
                    fronts=", ".join(self.settings.cluster.seeds),
                    server=f"{self.desk.server_name.decode()} {self.desk.server_version.decode()}",
                )
                on_listening(self.port)
                await trio.sleep_forever()
        finally:
            for listener in listeners:
                listener.close()
            self.engine.close()

    async def drain(self, within_s: float) -> None:
        """Accept nobody, let requests in flight finish, and close; no longer than ``within_s``."""
        for listener in self._listeners:
            self.engine.stop_listening(listener.fileno())
            listener.close()
        self.engine.drain()
        self.blocking.close_all()
        with trio.move_on_after(within_s):
            while self.engine.clients or not self.blocking.is_quiet:  # noqa: ASYNC110  the engine tells nobody
                await trio.sleep(DRAIN_LOOK_S)

    async def _learn_commands(self) -> None:
        """Make the command table from what the first server that answers says."""
        while True:
            topology = self.watcher.topology
            for node in topology.primaries if topology else ():
                try:
                    async with await NodeConnection.open(
                        node.address,
                        self._credentials,
                        connect_timeout_s=self.settings.cluster.connect_timeout_s,
                    ) as connection:
                        info, commands, databases = await connection.ask_all(
                            [("INFO", "server"), ("COMMAND",), ASK_DATABASES]
                        )
                except (BackendUnavailable, BackendProtocolError) as problem:
                    log.warning("no commands", node=str(node.address), problem=str(problem))
                    continue
                self.desk.note_server(info)
                self.desk.note_databases(databases)
                try:
                    self._install_commands(commands)
                except BackendProtocolError as problem:
                    log.warning(
                        "COMMAND not answered; using Redis 7.0's table", problem=str(problem)
                    )
                    self._use_table(CommandTable(snapshot_table(self._denied)))
                return
            await trio.sleep(self.settings.cluster.refresh_min_interval_s)
