"""More views: what happened, whether the proxy is ready, its settings, what a command would do.

Strategy: as ``views.py``; plain values, shown alike everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# ---- events -------------------------------------------------------------------------------


class EventKind(StrEnum):
    """What can happen that is worth telling."""

    MAP_CHANGED = "map_changed"
    SLOT_MOVED = "slot_moved"
    MIGRATION_BEGUN = "migration_begun"
    MIGRATION_ENDED = "migration_ended"
    FAILOVER = "failover"
    NODE_FAILED = "node_failed"
    NODE_BACK = "node_back"
    NODE_ADDED = "node_added"
    NODE_GONE = "node_gone"
    NODE_MOVED = "node_moved"
    NODE_SILENT = "node_silent"
    NODE_DOWN = "node_down"
    NODE_UP = "node_up"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_CLOSED = "breaker_closed"
    CONNECTED = "connected"
    CONNECTION_LOST = "connection_lost"
    UNREACHABLE = "unreachable"
    REDIRECTS = "redirects"
    RETRIES = "retries"
    ERRORS = "errors"
    LIMIT = "limit"
    CLIENT_CUT = "client_cut"
    RELOAD = "reload"
    DRAIN = "drain"
    STARTED = "started"


class Level(StrEnum):
    """How much an event concerns the reader."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    number: int
    """Grows by one with each event."""
    at: float
    kind: EventKind
    level: Level
    text: str
    """In plain words."""
    node: str | None = None
    """Address of the node that it is about."""
    slot: int | None = None
    count: int = 1
    """How many of its kind it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """What happened after a number, the oldest first."""

    at: float
    started_at: float
    """Numbers begin anew with each start of the proxy."""
    last: int
    """The newest event's number: what to ask for next time."""
    events: tuple[Event, ...]


# ---- readiness and settings ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessView:
    """Whether clients should be sent here."""

    ready: bool
    missing: tuple[str, ...]
    """What is not so and should be, in plain words; empty if ready."""
    listening: bool
    draining: bool
    map_known: bool
    serving: bool
    covered_slots: int
    commands_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting."""

    key: str
    value: str
    """As an environment variable would have it; ``***`` for a secret that is set."""
    default: str
    source: str
    """``default``, ``file``, ``environment``, ``command line`` or ``PROXY CONFIG SET``."""
    secret: bool
    live: bool
    """It can be changed while the proxy runs."""
    text: str
    """What it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigView:
    """Every setting, in the order of proxy.toml."""

    file: str | None
    settings: tuple[SettingRow, ...]


# ---- explain ------------------------------------------------------------------------------


class Fate(StrEnum):
    """What becomes of a request."""

    FORWARDED = "forwarded"
    """To the node of its slot, as it is."""
    SPLIT = "split"
    """One part for each slot."""
    FANNED_OUT = "fanned_out"
    """To several nodes, whose replies become one."""
    ANSWERED = "answered"
    """By the proxy itself."""
    IN_SESSION = "in_session"
    """By a part of the proxy that keeps the client's state: it blocks, subscribes, queues."""
    ACROSS = "across"
    """In several steps, for its keys lie in several slots."""
    ASKED = "asked"
    """A server is asked first where its keys are, or whether it knows the command."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """One key of a request."""

    key: bytes
    stored: bytes
    """Its name in the cluster: another one if it is pinned."""
    hash_tag: bytes
    """The part of the stored name that decides the slot."""
    slot: int
    node: str | None
    """Address of the slot's primary; None if nobody has the slot."""
    moving_to: str | None = None
    """The slot is being moved there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlace:
    """What one slot gets of a request."""

    slot: int | None
    """None: it has no key."""
    node: str | None
    args: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would become of a request; nothing has been sent."""

    command: str
    """Its row of the command table: ``get``, ``config|set``; as sent if there is none."""
    known: bool
    fate: Fate
    why: str
    """In one sentence."""
    road: str | None
    """The row's road, as ARCHITECTURE.md names it."""
    is_write: bool
    keys: tuple[KeyPlace, ...]
    parts: tuple[PartPlace, ...]
    """What is sent to whom; empty if nothing is, or if that shows only later."""
    merge: str | None
    """How several replies become one."""
    refusal: str | None
    """The error that the client gets."""
    in_transaction: str
    """What would become of it between MULTI and EXEC, in one sentence."""
    guards: tuple[str, ...] = ()
    """What ``[[guard]]`` says of it, "confirm: everyone"; the first that names a user counts."""
