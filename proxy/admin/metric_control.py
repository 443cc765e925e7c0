"""The metrics of the map, of those who listen, of the event loop."""

from __future__ import annotations

import sys

from proxy.admin.metric_rows import Reading, Row, Scene, one, total
from proxy.cluster.slots import SLOT_COUNT


def _roles(scene: Scene) -> Reading:
    topology = scene.of.watcher.topology
    nodes = topology.nodes if topology else ()
    primaries = sum(node.is_primary for node in nodes)
    return ((("primary",), primaries), (("replica",), len(nodes) - primaries))


def _topics(scene: Scene) -> Reading:
    info = scene.of.hub.book.info()
    names = ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels")
    kinds = ("channel", "pattern", "shard_channel")
    return [((kind,), int(info[name.encode()])) for kind, name in zip(kinds, names, strict=True)]


def _about(scene: Scene) -> Reading:
    return (((scene.version, ".".join(map(str, sys.version_info[:3]))), 1),)


CONTROL: tuple[Row, ...] = (
    # ---- the map ----------------------------------------------------------------------------
    Row(
        "slotway_ready",
        "gauge",
        "1 if clients should be sent here, as /readyz says.",
        (),
        one(lambda scene: scene.readiness.ready),
    ),
    Row(
        "slotway_draining",
        "gauge",
        "1 if the proxy is about to end.",
        (),
        one(lambda scene: scene.readiness.draining),
    ),
    Row(
        "slotway_cluster_serving",
        "gauge",
        "1 if the nodes say that the cluster's state is ok.",
        (),
        one(lambda scene: scene.readiness.serving),
    ),
    Row(
        "slotway_slots_covered",
        "gauge",
        f"Slots that have a node which has not failed, of {SLOT_COUNT}.",
        (),
        one(lambda scene: scene.readiness.covered_slots),
    ),
    Row("slotway_nodes", "gauge", "Nodes of the cluster, by role.", ("role",), _roles),
    Row(
        "slotway_map_changes",
        "counter",
        "Maps that the data plane was given, single slots that moved among them.",
        (),
        one(lambda scene: scene.of.engine.slot_map.generation),
    ),
    Row(
        "slotway_map_refreshes",
        "counter",
        "Times that the map was asked for.",
        (),
        one(lambda scene: scene.of.watcher.refreshes),
    ),
    Row(
        "slotway_failed_map_refreshes",
        "counter",
        "Times that no node answered with a usable map.",
        (),
        one(lambda scene: scene.of.watcher.failed_refreshes),
    ),
    # ---- listeners, scripts -------------------------------------------------------------------
    Row(
        "slotway_pubsub_topics",
        "gauge",
        "Names that clients listen to.",
        ("kind",),
        _topics,
    ),
    Row(
        "slotway_pubsub_clients",
        "gauge",
        "Clients that listen to something.",
        (),
        one(lambda scene: int(scene.of.hub.book.info()[b"pubsub_clients"])),
    ),
    Row(
        "slotway_pubsub_messages",
        "counter",
        "Messages that came from nodes.",
        (),
        one(lambda scene: scene.of.hub.messages),
    ),
    Row(
        "slotway_pubsub_deliveries",
        "counter",
        "Messages handed to clients.",
        (),
        one(lambda scene: scene.of.hub.deliveries),
    ),
    Row(
        "slotway_unasked_pushes",
        "counter",
        "Push frames of nodes that nobody had asked for.",
        (),
        total("pushes_dropped"),
    ),
    Row(
        "slotway_script_memory_bytes",
        "gauge",
        "Scripts remembered for nodes that lack them.",
        (),
        one(lambda scene: scene.of.scripts.size_bytes),
    ),
    # ---- the event loop -------------------------------------------------------------------------
    Row(
        "slotway_tick_duration_seconds",
        "histogram",
        "How long a tick of the data plane took: so long everything else waited for it.",
        (),
        lambda scene: (((), scene.of.engine.meter.tick_s),),
    ),
    Row(
        "slotway_turn_duration_seconds",
        "histogram",
        "How long the control plane's tasks took when it was their turn while there was traffic:"
        " so long the data plane waited for them.",
        (),
        lambda scene: (((), scene.of.engine.meter.turn_s),),
    ),
    Row(
        "slotway_build",
        "info",
        "Always 1: what runs here.",
        ("version", "python"),
        _about,
    ),
)
"""Rows about the control plane."""
