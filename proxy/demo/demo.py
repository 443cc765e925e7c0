"""``slotway demo``: form a cluster, put the proxy in front, show it, clean up.

Strategy: everything that has to be undone is on one stack before it is begun,
and an interrupt comes at most once; so Ctrl-C at any moment leaves no process,
no file and no traceback behind.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from proxy.demo.report import how_to_connect, tour_report
from proxy.demo.steps import Steps
from proxy.demo.tally import Tally
from proxy.demo.tour import run_tour
from proxy.embedded import (
    EmbeddedCluster,
    EmbeddedError,
    ProxyProcess,
    engine_label,
    first_free_port,
)
from proxy.embedded.node import log_tail
from proxy.embedded.ports import LOOPBACK, is_port_free

USUAL_PORT = 6379
USUAL_ADMIN_PORT = 9379
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
    interrupts = _Interrupts()
    with interrupts:
        try:
            with ExitStack() as cleanup:
                try:
                    cluster = EmbeddedCluster(engine, primaries=primaries, replicas=replicas)
                    code = _show(console, cleanup, cluster, engine_label(engine), port, tour)
                finally:
                    interrupts.disarm()
        except KeyboardInterrupt:
            if console.is_terminal:
                console.print()  # the terminal has just echoed ^C
        except EmbeddedError as problem:
            console.print(Text(f"\n  {problem}", "red"), soft_wrap=True)  # commands stay whole
            code = EXIT_FAILED
    return code


def _show(
    console: Console,
    cleanup: ExitStack,
    cluster: EmbeddedCluster,
    label: str,
    port: int | None,
    tour: bool,
) -> int:
    """Start everything, take the tour, stay if somebody watches; return the exit code."""
    if port is None:
        port = first_free_port(USUAL_PORT)
    elif not is_port_free(port):
        raise EmbeddedError(f"port {port} is in use; without --port a free one is taken")
    console.print(Text.assemble("\n  ", ("slotway demo", "bold"), (f"   {label}", "dim"), "\n"))
    tallies: list[Tally] = []
    with Steps(console) as steps:
        cleanup.callback(cluster.stop)
        with steps.step("form a cluster of fresh servers") as step:
            cluster.start(step.note)
            step.note(f"{len(cluster.primaries())} shards, {len(cluster.nodes)} nodes")
        admin_port = first_free_port(USUAL_ADMIN_PORT)
        proxy = ProxyProcess(
            cluster.addresses,
            port=port,
            settings={
                "admin.enabled": "true",
                "admin.port": str(admin_port),
                "insight.sample_every": "10",  # there is little traffic to see hot keys in
            },
        )
        cleanup.callback(proxy.stop)
        with steps.step("put the proxy in front") as step:
            proxy.start()
            step.note(f"port {port}, page on {admin_port}")
        if tour:
            tallies = run_tour(host=LOOPBACK, port=port, cluster=cluster, steps=steps)
    trace = proxy.tracebacks()
    if trace:
        raise EmbeddedError(f"the proxy met an error of its own\n{trace}")
    if tour:
        console.print(tour_report(console, tallies))
    code = EXIT_HELD if all(tally.held for tally in tallies) else EXIT_FAILED
    if tour and not sys.stdout.isatty():
        return code
    console.print(how_to_connect(port, admin_port, label, cluster.addresses))
    try:
        # Not with rich: interrupted inside its print, it would print the line again.
        print("  Running until Ctrl-C.", file=console.file, flush=True)
        ended = proxy.wait()
    except KeyboardInterrupt:
        return code
    raise EmbeddedError(f"the proxy ended by itself, exit code {ended}\n{log_tail(proxy.log)}")


class _Interrupts:
    """Turns the first SIGINT, SIGTERM or SIGHUP into KeyboardInterrupt, and drops all others.

    Also drops the first, once disarmed: nothing may cut a clean-up short. What
    the parent process has told us to ignore (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._is_armed = True
        self._cleanup = ExitStack()

    def disarm(self) -> None:
        """From now on, drop every interrupt."""
        self._is_armed = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    previous = signal.signal(number, self._interrupt)
                    self._cleanup.callback(signal.signal, number, previous)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed:
            self._is_armed = False
            raise KeyboardInterrupt
