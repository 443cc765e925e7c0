"""The view of the cluster: the map, our connections, and what the nodes say of themselves.

Strategy: made when somebody looks, from what is there already. Looking also has the nodes
asked in the background, so replication is known from the second look on.

Cost: 15 us a node, and a millisecond for the slots of a map not seen yet (CPython 3.11, CI
machine).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from proxy.cluster.map import Node, Topology
from proxy.control.breaker import Breakers
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Pipeline
from proxy.insight.chronicle import Chronicle
from proxy.insight.survey import Facts, Survey
from proxy.insight.views import Health, Latency, NodeView, Role, ShardView, TopologyView

NodeFigures = Mapping[int, tuple[float, Latency]]
"""By a node's number: its requests a second and its latency."""

_UNKNOWN = Facts(is_primary=True, offset=None, zone=None, replicas={}, migrating={})


class ClusterSight:
    """Makes the view of the cluster.

    Args:
        figures: Returns what the stats know of the nodes.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        watcher: Watcher,
        chronicle: Chronicle,
        survey: Survey,
        pulse: Pulse,
        breakers: Breakers,
        reads: Reads,
        figures: Callable[[], NodeFigures],
    ) -> None:
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._watcher = watcher
        self._chronicle = chronicle
        self._survey = survey
        self._pulse = pulse
        self._breakers = breakers
        self._reads = reads
        self._figures = figures
        self._latest: tuple[Topology | None, dict[str, list[tuple[int, int]]]] = (None, {})

    def look(self) -> TopologyView:
        """Return the view; the nodes will be asked for a while."""
        self._survey.want()
        topology, figures = self._watcher.topology, self._figures()
        read_s = self._chronicle.read_s
        return TopologyView(
            at=time.time(),
            known=topology is not None,
            serving=topology is not None and topology.is_serving,
            generation=topology.generation if topology else 0,
            config_epoch=topology.config_epoch if topology else -1,
            covered_slots=topology.covered_slots if topology else 0,
            age_s=None if read_s is None else time.monotonic() - read_s,
            refreshes=self._watcher.refreshes,
            failed_refreshes=self._watcher.failed_refreshes,
            shards=self._shards(topology, figures) if topology else (),
            others=self._others(topology, figures) if topology else (),
            moving=tuple(self._chronicle.moving[slot] for slot in sorted(self._chronicle.moving)),
        )

    def _shards(self, topology: Topology, figures: NodeFigures) -> tuple[ShardView, ...]:
        ranges = self._ranges(topology)
        shards = [
            ShardView(
                primary=self._node(primary, figures),
                replicas=tuple(
                    self._node(replica, figures, primary)
                    for replica in topology.replicas_of(primary.id)
                ),
                ranges=tuple(ranges[primary.id]),
                slots=sum(last - first + 1 for first, last in ranges[primary.id]),
            )
            for primary in topology.primaries
        ]
        return tuple(sorted(shards, key=lambda shard: shard.ranges[0]))

    def _ranges(self, topology: Topology) -> dict[str, list[tuple[int, int]]]:
        """Return the slots of each primary; going over all of them takes a millisecond."""
        if self._latest[0] is not topology:
            ranges: dict[str, list[tuple[int, int]]] = {}
            for first, last, owner in topology.ranges():
                ranges.setdefault(owner.id, []).append((first, last))
            self._latest = (topology, ranges)
        return self._latest[1]

    def _others(self, topology: Topology, figures: NodeFigures) -> tuple[NodeView, ...]:
        owning = {node.id for node in topology.primaries}
        return tuple(
            self._node(node, figures)
            for node in topology.nodes
            if node.id not in owning and node.primary_id not in owning
        )

    def _node(self, node: Node, figures: NodeFigures, primary: Node | None = None) -> NodeView:
        pipelines: list[Pipeline] = []
        per_s, latency = 0.0, Latency()
        if self._routes.knows(node.address):
            number = self._routes.number(node.address)
            pipelines = [p for lane in self._pools.lanes for p in lane.pipelines_to(number)]
            per_s, latency = figures.get(number, (per_s, latency))
        connected = [p for p in pipelines if p.is_connected]
        now = time.monotonic()
        facts = self._survey.facts.get(node.id, _UNKNOWN)
        lag_bytes, lag_s = self._lag(node, primary, facts)
        return NodeView(
            id=node.id,
            address=str(node.address),
            role=Role.PRIMARY if node.is_primary else Role.REPLICA,
            failed=node.failed,
            link_up=node.link_up,
            health=self._health(node, pipelines, now),
            connections=len(connected),
            in_flight=sum(p.sent_count for p in pipelines),
            queued=sum(p.unsent_count for p in pipelines),
            heard_s=now - max(p.heard_at for p in connected) if connected else None,
            requests_per_s=per_s,
            latency=latency,
            zone=facts.zone,
            offset=facts.offset,
            lag_bytes=lag_bytes,
            lag_s=lag_s,
            ping_ms=self._ping_ms(node),
            breaker_open_s=self._breakers.opened_s(node.address),
            reads=None if node.is_primary else self._reads.may_read(node.address),
        )

    def _ping_ms(self, node: Node) -> float | None:
        vitals = self._pulse.vitals.get(node.address)
        return None if vitals is None or vitals.rtt_s is None else 1000 * vitals.rtt_s

    def _health(self, node: Node, pipelines: list[Pipeline], now: float) -> Health:
        if self._pulse.is_down(node.address):
            return Health.DOWN
        connected = [p for p in pipelines if p.is_connected]
        if connected:
            silence_s = self._engine.silence_s
            is_silent = any(p.sent_count and now - p.heard_at > silence_s for p in connected)
            return Health.SILENT if is_silent else Health.CONNECTED
        if node.address in self._chronicle.broken:
            return Health.LOST
        is_dialling = any(p in self._pools.dialling for p in pipelines)
        return Health.CONNECTING if is_dialling else Health.IDLE

    def _lag(self, node: Node, primary: Node | None, facts: Facts) -> tuple[int | None, int | None]:
        """Return how far a replica is behind: bytes, and seconds since it was last heard."""
        of_primary = self._survey.facts.get(primary.id) if primary else None
        if of_primary is None or of_primary.offset is None:
            return None, None
        acknowledged = of_primary.replicas.get(node.address)
        if acknowledged is not None:
            return max(0, of_primary.offset - acknowledged[0]), acknowledged[1]
        if facts.offset is None:
            return None, None
        # It is known to its primary by another address: its own word, a moment later or earlier.
        return max(0, of_primary.offset - facts.offset), None
