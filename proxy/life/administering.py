"""Serve the admin port: what it is handed from the rooms, and what only it needs."""

from __future__ import annotations

from typing import Protocol

import trio

from proxy.admin.metric_rows import Gauged
from proxy.admin.port import AdminPort, Orders
from proxy.config import Settings
from proxy.control.watch import Watcher
from proxy.insight.observatory import Observatory
from proxy.life.cluster_check import ClusterCheck
from proxy.life.given import AdminToken
from proxy.life.reload import Reloaded, Reloader


class Administered(Gauged, Protocol):
    """A proxy, as far as it can be asked and told over HTTP."""

    admin: AdminPort | None
    admin_token: AdminToken
    observatory: Observatory
    reloader: Reloader
    watcher: Watcher

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    def stop(self, why: str) -> float:
        """Ask the proxy to end."""

    def reload(self) -> Reloaded:
        """Read the settings again."""


async def serve_admin(proxy: Administered) -> None:
    """Serve the admin port, if there is one, until cancelled."""
    if proxy.admin is None:
        return
    check = ClusterCheck(proxy.watcher, proxy.settings.cluster.addresses_from_here())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(check.run)
        await proxy.admin.serve(
            insight=proxy.observatory.insight,
            cluster_health=check.view,
            gauged=proxy,
            orders=Orders(
                drain=lambda: proxy.stop("POST /drain"),
                reload=proxy.reload,
                set_log_level=lambda level: proxy.reloader.change("log.level", level),
            ),
            token=lambda: proxy.admin_token.words,
        )
        # It ends before the proxy only by a bug; then nobody looks any more.
        nursery.cancel_scope.cancel()
