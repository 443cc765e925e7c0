"""The metrics of the nodes' health: checks, breakers, and who answers reads."""

from __future__ import annotations

from collections.abc import Callable

from proxy.admin.metric_rows import Reading, Row, Scene, one
from proxy.control.vitals import Vitals


def _checked(read: Callable[[Vitals], float]) -> Callable[[Scene], Reading]:
    return lambda scene: [
        ((str(address),), read(vitals)) for address, vitals in scene.of.pulse.vitals.items()
    ]


def _ping(scene: Scene) -> Reading:
    return [
        ((str(address),), vitals.rtt_s)
        for address, vitals in scene.of.pulse.vitals.items()
        if vitals.rtt_s is not None
    ]


def _open(scene: Scene) -> Reading:
    breakers = scene.of.breakers
    topology = scene.of.watcher.topology
    nodes = topology.nodes if topology else ()
    return [
        ((str(node.address),), int(breakers.opened_s(node.address) is not None)) for node in nodes
    ]


def _reads(scene: Scene) -> Reading:
    topology = scene.of.watcher.topology
    nodes = topology.nodes if topology and scene.of.reads.is_wanted else ()
    return [
        ((str(node.address),), int(bool(scene.of.reads.may_read(node.address))))
        for node in nodes
        if not node.is_primary
    ]


HEALTH: tuple[Row, ...] = (
    Row(
        "slotway_node_up",
        "gauge",
        "Whether a node answers health checks: 0 after cluster.health_failures missed ones.",
        ("node",),
        _checked(lambda vitals: int(not vitals.is_down)),
    ),
    Row(
        "slotway_node_health_checks",
        "counter",
        "Health checks that a node was sent.",
        ("node",),
        _checked(lambda vitals: vitals.checks),
    ),
    Row(
        "slotway_node_missed_health_checks",
        "counter",
        "Intervals in which a node gave no sign of life.",
        ("node",),
        _checked(lambda vitals: vitals.misses),
    ),
    Row(
        "slotway_node_ping_seconds",
        "gauge",
        "How long a node takes to answer a health check, smoothed.",
        ("node",),
        _ping,
    ),
    Row(
        "slotway_node_breaker_open",
        "gauge",
        "Whether requests for a node are answered at once with an error.",
        ("node",),
        _open,
    ),
    Row(
        "slotway_breaker_openings",
        "counter",
        "Breakers that have opened.",
        (),
        one(lambda scene: scene.of.breakers.opened),
    ),
    Row(
        "slotway_spared_requests",
        "counter",
        "Pieces of requests answered at once because their node's breaker was open.",
        (),
        one(lambda scene: scene.of.engine.spared),
    ),
    Row(
        "slotway_replica_reads_allowed",
        "gauge",
        "Whether a replica may answer reads now; absent while the settings want none to.",
        ("node",),
        _reads,
    ),
    Row(
        "slotway_hedges",
        "counter",
        "Late reads that another node was asked too.",
        (),
        one(lambda scene: scene.of.engine.hedges),
    ),
    Row(
        "slotway_hedges_won",
        "counter",
        "Of those, how many the other node has answered.",
        (),
        one(lambda scene: scene.of.engine.hedges_won),
    ),
)
"""Rows about health checks, breakers, and who answers reads."""
