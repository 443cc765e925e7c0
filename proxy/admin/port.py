"""The admin port as the rest of the proxy sees it: opened early, loaded when it is wanted.

Strategy: the socket is opened with the proxy's own, so that a wrong address is told at
start. What speaks HTTP is loaded by ``serve`` only: where there is no admin port, nobody pays
for it. Whatever goes wrong here ends at worst the admin port.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
import trio

from proxy.admin.listener import only_from_here, open_admin_listeners
from proxy.admin.metric_rows import Gauged
from proxy.config import Admin
from proxy.insight.insight import Insight
from proxy.tls.sides import Wrapped
from proxy.version import find_version

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What can be changed over HTTP.

    Attributes:
        drain: Begins to end the proxy, and returns how many seconds that may take.
        reload: Reads the settings again; returns a value for ``as_json``.
        set_log_level: Takes a level.

    The last two raise ConfigError if that cannot be.
    """

    drain: Callable[[], float]
    reload: Callable[[], object]
    set_log_level: Callable[[str], None]


def load() -> None:
    """Load what speaks HTTP now, not when it is first needed; 0.1 s."""
    import proxy.admin.metrics
    import proxy.admin.server
    import proxy.admin.site  # noqa: F401


class AdminPort:
    """A listening admin port.

    Args:
        admin: Its settings.
        guard: Wraps its connections, if it has a certificate.
        passed: Its sockets, if another process serves there; it is paused until that stops.

    Attributes:
        port: Its number.
        listeners: Its sockets.

    Raises:
        ConfigError: Its address cannot be listened on.
    """

    def __init__(
        self,
        admin: Admin,
        guard: Callable[[], Wrapped],
        passed: Sequence[socket.socket] = (),
    ) -> None:
        self._address = admin.address
        self._guard = guard if admin.tls_cert_file is not None else None
        self.listeners = passed or open_admin_listeners(admin)
        self.port: int = self.listeners[0].getsockname()[1]
        self._may_accept = trio.Event()
        if not passed:
            self._may_accept.set()
        self._accepting = trio.CancelScope()

    def close(self) -> None:
        """Listen no more; may be called again."""
        for listener in self.listeners:
            listener.close()

    def pause(self) -> None:
        """Accept nobody until ``go_on``, and close what is open; who connects waits."""
        self._may_accept = trio.Event()
        self._accepting.cancel()

    def go_on(self) -> None:
        """Accept again."""
        self._may_accept.set()

    async def serve(
        self,
        *,
        insight: Insight,
        cluster_health: Callable[[], object],
        gauged: Gauged,
        orders: Orders,
        token: Callable[[], str],
    ) -> None:
        """Serve until cancelled.

        Args:
            insight: Makes the views.
            cluster_health: Makes that of the cluster's health.
            gauged: Whom a scrape asks.
            orders: Carries out what is to be changed.
            token: Returns the token for that; empty: there is none.
        """
        from proxy.admin.metrics import Metrics
        from proxy.admin.server import serve
        from proxy.admin.site import Site

        engine = gauged.engine

        def hurry() -> None:
            engine.wants_yield = True

        site = Site(
            insight=insight,
            cluster_health=cluster_health,
            metrics=Metrics(
                gauged, readiness=insight.readiness, version=find_version() or "unknown"
            ),
            orders=orders,
            token=token,
            address=self._address,
            is_private=only_from_here(self.listeners),
        )
        try:
            while True:
                await self._may_accept.wait()
                with trio.CancelScope() as self._accepting:
                    listeners = [listener.dup() for listener in self.listeners]
                    await serve(site, listeners, hurry, self._guard)
        except Exception:  # a bug here must not end the proxy
            log.exception("the admin port has ended")
