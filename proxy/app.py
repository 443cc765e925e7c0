"""Wire the rooms together, start them, stop them. The only place that knows everybody."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.table import compile_table, snapshot_table
from proxy.config import Settings
from proxy.control.calls import Calls
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.plane import ControlPlane, RequestLimits
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.drive import drive
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import CommandTable
from proxy.errors import BackendProtocolError, BackendUnavailable, ConfigError
from proxy.sessions.desk import Desk
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.state import ClientState

log = structlog.get_logger()

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
        self._denied = settings.commands.denied(DENIED_BY_DEFAULT)
        password = settings.clients.read_password()
        passwords = PasswordBook(
            {settings.clients.username.encode(): password.encode()} if password else {}
        )
        credentials = Credentials(settings.cluster.username, settings.cluster.read_password())
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
            new_state=lambda: ClientState(authenticated=not passwords.is_required),
            must_log_in=passwords.is_required,
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
            on_read=lambda topology: self.pools.retire(topology),
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
        )
        self.calls = Calls(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            watcher=self.watcher,
            timeout_s=settings.cluster.request_timeout_s,
            own_info=self._own_info,
        )
        self.desk = Desk(
            engine=self.engine,
            nodes=self.calls,
            pools=self.pools,
            passwords=passwords,
            expose_cluster=settings.clients.expose_cluster,
            install_commands=self._install_commands,
            ask_unknown=settings.commands.unknown == "ask",
            denied=self._denied,
            max_clients=settings.listen.max_clients,
            timeout_s=settings.cluster.request_timeout_s,
        )
        self.plane.connect(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            watcher=self.watcher,
            on_punt=self.desk.punt,
            on_closed=self.desk.client_closed,
        )
        self._credentials = credentials

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

    def _map_changed(self, topology: Topology) -> None:
        generation = self.engine.slot_map.generation + 1
        self.engine.install_slots(self.routes.slot_map(topology, generation))

    def _slot_moved(self, slot: int, address: Address) -> None:
        """Patch one slot: a resharding brings hundreds of these a second."""
        number = self.routes.number(address)
        self.engine.install_slots(self.engine.slot_map.with_owner(slot, number))

    def _install_commands(self, command_reply: object) -> None:
        self.engine.install_commands(CommandTable(compile_table(command_reply, self._denied)))

    def _own_info(self) -> dict[bytes, bytes]:
        """Return the fields of INFO in which clients should see the proxy, not a server."""
        clients = self.engine.clients
        return {
            b"tcp_port": b"%d" % self.port,
            b"connected_clients": b"%d" % len(clients),
            b"maxclients": b"%d" % self.engine.max_clients,
            b"total_connections_received": b"%d" % self.engine.accepted,
            b"rejected_connections": b"%d" % self.engine.refused_clients,
            b"process_id": b"%d" % os.getpid(),
            b"uptime_in_seconds": b"%d" % (time.monotonic() - self._started_s),
            b"uptime_in_days": b"%d" % ((time.monotonic() - self._started_s) // 86400),
        }

    async def run(self, *, on_listening: Callable[[int], None] = lambda port: None) -> None:
        """Serve until cancelled.

        Args:
            on_listening: Called with the port, once clients are served.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        self._listeners = listeners = open_listeners(self.settings)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drive, self.engine)
                nursery.start_soon(self.watcher.run)
                nursery.start_soon(self.pools.run)
                nursery.start_soon(self.desk.run)
                await self._learn_commands()
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

    async def drain(self, within_s: float) -> None:
        """Accept nobody, let requests in flight finish, and close; no longer than ``within_s``."""
        for listener in self._listeners:
            self.engine.stop_listening(listener.fileno())
            listener.close()
        self.engine.drain()
        with trio.move_on_after(within_s):
            while self.engine.clients:  # noqa: ASYNC110  the engine tells nobody
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
                        info, commands = await connection.ask_all(
                            [("INFO", "server"), ("COMMAND",)]
                        )
                except (BackendUnavailable, BackendProtocolError) as problem:
                    log.warning("no commands", node=str(node.address), problem=str(problem))
                    continue
                self.desk.note_server(info)
                try:
                    self._install_commands(commands)
                except BackendProtocolError as problem:
                    log.warning(
                        "COMMAND not answered; using Redis 7.0's table", problem=str(problem)
                    )
                    self.engine.install_commands(CommandTable(snapshot_table(self._denied)))
                return
            await trio.sleep(self.settings.cluster.refresh_min_interval_s)


def open_listeners(settings: Settings) -> list[socket.socket]:
    """Return listening, non-blocking sockets for every address that the setting names.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    listen = settings.listen
    try:
        found = socket.getaddrinfo(
            listen.address, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listeners = []
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if listen.tcp_keepalive_s:
                # Accepted sockets inherit these.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, listen.tcp_keepalive_s)
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, listen.tcp_keepalive_s // 3)
                )
            listener.setblocking(False)
            listener.bind(place)
            listener.listen(listen.backlog)
    except OSError as problem:
        raise ConfigError(
            key="listen.address, listen.port",
            given=f"{listen.address}, {listen.port}",
            allowed=f"an address of this machine and a free port ({problem.strerror})",
        ) from None
    return listeners
