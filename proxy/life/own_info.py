"""What INFO says of the proxy where clients should see it, not a server."""

from __future__ import annotations

import os
import time
from typing import Protocol

from proxy.control.hub import Hub
from proxy.dataplane.engine import Engine
from proxy.sessions.blocking import Blocking


class Described(Protocol):
    """A proxy, as far as INFO tells of it."""

    engine: Engine
    blocking: Blocking
    hub: Hub
    port: int
    started_s: float
    """By ``time.monotonic``."""


def own_info(proxy: Described) -> dict[bytes, bytes]:
    """Return the fields and their values."""
    engine, uptime_s = proxy.engine, time.monotonic() - proxy.started_s
    return {
        b"tcp_port": b"%d" % proxy.port,
        b"connected_clients": b"%d" % len(engine.clients),
        b"blocked_clients": b"%d" % proxy.blocking.count,
        b"maxclients": b"%d" % engine.max_clients,
        b"total_connections_received": b"%d" % engine.accepted,
        b"rejected_connections": b"%d" % engine.refused_clients,
        b"process_id": b"%d" % os.getpid(),
        b"uptime_in_seconds": b"%d" % uptime_s,
        b"uptime_in_days": b"%d" % (uptime_s // 86400),
        **proxy.hub.book.info(),
    }
