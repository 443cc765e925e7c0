"""Wire the rooms together, start them, stop them. The only place that knows everybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import structlog
import trio

from proxy.admin.port import AdminPort
from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.config import Settings
from proxy.control.breaker import Breakers
from proxy.control.calls import Calls
from proxy.control.connection import Credentials
from proxy.control.functions import FunctionCare
from proxy.control.hub import Hub
from proxy.control.hub_roads import HubRoads
from proxy.control.plane import ControlPlane, RequestLimits
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.rates import RateBook
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.scripts import Bringer, ScriptBook
from proxy.control.slow_readers import SlowReaders
from proxy.control.watch import Watcher
from proxy.dataplane.drive import drive
from proxy.dataplane.engine import Engine
from proxy.insight.views_answers import EventKind, Level
from proxy.life.administering import serve_admin
from proxy.life.announce import start_facts
from proxy.life.certificates import Certificates
from proxy.life.doors import Doors
from proxy.life.drain import Drain
from proxy.life.file_watch import FileWatch
from proxy.life.given import AdminToken
from proxy.life.identity import open_accounts
from proxy.life.learning import CommandTables
from proxy.life.live_settings import denied_by
from proxy.life.observing import observe
from proxy.life.own_info import own_info
from proxy.life.predecessor import Inherited, Predecessor
from proxy.life.reload import Reloaded, Reloader
from proxy.life.sampling import Sampling
from proxy.life.succession import Estate, Succession
from proxy.sessions.accounts import PassedUsers
from proxy.sessions.across import Across
from proxy.sessions.blocking import Blocking
from proxy.sessions.desk import Desk
from proxy.sessions.moving import Arrivals
from proxy.sessions.pins import stand_before
from proxy.sessions.state import ClientState
from proxy.sessions.transaction_queue import TransactionRules
from proxy.sources import Sources
from proxy.tls.certificate import Expiry
from proxy.tls.sides import Guard, NodeTls

log = structlog.get_logger()


class Proxy:
    """A whole proxy.

    Args:
        settings: Everything that can be set, as it is at start.
        sources: Where they are read again; None: nowhere, they stay as they are.
        predecessor: The process whose place it takes.

    Attributes:
        stop_wanted: Set when the proxy is asked to end by whoever may; ``drain`` is next.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sources | None = None,
        predecessor: Predecessor | None = None,
    ) -> None:
        self.port, self.tls_port = settings.listen.port, 0
        self.stop_wanted = trio.Event()
        self._predecessor = predecessor
        self.started_s = time.monotonic()
        self._doors: Doors | None = None
        self.admin: AdminPort | None = None
        self.guard, self.admin_guard, self.node_tls = Guard(), Guard(), NodeTls()
        self.certificates = Certificates()
        credentials = Credentials.of(settings.cluster.username, settings.cluster.read_password())
        limits = settings.limits
        self.routes = Routes()
        request_limits = RequestLimits(
            argument_limit=limits.argument_limit,
            argument_limit_bytes=limits.argument_limit_bytes,
            inline_limit_bytes=limits.inline_limit_bytes,
            request_limit_bytes=limits.request_limit_bytes,
        )
        self.plane = ControlPlane(
            address_map=settings.cluster.addresses_from_here(),
            request_timeout_s=settings.cluster.request_timeout_s,
            limits=request_limits,
            reply_limit_bytes=limits.reply_limit_bytes,
            new_state=lambda: ClientState(authenticated=not self.accounts.is_required),
            must_log_in=lambda: self.accounts.is_required,
        )
        self.engine = Engine(self.plane)
        self.rates = RateBook(self.engine)
        self.engine.set_request_limits(**asdict(request_limits))
        self.watcher = Watcher(
            seeds=settings.cluster.seed_addresses(),
            credentials=credentials,
            tls=self.node_tls,
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
        self.pulse = Pulse(self.watcher)
        self.breakers = Breakers(engine=self.engine, routes=self.routes, pulse=self.pulse)
        self.pulse.on_life = self.breakers.heard
        self.pools.reads = settings.reads.readers_of()
        self.reads = Reads(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            pulse=self.pulse,
            breakers=self.breakers,
            topology=lambda: self.watcher.topology,
        )
        self.tables = CommandTables(
            self.engine, self.watcher, denied=denied_by(settings), is_pinned=bool(settings.pin)
        )
        self.accounts = open_accounts(settings, self.watcher, self.pools, self.node_tls)
        self.calls = Calls(
            engine=self.engine,
            pools=self.pools,
            routes=self.routes,
            watcher=self.watcher,
            timeout_s=settings.cluster.request_timeout_s,
            own_info=lambda: own_info(self),
            given_up=self.breakers.given_up,
        )
        self.hub = Hub(
            engine=self.engine,
            roads=HubRoads(engine=self.engine, pools=self.pools, routes=self.routes),
            slow=SlowReaders(
                close=self.engine.close_client,
                note_limit=self.engine.meter.note_limit,
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
            note_limit=self.engine.meter.note_limit,
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
            rates=self.rates,
            accounts=self.accounts,
            expose_cluster=settings.clients.expose_cluster,
            install_commands=self.tables.install,
            ask_unknown=settings.commands.unknown == "ask",
            denied=self.tables.denied,
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
            breakers=self.breakers,
            rates=self.rates,
            guard=self.desk.guards.guard,
            is_confirmed=self.desk.guards.is_confirmed,
            reads=self.reads,
        )
        self.tables.on_table = self._commands_changed
        self.tables.on_server = self.desk.note_server
        self.drainer = Drain(self.engine, self.blocking)
        self.arrivals = Arrivals(self.engine, self.pools, self.accounts, self.rates)
        self.succession = Succession(self.engine, self.blocking, self.arrivals, self.desk.pause)
        self.sampling = Sampling(settings, self.routes, self.watcher)
        self.observatory = observe(self, settings, sources)
        self.admin_token = AdminToken()
        self.reloader = Reloader(self, settings, sources.read if sources else lambda: settings)
        self.file_watch = FileWatch(
            lambda: sources.files(self.settings) if sources else (),
            lambda: self.settings.reload.watch_s,
        )

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.reloader.settings

    @property
    def expiries(self) -> tuple[Expiry, ...]:
        """Until when the certificates in use are good."""
        return self.certificates.expiries

    @property
    def is_listening(self) -> bool:
        """Whether clients are let in."""
        return self._doors is not None and any(each.fileno() >= 0 for each in self._doors.sockets)

    def _commands_changed(self) -> None:
        self.hub.divert_publish()
        self.desk.guards.mark()

    def _map_read(self, topology: Topology) -> None:
        self.pulse.map_read(topology)
        self.breakers.map_read(topology)
        self.reads.map_read(topology)
        self.pools.retire(topology)
        self.blocking.successions.map_read(topology)
        self.functions.note_map(topology)
        self.observatory.chronicle.map_read(topology)

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
        self.observatory.chronicle.slot_moved(slot, address)
        self.blocking.map_changed()

    async def run(self, *, on_listening: Callable[[int], None] = lambda port: None) -> None:
        """Serve until cancelled.

        Args:
            on_listening: Called with the port, once clients are served.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        settings, before = self.settings, self._predecessor
        given = before.inherited if before else Inherited()
        doors = Doors(
            settings.listen, settings.tls, self.guard, given.listeners, given.tls_listeners
        )
        try:
            if settings.admin.enabled:
                self.admin = AdminPort(settings.admin, self.admin_guard, given.admin_listeners)
            else:
                given.close_admin()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(drive, self.engine)
                nursery.start_soon(serve_admin, self)
                nursery.start_soon(self.watcher.run)
                nursery.start_soon(self.pools.run)
                nursery.start_soon(self.pulse.run)
                nursery.start_soon(self.desk.run)
                nursery.start_soon(self.hub.run)
                nursery.start_soon(self.blocking.run)
                nursery.start_soon(self.across.run)
                nursery.start_soon(self.functions.run)
                nursery.start_soon(self.bringer.run)
                await self.tables.learn()
                nursery.start_soon(self.tables.run)
                nursery.start_soon(self.sampling.run)
                nursery.start_soon(self.observatory.run)
                nursery.start_soon(self.certificates.run)
                if isinstance(self.accounts, PassedUsers):
                    await self.accounts.open()
                    nursery.start_soon(self.accounts.run)
                if before is not None:
                    self.engine.next_client_id = await before.step_back(
                        self.blocking.successions, self.desk.pause
                    )
                    nursery.start_soon(before.take_clients, self.arrivals)
                    if self.admin is not None:
                        self.admin.go_on()
                doors.let_in(self.engine)
                self._doors, self.port, self.tls_port = doors, doors.port, doors.tls_port
                self.observatory.events.note(EventKind.STARTED, f"listening on port {self.port}")
                log.info(
                    "listening",
                    **start_facts(
                        self.settings,
                        port=self.port,
                        tls_port=self.tls_port,
                        admin_port=self.admin.port if self.admin else None,
                        server=(self.desk.server_name, self.desk.server_version),
                        topology=self.watcher.topology,
                    ),
                )
                doors.tell_if_protected(is_protected=self.plane.entrance.rules.is_protected)
                on_listening(self.port)
                await trio.sleep_forever()
        finally:
            doors.close()
            if self.admin:
                self.admin.close()
            self.engine.close()

    def stop(self, why: str) -> float:
        """Ask the proxy to end, and return how many seconds that may take."""
        if not self.stop_wanted.is_set():
            log.info("stopping", why=why)
            self.observatory.events.note(EventKind.DRAIN, why, level=Level.WARNING)
            self.drainer.has_begun = True
            self.stop_wanted.set()
        listen = self.settings.listen
        return listen.drain_delay_s + listen.drain_s

    def reload(self) -> Reloaded:
        """Read the settings again, and use what can be used without a restart.

        Raises:
            ConfigError: Something is wrong with them; nothing has changed.
        """
        self.file_watch.note()
        done = self.reloader.reload()
        changed = ", ".join(done.changed) or "nothing"
        self.observatory.events.note(EventKind.RELOAD, f"reloaded, and {changed} has changed")
        return done

    async def hand_over(self) -> None:
        """Start a successor and give it everything, then end; go on if that fails."""
        if self._doors is None or self.stop_wanted.is_set():
            log.warning("not handed over", why="this process does not serve clients")
            return
        if await self.succession.run(Estate(self.settings, self._doors, self.admin)):
            self.stop("a successor serves")

    async def drain(self) -> None:
        """Send the clients away without breaking off what has begun; see ``drain.py``."""
        sockets = self._doors.sockets if self._doors else ()
        await self.drainer.run(sockets, self.settings.listen, is_late=self.succession.is_over)
