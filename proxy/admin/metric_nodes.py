"""The metrics of nodes, and of the connections to them."""

from __future__ import annotations

from collections.abc import Callable

from proxy.admin.metric_rows import LaneKind, Reading, Row, Scene, Value, level, one
from proxy.dataplane.meter import NodeCounts


def _node(read: Callable[[NodeCounts], Value]) -> Callable[[Scene], Reading]:
    return lambda scene: [((address,), read(counts)) for address, counts in scene.nodes]


def _lane(read: Callable[[LaneKind], float]) -> Callable[[Scene], Reading]:
    return lambda scene: [((kind,), read(lanes)) for kind, lanes in scene.lanes.items()]


def _private(scene: Scene) -> Reading:
    private = scene.of.pools.private
    return ((("in_use",), private.in_use), (("idle",), private.idle))


NODES: tuple[Row, ...] = (
    # ---- nodes ----------------------------------------------------------------------------
    Row(
        "slotway_node_requests",
        "counter",
        "Requests written to a node.",
        ("node",),
        _node(lambda counts: counts.requests),
    ),
    Row(
        "slotway_node_errors",
        "counter",
        "Error replies of a node, refusals among them.",
        ("node",),
        _node(lambda counts: counts.errors),
    ),
    Row(
        "slotway_node_refusals",
        "counter",
        "Replies of a node that said a piece was not run there (MOVED and its like).",
        ("node",),
        _node(lambda counts: counts.refusals),
    ),
    Row(
        "slotway_node_duration_seconds",
        "histogram",
        "From when a client's request was routed until the node's reply was read.",
        ("node",),
        _node(lambda counts: counts.latency),
    ),
    Row(
        "slotway_node_backend_duration_seconds",
        "histogram",
        "The node's share of it: from when a piece was written to it until its reply was read.",
        ("node",),
        _node(lambda counts: counts.backend),
    ),
    Row(
        "slotway_node_received_bytes",
        "counter",
        "Bytes from a node.",
        ("node",),
        _node(lambda counts: counts.bytes_in),
    ),
    Row(
        "slotway_node_sent_bytes",
        "counter",
        "Bytes to a node.",
        ("node",),
        _node(lambda counts: counts.bytes_out),
    ),
    Row(
        "slotway_node_lost_connections",
        "counter",
        "Connections to a node that ended without the proxy's doing.",
        ("node",),
        _node(lambda counts: counts.lost),
    ),
    Row(
        "slotway_node_connections",
        "gauge",
        "Connections to a node, of all lanes.",
        ("node",),
        _node(lambda counts: counts.connections),
    ),
    Row(
        "slotway_node_in_flight_requests",
        "gauge",
        "Pieces that a node has got and not answered.",
        ("node",),
        _node(lambda counts: counts.sent),
    ),
    Row(
        "slotway_node_queued_requests",
        "gauge",
        "Pieces that wait to be written to a node.",
        ("node",),
        _node(lambda counts: counts.unsent),
    ),
    Row(
        "slotway_node_queued_bytes",
        "gauge",
        "Bytes of the pieces that wait to be written to a node.",
        ("node",),
        _node(lambda counts: counts.unsent_bytes),
    ),
    Row(
        "slotway_node_input_bytes",
        "gauge",
        "Bytes of replies that are not whole yet.",
        (),
        level("node_input_bytes"),
    ),
    Row(
        "slotway_dials",
        "counter",
        "Connections to nodes that were tried.",
        (),
        one(lambda scene: scene.of.pools.dials),
    ),
    Row(
        "slotway_failed_dials",
        "counter",
        "Connections to nodes that were tried in vain.",
        (),
        one(lambda scene: scene.of.pools.failed_dials),
    ),
    # ---- lanes and private connections ------------------------------------------------------
    Row(
        "slotway_lanes",
        "gauge",
        "Lanes: kinds of connections that clients share (own, user, database), and those of one"
        " client alone.",
        ("lane",),
        _lane(lambda kind: kind.lanes),
    ),
    Row(
        "slotway_lanes_max",
        "gauge",
        "How many lanes there may be beside the proxy's own: limits.lane_limit.",
        (),
        one(lambda scene: scene.of.pools.lane_limit),
    ),
    Row(
        "slotway_lane_requests",
        "counter",
        "Requests written to nodes, by kind of lane.",
        ("lane",),
        _lane(lambda kind: kind.requests),
    ),
    Row(
        "slotway_lane_connections",
        "gauge",
        "Connections to nodes, by kind of lane.",
        ("lane",),
        _lane(lambda kind: kind.connections),
    ),
    Row(
        "slotway_lane_in_flight_requests",
        "gauge",
        "Pieces without an answer just now, by kind of lane.",
        ("lane",),
        _lane(lambda kind: kind.in_flight),
    ),
    Row(
        "slotway_private_connections",
        "gauge",
        "Connections to nodes that one client has to itself for a while.",
        ("state",),
        _private,
    ),
    Row(
        "slotway_private_connections_max",
        "gauge",
        "How many may be in use: limits.private_connection_limit.",
        (),
        one(lambda scene: scene.of.pools.private.limit),
    ),
)
"""Rows about nodes, lanes and private connections."""
