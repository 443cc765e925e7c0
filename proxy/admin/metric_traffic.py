"""The metrics of clients and their requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxy.admin.metric_rows import Reading, Row, Scene, level, named, one, total
from proxy.dataplane.meter import FamilyCounts


def _family(read: Callable[[FamilyCounts], float]) -> Callable[[Scene], Reading]:
    return lambda scene: [((name,), read(counts)) for name, counts in scene.families.items()]


def _by_direction(scene: Scene) -> Iterator[tuple[tuple[str, ...], float]]:
    for family, counts in scene.families.items():
        yield (family, "read"), counts.reads
        yield (family, "write"), counts.writes
        yield (family, "other"), counts.requests - counts.reads - counts.writes


def _durations(scene: Scene) -> Reading:
    """Leave out families that nobody has used: each is two dozen series."""
    return [
        ((family,), counts.latency)
        for family, counts in scene.families.items()
        if counts.latency.count
    ]


def _buffers(scene: Scene) -> Reading:
    return [((name,), scene.levels[f"client_{name}_bytes"]) for name in ("input", "output", "kept")]


TRAFFIC: tuple[Row, ...] = (
    # ---- what clients ask and get -------------------------------------------------------
    Row(
        "slotway_requests",
        "counter",
        "Requests answered, by family of commands.",
        ("family", "direction"),
        _by_direction,
    ),
    Row(
        "slotway_request_errors",
        "counter",
        "Requests whose reply was an error, by family of commands.",
        ("family",),
        _family(lambda counts: counts.errors),
    ),
    Row(
        "slotway_request_duration_seconds",
        "histogram",
        "From when a request was routed until its reply could be written, by family.",
        ("family",),
        _durations,
    ),
    Row(
        "slotway_error_replies",
        "counter",
        "Error replies that clients got, by their first word.",
        ("class",),
        named(lambda scene: scene.of.engine.meter.errors),
    ),
    Row(
        "slotway_protocol_errors",
        "counter",
        "Clients closed because they did not speak RESP.",
        (),
        total("protocol_errors"),
    ),
    Row(
        "slotway_punts",
        "counter",
        "Requests that left the hot road, by reason.",
        ("reason",),
        named(lambda scene: scene.of.engine.meter.punts),
    ),
    Row(
        "slotway_split_width",
        "histogram",
        "Parts of each request that was split by slot.",
        (),
        lambda scene: (((), scene.of.engine.meter.widths),),
    ),
    Row(
        "slotway_samples", "counter", "Requests that were looked at closely.", (), total("samples")
    ),
    # ---- what goes wrong, and what is done about it ---------------------------------------
    Row(
        "slotway_refusals",
        "counter",
        "Pieces that a node would not run, by what it said: moved, ask, and others.",
        ("kind",),
        named(lambda scene: scene.of.engine.meter.refusals),
    ),
    Row(
        "slotway_resends",
        "counter",
        "Pieces sent again, after a refusal or a lost connection.",
        (),
        total("resends"),
    ),
    Row(
        "slotway_expired_requests",
        "counter",
        "Pieces given up at cluster.request_timeout_s.",
        (),
        total("expired"),
    ),
    Row(
        "slotway_unknown_outcomes",
        "counter",
        "Writes of which nobody knows whether they ran (IOERR outcome unknown).",
        (),
        total("outcome_unknown"),
    ),
    Row(
        "slotway_lost_pieces",
        "counter",
        "Pieces in flight on connections to nodes that were lost.",
        (),
        total("lost_pieces"),
    ),
    Row(
        "slotway_orphaned_pieces",
        "counter",
        "Pieces in flight whose client went away.",
        (),
        total("left_pieces"),
    ),
    Row(
        "slotway_late_replies",
        "counter",
        "Replies that came after their request was given up.",
        (),
        total("late_replies"),
    ),
    Row(
        "slotway_limit_hits",
        "counter",
        "How often a limit of the settings was reached.",
        ("limit",),
        named(lambda scene: scene.of.engine.meter.limits),
    ),
    Row(
        "slotway_held_bytes",
        "gauge",
        "What is kept of requests and replies: limits.memory_limit_bytes bounds it.",
        (),
        one(lambda scene: scene.of.engine.memory_bytes),
    ),
    Row(
        "slotway_held_max_bytes",
        "gauge",
        "How much that may be, 0 for any: limits.memory_limit_bytes.",
        (),
        one(lambda scene: scene.of.engine.memory_limit_bytes),
    ),
    # ---- clients --------------------------------------------------------------------------
    Row("slotway_clients", "gauge", "Connected clients.", (), level("clients")),
    Row(
        "slotway_clients_max",
        "gauge",
        "How many there may be: listen.max_clients.",
        (),
        one(lambda scene: scene.of.engine.max_clients),
    ),
    Row(
        "slotway_clients_blocked",
        "gauge",
        "Clients that wait in a blocking command.",
        (),
        one(lambda scene: scene.of.blocking.count),
    ),
    Row(
        "slotway_clients_stopped",
        "gauge",
        "Clients whose next request may not be routed yet.",
        (),
        level("stopped_clients"),
    ),
    Row("slotway_clients_accepted", "counter", "Clients let in.", (), total("accepted")),
    Row(
        "slotway_clients_refused",
        "counter",
        "Clients turned away over listen.max_clients, or for want of descriptors.",
        (),
        total("refused_clients"),
    ),
    Row(
        "slotway_client_received_bytes",
        "counter",
        "Bytes from clients.",
        (),
        total("client_bytes_in"),
    ),
    Row("slotway_client_sent_bytes", "counter", "Bytes to clients.", (), total("client_bytes_out")),
    Row(
        "slotway_client_buffer_bytes",
        "gauge",
        "Bytes of clients held just now: input read and not routed, output not yet taken by"
        " them, replies kept until earlier ones have come.",
        ("buffer",),
        _buffers,
    ),
    Row(
        "slotway_in_flight_requests",
        "gauge",
        "Pieces of clients' requests without an answer just now.",
        (),
        level("in_flight"),
    ),
)
"""Rows about clients, their requests, and what became of them."""
