"""Which settings can change while the proxy runs, and who takes them over.

Strategy: one function for each group of keys hands the values to the rooms that have them;
it does so at start and at every change, so there is one way. One table says of each key
which function that is, or why it needs a restart; a test sees that no key is missing.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.commands.overrides import DENIED_BY_DEFAULT, DENIED_TO_THE_PROXYS_USER
from proxy.commands.patience import PATIENCES, setting_of
from proxy.config import Admin, Cluster, Settings, Tls
from proxy.control.entrance import Rules
from proxy.control.reads import ReadRules
from proxy.life.descriptors import make_room
from proxy.life.given import Given, Rooms
from proxy.life.restraints import guards_of, rates_of
from proxy.logs import set_level
from proxy.resp.time_limit import GENERAL, TimeLimit
from proxy.sessions.accounts import PassedUsers
from proxy.sessions.across import COPIES_AT_ONCE
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.transaction_queue import TransactionRules

# ---- what each room takes ----------------------------------------------------------------


def denied_by(settings: Settings) -> frozenset[bytes]:
    """Return the names of commands that clients may not use."""
    by_default = (
        DENIED_BY_DEFAULT - DENIED_TO_THE_PROXYS_USER
        if settings.clients.acl == "pass"
        else DENIED_BY_DEFAULT
    )
    return settings.commands.denied(by_default)


def _set_engine(rooms: Rooms, given: Given) -> None:
    settings, limits, engine = given.settings, given.settings.limits, rooms.engine
    _set_places(rooms, given)
    engine.header_timeout_s = settings.listen.proxy_protocol_timeout_s
    engine.login_timeout_s = settings.clients.login_timeout_s
    engine.silence_s = settings.cluster.silence_timeout_s
    engine.idle_timeout_s = settings.clients.idle_timeout_s
    engine.in_flight_limit = limits.client_in_flight_limit
    engine.node_queue_soft_bytes = limits.node_queue_soft_bytes
    engine.client_output_soft_bytes = limits.client_output_soft_bytes
    engine.client_output_limit_bytes = limits.client_output_limit_bytes
    engine.client_output_soft_s = limits.client_output_soft_s
    engine.node_in_flight_limit = limits.node_in_flight_limit
    engine.memory_limit_bytes = limits.memory_limit_bytes
    engine.reply_limit_bytes = rooms.plane.reply_limit_bytes = limits.reply_limit_bytes


def _set_places(rooms: Rooms, given: Given) -> None:
    """Concerns the next connections; clients that are in stay in."""
    listen, engine = given.settings.listen, rooms.engine
    # Where nobody can prove to be an administrator, nothing is kept for one.
    reserved = listen.reserved_clients if given.settings.clients.admins else 0
    room = make_room(listen.max_clients + reserved, engine.max_clients + engine.reserved_clients)
    engine.max_clients = max(1, room.clients - reserved)
    engine.reserved_clients, engine.client_fd_limit = reserved, room.below


def _set_entrance(rooms: Rooms, given: Given) -> None:
    """Concerns the next connections; clients that are in stay in."""
    listen = given.settings.listen
    rooms.plane.entrance.replace(
        Rules(
            is_protected=listen.protected_mode and has_no_key(given),
            tls_proves=given.settings.tls.client_certificates == "required",
            per_s=listen.connections_per_s,
            per_s_per_address=listen.connections_per_s_per_address,
            passers_on=listen.passers_on(),
            unix_passes_on=listen.unix_passes_on,
        )
    )


def has_no_key(given: Given) -> bool:
    """Whether nothing is asked of a client that would tell friend from foe."""
    return given.settings.clients.acl != "pass" and not given.digests


def _set_watcher(rooms: Rooms, given: Given) -> None:
    cluster, watcher = given.settings.cluster, rooms.watcher
    watcher.seeds = cluster.seed_addresses()
    watcher.interval_s = cluster.refresh_interval_s
    watcher.min_interval_s = cluster.refresh_min_interval_s
    watcher.suspect()


def _set_connecting(rooms: Rooms, given: Given) -> None:
    """Concerns the next connections; those that are open stay as they are."""
    timeout_s = given.settings.cluster.connect_timeout_s
    rooms.watcher.credentials = rooms.pools.credentials = given.credentials
    rooms.watcher.timeout_s = rooms.pools.connect_timeout_s = timeout_s
    if isinstance(rooms.accounts, PassedUsers):
        rooms.accounts.doorman.connect_timeout_s = timeout_s


def _set_patience(rooms: Rooms, given: Given) -> None:
    timeout_s = given.settings.cluster.request_timeout_s
    times_s = given.settings.timeouts.by_kind(timeout_s)
    limits = [
        TimeLimit(times_s[kind], GENERAL if times_s[kind] == timeout_s else setting_of(kind))
        for kind in PATIENCES
    ]
    rooms.engine.set_patience(limits)
    rooms.plane.time_limits = limits
    rooms.desk.admin_timeout_s = limits[PATIENCES.index("admin")]
    rooms.blocking.margin_s = given.settings.timeouts.blocking_margin_s
    rooms.calls.timeout_s = rooms.across.timeout_s = timeout_s
    rooms.hub.deadlines.timeout_s = rooms.desk.tasks.timeout_s = timeout_s
    if isinstance(rooms.accounts, PassedUsers):
        rooms.accounts.doorman.timeout_s = timeout_s


def _set_health(rooms: Rooms, given: Given) -> None:
    cluster = given.settings.cluster
    rooms.pulse.interval_s = cluster.health_interval_s
    rooms.pulse.failures = cluster.health_failures
    rooms.pulse.settle()
    rooms.breakers.wait_for(cluster.breaker_after_s)


def _set_reads(rooms: Rooms, given: Given) -> None:
    reads = given.settings.reads
    rooms.reads.take_rules(
        ReadRules(
            zone=reads.zone,
            zones=reads.zones,
            max_lag_s=reads.max_lag_s,
            fallback_s=reads.fallback_s,
            hedge_after_s=reads.hedge_after_ms / 1000,
            hedge_share=reads.hedge_share,
        )
    )


def _set_users(rooms: Rooms, given: Given) -> None:
    """Send away the clients of users that are gone, as a server does; others stay logged in."""
    _set_entrance(rooms, given)
    if not isinstance(rooms.accounts, PasswordBook):
        return
    rooms.accounts.replace(given.digests)
    for client in list(rooms.engine.clients.values()):
        if not rooms.accounts.has_user(client.state.user):
            rooms.engine.close_client(client, "its user is no longer in clients.users")


def _set_rules(rooms: Rooms, given: Given) -> None:
    settings, desk = given.settings, rooms.desk
    _set_places(rooms, given)
    desk.expose_cluster = settings.clients.expose_cluster
    desk.admins = frozenset(name.encode() for name in settings.clients.admins)
    desk.ask_unknown = settings.commands.unknown == "ask"
    desk.transactions = TransactionRules(
        may_split=settings.commands.transactions == "split",
        limit_bytes=settings.limits.transaction_limit_bytes,
        fan_out_limit=settings.limits.fan_out_limit,
    )
    rooms.engine.fan_out_limit = rooms.across.fan_out_limit = settings.limits.fan_out_limit
    desk.subscription_limit = settings.limits.client_subscription_limit
    rooms.across.setting = settings.commands.cross_slot


def _set_rates(rooms: Rooms, given: Given) -> None:
    rooms.rates.replace(rates_of(given.settings))


def _set_guards(rooms: Rooms, given: Given) -> None:
    rooms.desk.guards.replace(guards_of(given.settings))


def _set_denied(rooms: Rooms, given: Given) -> None:
    names = denied_by(given.settings)
    rooms.desk.denied = names
    rooms.tables.deny(names)


def _set_limits(rooms: Rooms, given: Given) -> None:
    limits, slow = given.settings.limits, rooms.hub.slow
    rooms.pools.lane_limit = limits.lane_limit
    rooms.pools.private.limit = limits.private_connection_limit
    rooms.scripts.limit_bytes = limits.script_memory_bytes
    rooms.across.limit_bytes = limits.cross_slot_limit_bytes
    rooms.across.budget.limit_bytes = COPIES_AT_ONCE * limits.cross_slot_limit_bytes
    slow.limit_bytes = limits.pubsub_output_limit_bytes
    slow.soft_bytes = limits.pubsub_output_soft_bytes
    slow.soft_s = limits.pubsub_output_soft_s


def _set_insight(rooms: Rooms, given: Given) -> None:
    rooms.observatory.watch(given.settings.insight)


def _set_sampling(rooms: Rooms, given: Given) -> None:
    rooms.sampling.watch(given.settings)


def _set_token(rooms: Rooms, given: Given) -> None:
    rooms.admin_token.words = given.token


def _set_tls(rooms: Rooms, given: Given) -> None:
    """Concerns the next connections; those that are open stay as they are."""
    tls = given.tls
    if tls.clients is not None:
        rooms.guard.use(tls.clients)
    if tls.admin is not None:
        rooms.admin_guard.use(tls.admin)
    rooms.node_tls.use(tls.nodes)
    rooms.certificates.use(tls.expiries)
    rooms.engine.handshake_timeout_s = given.settings.tls.handshake_timeout_s
    _set_entrance(rooms, given)


def _set_log(_: Rooms, given: Given) -> None:
    set_level(given.settings.log.level)


def _set_nothing(_: Rooms, __: Given) -> None:
    """Whoever needs it looks it up when it is needed."""


Taker = Callable[[Rooms, Given], None]

_TAKERS: dict[Taker, tuple[str, ...]] = {
    _set_engine: (
        "listen.max_clients",
        "listen.reserved_clients",
        "listen.proxy_protocol_timeout_s",
        "clients.login_timeout_s",
        "cluster.silence_timeout_s",
        "clients.idle_timeout_s",
        "limits.client_in_flight_limit",
        "limits.node_queue_soft_bytes",
        "limits.client_output_soft_bytes",
        "limits.client_output_limit_bytes",
        "limits.client_output_soft_s",
        "limits.node_in_flight_limit",
        "limits.memory_limit_bytes",
        "limits.reply_limit_bytes",
    ),
    _set_entrance: (
        "listen.connections_per_s",
        "listen.connections_per_s_per_address",
        "listen.protected_mode",
        "listen.proxy_protocol_from",
    ),
    _set_watcher: (
        "cluster.seeds",
        "cluster.refresh_interval_s",
        "cluster.refresh_min_interval_s",
    ),
    _set_connecting: (
        "cluster.username",
        "cluster.password",
        "cluster.password_file",
        "cluster.connect_timeout_s",
    ),
    _set_patience: (
        "cluster.request_timeout_s",
        "timeouts.read_s",
        "timeouts.write_s",
        "timeouts.script_s",
        "timeouts.admin_s",
        "timeouts.blocking_margin_s",
    ),
    _set_health: (
        "cluster.health_interval_s",
        "cluster.health_failures",
        "cluster.breaker_after_s",
    ),
    _set_reads: (
        "reads.zone",
        "reads.zones",
        "reads.max_lag_s",
        "reads.fallback_s",
        "reads.hedge_after_ms",
        "reads.hedge_share",
    ),
    _set_users: (
        "clients.username",
        "clients.password",
        "clients.password_file",
        "clients.users",
    ),
    _set_rules: (
        "clients.admins",
        "clients.expose_cluster",
        "commands.unknown",
        "commands.transactions",
        "commands.cross_slot",
        "limits.transaction_limit_bytes",
        "limits.fan_out_limit",
        "limits.client_subscription_limit",
    ),
    _set_denied: ("commands.deny",),
    _set_rates: ("rate",),
    _set_guards: ("guard",),
    _set_limits: (
        "limits.lane_limit",
        "limits.private_connection_limit",
        "limits.script_memory_bytes",
        "limits.cross_slot_limit_bytes",
        "limits.pubsub_output_limit_bytes",
        "limits.pubsub_output_soft_bytes",
        "limits.pubsub_output_soft_s",
    ),
    _set_insight: (
        "insight.slow_log_ms",
        "insight.slow_log_length",
        "insight.sample_every",
        "insight.hot_keys",
        "insight.big_reply_bytes",
    ),
    _set_sampling: ("log.access_every", "log.access_keys", "tracing.every"),
    _set_token: ("admin.token", "admin.token_file"),
    _set_log: ("log.level",),
    _set_tls: (
        *(f"tls.{name}" for name in Tls.model_fields if name not in ("mode", "port")),
        *(f"cluster.{name}" for name in Cluster.model_fields if name.startswith("tls_")),
        *(f"admin.{name}" for name in Admin.model_fields if name.startswith("tls_")),
    ),
    _set_nothing: (
        "listen.drain_delay_s",
        "listen.drain_s",
        "listen.drain_linger_s",
        "reload.watch_s",
    ),
}

LIVE: dict[str, Taker] = {key: take for take, keys in _TAKERS.items() for key in keys}
"""Every key that can change while the proxy runs, and who takes it over."""

_WHY_RESTART: dict[str, tuple[str, ...]] = {
    "the sockets are open": (
        "listen.address",
        "listen.port",
        "listen.unix_socket",
        "listen.unix_socket_mode",
        "listen.unix_socket_group",
        "listen.reuse_port",
        "listen.backlog",
        "listen.tcp_keepalive_s",
        "listen.proxy_protocol",
        "admin.enabled",
        "admin.address",
        "admin.port",
        "tls.mode",
        "tls.port",
    ),
    "the connections are made so": (
        "cluster.address_map",
        "cluster.tls",
        "cluster.connections_per_node",
        "clients.acl",
        "reads.policy",
        "reads.users",
    ),
    "what has been read of requests was held to it": (
        "limits.request_limit_bytes",
        "limits.argument_limit",
        "limits.argument_limit_bytes",
        "limits.inline_limit_bytes",
    ),
    "the traces have begun so": (
        "tracing.endpoint",
        "tracing.service_name",
    ),
    "the log has begun so": ("log.format",),
    "keys would change their names": ("pin",),
}

RESTART: dict[str, str] = {key: why for why, keys in _WHY_RESTART.items() for key in keys}
"""Every key that only a start can change, and why."""

# If clients.acl waits for a restart, these wait too: users without the word who knows them
# would open the door to everybody.
WITH_ACL = _TAKERS[_set_users]
