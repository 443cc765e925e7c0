"""Hang the observatory into a proxy: what it is handed from the rooms above it.

Strategy: one function, so that ``app.py`` has one line for it.

Cost: the settings' view, which reads the file to tell where a value comes from, is made once
for each change of them.
"""

from __future__ import annotations

from typing import Protocol

from proxy.config import Settings
from proxy.config.shown import show_settings
from proxy.control.breaker import Breakers
from proxy.control.hub import Hub
from proxy.control.plane import ControlPlane
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.errors import ConfigError
from proxy.insight.observatory import Above, Observatory
from proxy.insight.views_answers import ConfigView
from proxy.life.drain import Drain
from proxy.life.learning import CommandTables
from proxy.life.live_settings import LIVE
from proxy.life.reload import Reloader
from proxy.life.sampling import Sampling
from proxy.sessions.blocking import Blocking
from proxy.sessions.desk import Desk
from proxy.sessions.proxy_command import ProxyRoom
from proxy.sessions.proxy_command_explain import Explainer, Surroundings
from proxy.sources import Sources


class Observed(Protocol):
    """A proxy, as far as it is watched."""

    engine: Engine
    plane: ControlPlane
    pools: Pools
    routes: Routes
    watcher: Watcher
    hub: Hub
    blocking: Blocking
    desk: Desk
    tables: CommandTables
    drainer: Drain
    sampling: Sampling
    reloader: Reloader
    pulse: Pulse
    breakers: Breakers
    reads: Reads

    @property
    def is_listening(self) -> bool:
        """Whether clients are let in."""


def observe(proxy: Observed, settings: Settings, sources: Sources | None) -> Observatory:
    """Return what watches a proxy; its desk can answer PROXY from now on.

    Args:
        proxy: Its rooms are there, but nothing runs yet.
        settings: Those of the start.
        sources: Where they come from; None: they were made by a program.
    """
    pins = settings.pin_table()
    desk, watcher, shown = proxy.desk, proxy.watcher, _Shown(proxy, sources or Sources())
    observatory = Observatory(
        engine=proxy.engine,
        plane=proxy.plane,
        pools=proxy.pools,
        routes=proxy.routes,
        watcher=watcher,
        address_map=settings.cluster.addresses_from_here(),
        watched=settings.insight,
        pulse=proxy.pulse,
        breakers=proxy.breakers,
        reads=proxy.reads,
        above=Above(
            blocked=lambda: proxy.blocking.count,
            subscribers=lambda: len(proxy.hub.book.shares),
            server=lambda: f"{desk.server_name.decode()} {desk.server_version.decode()}",
            is_listening=lambda: proxy.is_listening,
            is_draining=lambda: proxy.drainer.has_begun,
            has_commands=lambda: proxy.tables.is_known,
            config=shown.view,
            explain=lambda args: explainer.explain(args),
            show_key=pins.show,
        ),
    )
    around = Surroundings(
        topology=lambda: watcher.topology,
        owner=observatory.owner,
        moving=lambda: observatory.chronicle.moving,
        pins=pins,
    )
    explainer = Explainer(desk, around)
    proxy.sampling.samples.add(observatory.take_sample)
    proxy.engine.on_sample = proxy.sampling.samples
    desk.proxy = ProxyRoom(observatory.insight, lambda key, text: proxy.reloader.change(key, text))
    return observatory


class _Shown:
    """The settings as they are shown, made anew when they have changed."""

    def __init__(self, proxy: Observed, sources: Sources) -> None:
        self._proxy = proxy
        self._sources = sources
        self._settings: Settings | None = None
        self._view = ConfigView(file=None, settings=())

    def view(self) -> ConfigView:
        """Return the view."""
        reloader = self._proxy.reloader
        if self._settings is not reloader.settings:
            self._settings = reloader.settings
            self._view = show_settings(
                reloader.settings,
                file=self._sources.file,
                origin=self._origin,
                live=LIVE,
                changed=reloader.changed,
            )
        return self._view

    def _origin(self, key: str) -> str:
        try:
            return self._sources.origin(key)
        except ConfigError:
            return "file"  # which cannot be read any more
