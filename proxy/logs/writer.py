"""Write lines to a file that may be full, from a thread that alone waits for it.

Strategy: standard error is a pipe, and whoever reads it may stop. A proxy that waited for
its own log would serve nobody, so a line is put into a bounded queue and a thread of its
own writes. When the queue is full, lines are dropped and counted; when the pipe moves
again, one line says how many. (The file cannot be made non-blocking instead: that is a
property of the open file, which other processes may share.)

Cost: under 1 us a line in the task that logs (CPython 3.11, CI machine).
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Callable

LINES_LIMIT = 4096  # lines that wait; a tenth of a second of the fastest access log
BATCH = 256  # lines written with one call
LOOK_S = 5.0  # how often the thread does what is due, if nothing is logged


class LineWriter:
    """Writes whole lines to a file descriptor, and never blocks who hands them over.

    Args:
        fd: Where to; it stays open.
        on_dropped: Called in the writer's thread with the number of lines that were lost,
            once there is room again; may write.
        when_due: Called in the writer's thread about every ``LOOK_S`` and at the end; may write.

    Attributes:
        dropped: Lines that did not get into the queue or out of it.
    """

    def __init__(
        self,
        fd: int,
        *,
        on_dropped: Callable[[int], None] = lambda lines: None,
        when_due: Callable[[], None] = lambda: None,
        look_s: float = LOOK_S,
    ) -> None:
        self.dropped = 0
        self._dropping = threading.Lock()
        self._told_of = 0
        self._fd = fd
        self._on_dropped = on_dropped
        self._when_due = when_due
        self._look_s = look_s
        # SimpleQueue's put takes no lock that the thread could hold while it waits.
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Have a line written, without its line end; or dropped, if too many wait."""
        # What the thread itself has to say is little, and says what happened to the rest.
        is_own = threading.get_ident() == self._thread.ident
        if self._queue.qsize() >= LINES_LIMIT and not is_own:
            self._drop(1)
        else:
            self._queue.put(line)

    def close(self, within_s: float) -> bool:
        """Write what waits, for no longer than this; return whether all of it was written."""
        self._queue.put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _drop(self, lines: int) -> None:
        with self._dropping:
            self.dropped += lines

    def _run(self) -> None:
        due_s = time.monotonic() + self._look_s
        is_open = True
        while is_open:
            taken = self._take(max(0.0, due_s - time.monotonic()))
            is_open = None not in taken
            is_through = self._write(taken)
            if not is_open or time.monotonic() >= due_s:
                self._when_due()
                due_s = time.monotonic() + self._look_s
            untold = self.dropped - self._told_of
            if is_through and untold:
                self._told_of += untold
                self._on_dropped(untold)
        self._write(self._take(0.0))

    def _take(self, timeout_s: float) -> list[str | None]:
        """Return lines that wait, as soon as there is one; None among them: it is the end."""
        lines: list[str | None] = []
        try:
            lines.append(self._queue.get(timeout=timeout_s))
            while len(lines) < BATCH:
                lines.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return lines

    def _write(self, lines: list[str | None]) -> bool:
        """Write lines, however long it takes; return whether anybody took them."""
        whole = [line + "\n" for line in lines if line is not None]
        rest = memoryview("".join(whole).encode("utf-8", "backslashreplace"))
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                select.select((), (self._fd,), ())
            except OSError:
                # Nobody reads any more, or the disk is full; the next line may fare better.
                self._drop(len(whole))
                return False
        return bool(whole)
