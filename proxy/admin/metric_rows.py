"""What a metric is, and what a scrape sees.

Strategy: a row has a name, a type, a text, its labels, and a function that reads the values
from a ``Scene``. Labels come from closed sets: families of commands, reasons, kinds, and the
addresses of the cluster's nodes; never a key, a user, or a client's name. Names are
Prometheus': base units, ``_total`` for what only grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.control.breaker import Breakers
from proxy.control.hub import Hub
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.scripts import ScriptBook
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.histogram import Histogram
from proxy.dataplane.meter import FamilyCounts, NodeCounts
from proxy.insight.views_answers import ReadinessView
from proxy.sessions.blocking import Blocking
from proxy.tls.certificate import Expiry
from proxy.tls.sides import NodeTls

Value = float | Histogram
Reading = Iterable[tuple[tuple[str, ...], Value]]
"""(values of the labels, value) of each series."""


class Gauged(Protocol):
    """Whom a scrape asks: a ``Proxy``."""

    engine: Engine
    pools: Pools
    pulse: Pulse
    breakers: Breakers
    reads: Reads
    routes: Routes
    watcher: Watcher
    hub: Hub
    blocking: Blocking
    scripts: ScriptBook
    node_tls: NodeTls

    @property
    def expiries(self) -> Sequence[Expiry]:
        """Until when the certificates in use are good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What one scrape sees: what is costly to read, read once."""

    of: Gauged
    families: Mapping[str, FamilyCounts]
    nodes: tuple[tuple[str, NodeCounts], ...]
    readiness: ReadinessView
    version: str
    totals: Mapping[str, int]
    levels: Mapping[str, int]
    lanes: Mapping[str, LaneKind]


@dataclass(slots=True)
class LaneKind:
    """The lanes of one kind together."""

    lanes: int = 0
    requests: int = 0
    connections: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One metric; ``name`` without ``_total``."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    text: str
    labels: tuple[str, ...]
    read: Callable[[Scene], Reading]

    @property
    def full_name(self) -> str:
        """What queries call it."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


def one(read: Callable[[Scene], float]) -> Callable[[Scene], Reading]:
    """Read a metric without labels."""
    return lambda scene: (((), read(scene)),)


def total(name: str) -> Callable[[Scene], Reading]:
    """Read one of the meter's totals."""
    return one(lambda scene: scene.totals[name])


def level(name: str) -> Callable[[Scene], Reading]:
    """Read one of the meter's levels."""
    return one(lambda scene: scene.levels[name])


def named(read: Callable[[Scene], Mapping[str, float]]) -> Callable[[Scene], Reading]:
    """Read what is counted by name."""
    return lambda scene: [((name,), value) for name, value in read(scene).items()]
