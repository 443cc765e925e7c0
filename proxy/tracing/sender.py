"""Give traces to whoever exports them, in a thread of its own.

Strategy: the task that serves clients puts a trace into a bounded queue and goes on; the
thread takes what has gathered in ``PACE_S`` and exports it. While the collector is away
the queue fills, and what comes then is dropped and counted: one line says so, and one that
it is back. At the end the thread has a bounded time for what is left.

Cost: under 1 us a trace in the task that serves (CPython 3.11, CI machine).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import structlog

from proxy.tracing.spans import Span

log = structlog.get_logger()

TRACES_LIMIT = 1024  # that wait; a trace of one part is about 2 KiB
BATCH = 256
PACE_S = 1.0  # chosen: a trace is seen soon, and a collector asked once a second

Export = Callable[[Sequence[Span]], str]


class Sender:
    """Exports traces from a thread; never blocks who hands them over.

    Args:
        export: Sends traces, however long it takes; returns what is wrong, or nothing. Called
            in the thread.
        to: Where to, for the log.

    Attributes:
        sent: Traces that were exported.
    """

    def __init__(self, export: Export, *, to: str, pace_s: float = PACE_S) -> None:
        self.sent = 0
        # Each is written by one thread only.
        self._refused = 0
        self._failed = 0
        self._export = export
        self._to = to
        self._pace_s = pace_s
        self._queue: queue.SimpleQueue[Span] = queue.SimpleQueue()
        self._ends = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="trace sender", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Traces that were not exported."""
        return self._refused + self._failed

    def offer(self, trace: Span) -> None:
        """Have a trace exported; or dropped, if too many wait or the end has come."""
        if self._ends.is_set() or self._queue.qsize() >= TRACES_LIMIT:
            self._refused += 1
        else:
            self._queue.put(trace)

    def close(self, within_s: float) -> bool:
        """Export what waits, for no longer than this; return whether that was enough."""
        self._ends.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ends.wait(self._pace_s):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while not self._queue.empty():
            batch: list[Span] = []
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            problem = self._export(batch)
            self._note(problem, len(batch))
            if problem and not self._ends.is_set():
                return  # and again after a pause, with what has come by then

    def _note(self, problem: str, traces: int) -> None:
        if problem:
            self._failed += traces
            if not self._is_failing:
                log.warning("traces not taken", endpoint=self._to, problem=problem)
        else:
            self.sent += traces
            if self._is_failing:
                log.info("traces taken again", endpoint=self._to, dropped=self.dropped)
        self._is_failing = bool(problem)
