"""``slotway serve``: run one proxy until somebody ends it, and let its settings be read again.

Strategy: SIGTERM, SIGINT and POST /drain end it in one way, which ``drain.py`` describes; a
second signal does not wait for that. SIGUSR2 has a successor take its place
(``succession.py``). SIGHUP, POST /reload and a file that has changed have the settings read
again in one way (``reload.py``). The service manager is told of all of it, if there is one.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator

import structlog
import trio

from proxy.admin.port import load as load_admin_port
from proxy.app import Proxy
from proxy.config import Settings
from proxy.errors import ConfigError
from proxy.life.notify import READY, STOPPING, keep_alive, notify, reloading
from proxy.life.predecessor import Predecessor
from proxy.sources import Sources

log = structlog.get_logger()

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


async def serve(settings: Settings, sources: Sources) -> None:
    """Serve until a signal or POST /drain.

    Args:
        settings: Those of the start.
        sources: Where they were read, and will be read again.

    Raises:
        ConfigError: An address cannot be listened on, or a file with a secret has gone.
    """
    with trio.open_signal_receiver(*SIGNALS) as signals:
        proxy = Proxy(settings, sources, await Predecessor.find(os.environ))
        if settings.admin.enabled:
            load_admin_port()
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_alive)
            nursery.start_soon(_obey, proxy, signals, nursery)
            nursery.start_soon(_watch_files, proxy)
            nursery.start_soon(_run, proxy)
            await proxy.stop_wanted.wait()
            if not proxy.succession.is_over:
                notify(STOPPING)
            await proxy.drain()
            nursery.cancel_scope.cancel()


async def _run(proxy: Proxy) -> None:
    await proxy.run(on_listening=lambda _port: notify(READY))


async def _obey(proxy: Proxy, signals: AsyncIterator[int], process: trio.Nursery) -> None:
    async for number in signals:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            log.info("reloading", signal=name)
            _reload(proxy)
        elif number == signal.SIGUSR2:
            log.info("handing over", signal=name)
            process.start_soon(proxy.hand_over)
        elif proxy.stop_wanted.is_set():
            log.warning("ending at once", signal=name)
            process.cancel_scope.cancel()
        else:
            proxy.stop(name)


async def _watch_files(proxy: Proxy) -> None:
    def reload() -> None:
        log.info("reloading", why="a file has changed")
        _reload(proxy)

    await proxy.file_watch.run(reload)


def _reload(proxy: Proxy) -> None:
    with reloading():
        try:
            proxy.reload()
        except ConfigError:
            pass  # told in the log
        except Exception:  # a bug met by new settings must not end the proxy
            log.exception("bug in a reload")
