"""A proxy that is looked at: with an admin port, and curious about everything."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports

# What the admin port is asked to note, so that few requests are enough to see something.
CURIOUS = {
    "insight.sample_every": "1",
    "insight.slow_log_ms": "5",
    "insight.big_reply_bytes": "4096",
}


class WatchedProxy:
    """A proxy process whose admin port is known; a context manager.

    Attributes:
        process: The proxy itself.
        url: Of the dashboard.
    """

    def __init__(self, cluster: EmbeddedCluster, **settings: str) -> None:
        """Describe the proxy; nothing runs yet.

        Args:
            cluster: What it fronts.
            settings: More settings, ``table__key``.
        """
        self.cluster = cluster
        self._cleanup = ExitStack()
        self._port = self._cleanup.enter_context(lease_ports(1)).ports[0]
        self.url = f"http://127.0.0.1:{self._port}/"
        self.process = ProxyProcess(
            cluster.addresses,
            settings={
                **CURIOUS,
                "admin.enabled": "true",
                "admin.port": str(self._port),
                **{name.replace("__", "."): value for name, value in settings.items()},
            },
        )

    def owner(self, slot: int) -> str:
        """Return the address of a slot's primary."""
        return str(self.cluster.primary_for(slot).address)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._cleanup)
            stack.enter_context(self.process)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        trace = self.process.tracebacks()
        self._cleanup.close()
        assert not trace, trace
