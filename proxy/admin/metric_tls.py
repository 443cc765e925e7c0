"""The metrics of TLS: handshakes with clients and nodes, and certificates that expire."""

from __future__ import annotations

from proxy.admin.metric_rows import Reading, Row, Scene


def _done(scene: Scene) -> Reading:
    of = scene.of
    return ((("clients",), of.engine.handshakes.done), (("nodes",), of.node_tls.handshakes.done))


def _failed(scene: Scene) -> Reading:
    of = scene.of
    sides = (("clients", of.engine.handshakes), ("nodes", of.node_tls.handshakes))
    return [
        ((side, str(cause)), count)
        for side, counts in sides
        for cause, count in counts.failed.items()
    ]


def _expiries(scene: Scene) -> Reading:
    return [((each.key, str(each.file)), each.not_after.timestamp()) for each in scene.of.expiries]


TLS: tuple[Row, ...] = (
    Row(
        "slotway_tls_handshakes",
        "counter",
        "TLS handshakes that were completed, with clients and with nodes.",
        ("side",),
        _done,
    ),
    Row(
        "slotway_tls_handshake_failures",
        "counter",
        "TLS handshakes that failed, by cause; see docs/howto/tls.md.",
        ("side", "cause"),
        _failed,
    ),
    Row(
        "slotway_tls_certificate_expiry_timestamp_seconds",
        "gauge",
        "When a certificate in use, or the first of its chain, expires; by setting and file.",
        ("setting", "file"),
        _expiries,
    ),
)
