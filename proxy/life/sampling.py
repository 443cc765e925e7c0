"""Who looks at sampled requests: the access log and the traces, as the settings want it.

Strategy: the data plane hands each sample to one callable, ``samples``, which has one list of
all who look; others may be added.
"""

from __future__ import annotations

from proxy.config import Settings
from proxy.control.lane_key import key_of
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.insight.samples import Samples
from proxy.logs import KeyWords
from proxy.logs.access import AccessLog
from proxy.tracing.places import Places
from proxy.tracing.spans import Facts
from proxy.tracing.tracer import open_tracer


class Sampling:
    """Everything that happens to a sample.

    Args:
        settings: What is wanted.
        routes: Knows the addresses of nodes.
        watcher: Has the map in use.

    Attributes:
        samples: For ``Engine.on_sample``.

    Raises:
        ConfigError: There are to be traces, and cannot be.
    """

    def __init__(self, settings: Settings, routes: Routes, watcher: Watcher) -> None:
        self.samples = Samples()
        self._words = KeyWords(settings.log.access_keys)
        self._access = AccessLog(
            every=settings.log.access_every,
            words=self._words,
            node_name=lambda node: str(routes.address(node) or "") or None,
            user_of=lambda client: client.state.user,
        )
        self.samples.add(self._access)
        self._tracer = open_tracer(
            settings.tracing,
            Facts(
                place=Places(routes.address, lambda: watcher.topology),
                database=lambda sample: key_of(sample.client.lane).database,
                keys=self._words.of,
            ),
        )
        if self._tracer is not None:
            self.samples.add(self._tracer)

    def watch(self, settings: Settings) -> None:
        """Look at so many samples, and tell so much of their keys, from now on."""
        self._words.manner = settings.log.access_keys
        self._access.every = settings.log.access_every
        if self._tracer is not None:
            self._tracer.every = settings.tracing.every

    async def run(self) -> None:
        """Keep what sends going until cancelled."""
        if self._tracer is not None:
            await self._tracer.run()
