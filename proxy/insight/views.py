"""What the proxy tells of itself: one frozen value for each view.

Strategy: plain values and nothing else. PROXY, the admin port and the page all show these,
so a number has one name and one meaning wherever it is seen. What clients gave
(keys, names, arguments) stays bytes until it is shown; ``shown.py`` does that.

Times are unix seconds where they say ``at``, else seconds or milliseconds as the name ends.
A rate is a number a second. None means: not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# ---- topology -----------------------------------------------------------------------------


class Role(StrEnum):
    """What a node is in its shard."""

    PRIMARY = "primary"
    REPLICA = "replica"


class Health(StrEnum):
    """How the proxy's own connections to a node are."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    SILENT = "silent"
    """It owes replies and has sent no byte for ``cluster.silence_timeout_s``."""
    DOWN = "down"
    """It has missed ``cluster.health_failures`` health checks in a row."""
    LOST = "lost"
    """The last connection broke, or the last attempt failed, and there is none since."""
    IDLE = "idle"
    """There is no connection because nobody has needed one, as to most replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long requests took, in milliseconds; None if there were none."""

    count: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One server of the cluster."""

    id: str
    address: str
    role: Role
    failed: bool
    """The cluster has agreed that it is down."""
    link_up: bool
    """The node whose map is in use is connected to it and does not suspect it."""
    health: Health
    connections: int
    in_flight: int
    """Requests sent to it and not answered."""
    queued: int
    """Requests that wait to be sent to it."""
    heard_s: float | None
    """How long ago its last byte came."""
    requests_per_s: float
    """Over the last ten seconds."""
    latency: Latency
    """Of the last minute, from the proxy's sending to the node's reply."""
    zone: str | None = None
    """Availability zone, where the server names one."""
    offset: int | None = None
    """Bytes of the replication stream it has written or taken in."""
    lag_bytes: int | None = None
    """How many of them a replica lacks."""
    lag_s: int | None = None
    """How long ago the primary last heard from a replica."""
    ping_ms: float | None = None
    """How long it takes to answer a health check, smoothed."""
    breaker_open_s: float | None = None
    """For how long its requests have been answered at once with an error; None: they are sent."""
    reads: bool | None = None
    """Whether a replica may answer reads now; None: the settings want none to, or it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardView:
    """A primary that owns slots, and its replicas."""

    primary: NodeView
    replicas: tuple[NodeView, ...]
    ranges: tuple[tuple[int, int], ...]
    """Slots, first and last included."""
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingSlot:
    """A slot that is being moved, key by key."""

    slot: int
    source: str
    """Address of the node that has it; its id if the address is not known."""
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyView:
    """The cluster as the proxy sees it."""

    at: float
    known: bool
    """A map has been read."""
    serving: bool
    """The node whose map is in use says that the cluster's state is ok."""
    generation: int
    """Number of the map; grows by one with each change."""
    config_epoch: int
    covered_slots: int
    age_s: float | None
    """How long ago the map was last confirmed by a node."""
    refreshes: int
    failed_refreshes: int
    shards: tuple[ShardView, ...]
    others: tuple[NodeView, ...]
    """Nodes without slots that are nobody's replica."""
    moving: tuple[MovingSlot, ...]


# ---- clients ------------------------------------------------------------------------------


class ClientMode(StrEnum):
    """What a client is doing, as far as that sets it apart."""

    NORMAL = "normal"
    TRANSACTION = "transaction"
    BLOCKED = "blocked"
    SUBSCRIBED = "subscribed"
    MONITOR = "monitor"
    GATED = "gated"
    """It has not logged in yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    """One client's connection."""

    id: int
    address: str
    name: bytes
    library: bytes
    """Name and version as the library itself gives them."""
    user: bytes
    resp: int
    database: int
    mode: ClientMode
    stopped_by: str
    """Why its next request is not looked at yet, in words; empty: it may be."""
    in_flight: int
    input_bytes: int
    """Read from it and not yet taken as requests."""
    output_bytes: int
    """Replies that it has not read."""
    commands: int
    last_command: bytes
    bytes_in: int
    bytes_out: int
    age_s: float
    idle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsView:
    """The clients, the longest connected first."""

    at: float
    total: int
    """All of them; ``clients`` may be fewer."""
    clients: tuple[ClientRow, ...]


# ---- stats --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What is counted. As totals since the start; as rates, a second, over some time."""

    requests: float = 0
    errors: float = 0
    """Error replies that clients got, whoever made them."""
    slow: float = 0
    redirects: float = 0
    """MOVED and ASK that were followed."""
    retries: float = 0
    """Pieces sent again for another reason than a redirect."""
    splits: float = 0
    parts: float = 0
    """Into which the split requests were split."""
    punts: float = 0
    """Requests that left the hot road."""
    limits: float = 0
    """Times that a limit of the settings was reached."""
    bytes_in: float = 0
    """From clients."""
    bytes_out: float = 0
    """To clients."""
    accepted: float = 0
    """Connections of clients."""
    refused: float = 0
    """Clients over ``listen.max_clients``, or too many for the limit of open files."""
    lost: float = 0
    """Connections to nodes that broke."""
    dials: float = 0
    """Connections to nodes that were tried."""
    failed_dials: float = 0
    refreshes: float = 0
    """Times that the map was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One of a closed set of things that are counted: an error class, a limit, a redirect."""

    name: str
    total: int
    per_s: float
    """Over the last ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLatency:
    """A family of commands: how often, and how long they took, over the last minute."""

    family: str
    per_s: float
    whole: Latency
    """From the client's last byte to the reply, as the client would measure it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLatency:
    """A node: how often it was asked, and how long it took, over the last minute."""

    node: str
    per_s: float
    whole: Latency
    """From the client's last byte to the reply."""
    backend: Latency
    """The node's share of it, with the way there and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRow:
    """One kind of connection to the nodes."""

    resp: int
    user: bytes | None
    """None: the proxy's own rights."""
    database: int
    alone: bool
    """It is one client's own."""
    connections: int
    in_flight: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is so at this moment."""

    clients: int
    max_clients: int
    blocked: int
    subscribers: int
    in_flight: int
    connections: int
    """To nodes, shared by clients."""
    private_connections: int
    """To nodes, one client's own for a while."""
    lanes: int
    memory_bytes: int | None
    """Resident memory of the process."""
    held_bytes: int
    """Of it, what is kept of requests and replies: what ``limits.memory_limit_bytes`` bounds."""
    client_buffers_bytes: int
    loop_lag_ms: float | None
    """The longest time in the last ten seconds that the proxy's tasks had to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One second of the past."""

    at: float
    requests: float
    errors: float
    redirects: float
    retries: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsView:
    """Counters, rates and latencies."""

    at: float
    started_at: float
    uptime_s: float
    version: str
    pid: int
    server: str
    """What the connected servers are: ``redis 7.0.15``."""
    now: Now
    totals: Counters
    last_1s: Counters
    last_10s: Counters
    last_60s: Counters
    latency: Latency
    """Of all requests, over the last minute."""
    families: tuple[FamilyLatency, ...]
    nodes: tuple[NodeLatency, ...]
    errors: tuple[Named, ...]
    redirects: tuple[Named, ...]
    retries: tuple[Named, ...]
    limits: tuple[Named, ...]
    lanes: tuple[LaneRow, ...]
    history: tuple[Point, ...]
    """The last two minutes, a second each, the oldest first."""
