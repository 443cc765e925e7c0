"""``slotway demo``: form a cluster, put the proxy in front, show it, clean up.

Strategy: everything that has to be undone is on one stack before it is begun,
and an interrupt comes at most once; so Ctrl-C at any moment leaves no process,
no file and no traceback behind.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from rich.console import Console
from rich.text import Text

from proxy.demo.report import how_to_connect, tour_report
from proxy.demo.steps import Steps, mark
from proxy.demo.tally import Tally
from proxy.demo.tour import run_tour
from proxy.embedded import (
    EmbeddedCluster,
    EmbeddedError,
    ProxyProcess,
    engine_label,
    first_free_port,
)
from proxy.embedded.ports import is_port_free

USUAL_PORT = 6379
EXIT_HELD, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def run_demo(
    *,
    port: int | None = None,
    tour: bool = False,
    engine: str = "valkey",
    primaries: int = 3,
    replicas: int = 1,
    console: Console | None = None,
) -> int:
    """Run the demo and return the exit code of the process.

    Without a tour it stays until it is interrupted. With one, it stays only
    if it is watched on a terminal.

    Args:
        port: Where the proxy listens; None: 6379 or the next free one.
        tour: Show what a client sees, failures included.
        engine: ``valkey`` or ``redis``.
        primaries: Shards of the cluster; the tour needs two.
        replicas: Replicas of each primary; the tour needs one.
        console: Where to print; None: standard output.

    Returns:
        0 if everything held, 1 if something did not or could not be started,
        130 if it was interrupted before it was ready.
    """
    console = console or Console(highlight=False)
    code = EXIT_INTERRUPTED
    with ExitStack() as cleanup, _one_interrupt():
        try:
            cluster, proxy, tallies = _set_up(
                console, cleanup, port, tour, EmbeddedCluster(engine, primaries=primaries, replicas=replicas), engine
            )
        except EmbeddedError as problem:
            console.print(Text(f"\n  {problem}", "red"))
            return EXIT_FAILED
    return code
