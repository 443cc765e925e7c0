"""Everything that watches the proxy, put together: it notes, and answers through ``Insight``.

Strategy: one object, so that whoever wires the rooms has one line for it. It hangs itself on
the hooks of data plane and control plane; what rooms above know is handed in.

Cost: its tasks take 0.05 ms a second while nobody looks (CPython 3.11, CI machine).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from proxy.cluster.addresses import AddressMap
from proxy.control.breaker import Breakers
from proxy.control.plane import ControlPlane
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.insight.chronicle import Chronicle
from proxy.insight.clients_view import look_at_clients
from proxy.insight.cluster_view import ClusterSight
from proxy.insight.events import EventLog
from proxy.insight.insight import Insight, Sources
from proxy.insight.keys_view import KeysSight
from proxy.insight.readiness import readiness
from proxy.insight.seconds import Seconds
from proxy.insight.slow_log import SlowLog
from proxy.insight.stats import Stats
from proxy.insight.stats_view import StatsSight
from proxy.insight.survey import Survey
from proxy.insight.views_answers import ConfigView, Explanation, ReadinessView


class Watched(Protocol):
    """What is noted of the traffic: the settings ``[insight]``."""

    @property
    def slow_log_ms(self) -> float:
        """From when on a request is slow; 0: none is."""

    @property
    def slow_log_length(self) -> int:
        """How many of them are kept."""

    @property
    def sample_every(self) -> int:
        """One request in so many is looked at; 0: none is."""

    @property
    def hot_keys(self) -> int:
        """How many of the most used keys are told apart."""

    @property
    def big_reply_bytes(self) -> int:
        """From when on a reply or value is big."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """What rooms above know of the proxy."""

    blocked: Callable[[], int]
    """How many clients wait in a blocking command."""
    subscribers: Callable[[], int]
    """How many clients listen to channels."""
    server: Callable[[], str]
    """Name and version of the connected servers."""
    is_listening: Callable[[], bool]
    is_draining: Callable[[], bool]
    has_commands: Callable[[], bool]
    config: Callable[[], ConfigView]
    explain: Callable[[Sequence[bytes]], Explanation]
    show_key: Callable[[bytes], bytes] = lambda key: key
    """The name by which clients know a stored key."""


class Observatory:
    """Watches one proxy.

    Args:
        above: What rooms above know.
        watched: What is noted at first.

    Attributes:
        insight: Answers what is asked about the proxy.
        events: Where others tell what happens.
        take_sample: To be called with requests that are looked at closely.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        plane: ControlPlane,
        pools: Pools,
        routes: Routes,
        watcher: Watcher,
        address_map: AddressMap,
        watched: Watched,
        above: Above,
        pulse: Pulse,
        breakers: Breakers,
        reads: Reads,
    ) -> None:
        self._engine = engine
        self._watcher = watcher
        self._above = above
        self.events = EventLog()
        self.chronicle = Chronicle(self.events, watcher.suspect)
        plane.notices = pools.notices = self.chronicle
        pulse.notices = breakers.notices = self.chronicle
        self._pulse = pulse
        self._survey = Survey(
            watcher=watcher,
            address_map=address_map,
            on_migrating=self.chronicle.surveyed,
        )
        self._routes = routes
        self._slow_log = SlowLog(watched.slow_log_length, self._slow_ms, self._node_name)
        self._keys = KeysSight(
            engine=engine, hot_keys=watched.hot_keys, owner=self.owner, show=above.show_key
        )
        self._stats = Stats(
            meter=engine.meter,
            pools=pools,
            watcher=watcher,
            slow=lambda: self._slow_log.seen,
            lost=lambda: self.chronicle.lost_connections,
            on_second=Seconds(self.events, self.chronicle).tell,
        )
        stats_sight = StatsSight(
            engine=engine,
            pools=pools,
            routes=routes,
            stats=self._stats,
            blocked=above.blocked,
            subscribers=above.subscribers,
            server=above.server,
        )
        cluster_sight = ClusterSight(
            engine=engine,
            pools=pools,
            routes=routes,
            watcher=watcher,
            chronicle=self.chronicle,
            survey=self._survey,
            pulse=pulse,
            breakers=breakers,
            reads=reads,
            figures=self._stats.node_figures,
        )
        self.insight = Insight(
            Sources(
                topology=cluster_sight.look,
                clients=lambda limit: look_at_clients(engine.clients, limit),
                stats=stats_sight.look,
                slowlog=self._slow_log.view,
                reset_slowlog=self._slow_log.reset,
                hotkeys=self._keys.hot,
                bigkeys=self._keys.big,
                events=self.events.after,
                readiness=self._readiness,
                config=above.config,
                explain=above.explain,
            )
        )
        self.watch(watched)
        engine.on_slow = self._slow_log.add
        engine.on_big = self._keys.take_big
        self.take_sample = self._keys.take_sample

    def watch(self, watched: Watched) -> None:
        """Keep so much from now on."""
        engine = self._engine
        engine.slow_s = watched.slow_log_ms / 1000
        engine.sample_every = watched.sample_every
        engine.big_reply_bytes = watched.big_reply_bytes
        self._slow_log.resize(watched.slow_log_length)
        self._keys.resize(watched.hot_keys)

    async def run(self) -> None:
        """Take readings, and ask the nodes while somebody looks, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stats.run)
            nursery.start_soon(self._survey.run)

    def owner(self, slot: int) -> str | None:
        """Return the address of the node that a slot's requests are sent to now, or None."""
        number = self._engine.slot_map.owner_of(slot)
        return None if number is None else self._node_name(number)

    def _slow_ms(self) -> float:
        slow_s = self._engine.slow_s
        return 1000 * slow_s if math.isfinite(slow_s) else 0.0

    def _node_name(self, number: int) -> str | None:
        address = self._routes.address(number)
        return None if address is None else str(address)

    def _readiness(self) -> ReadinessView:
        above = self._above
        return readiness(
            self._watcher.topology,
            is_listening=above.is_listening(),
            is_draining=above.is_draining(),
            has_commands=above.has_commands(),
            is_lost=self._watcher.is_lost,
            refused=self._watcher.refused,
            is_down=self._pulse.is_down,
        )
