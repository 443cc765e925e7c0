"""CLIENT PAUSE: until when clients are held back, and which of their requests.

Strategy: the engine holds back; this keeps the time. As with a server, a second PAUSE
never ends the first one sooner nor lets more pass, and UNPAUSE ends both at once; but
under PAUSE ALL an UNPAUSE waits too.

Cost: while nobody is paused, one comparison a request.
"""

from __future__ import annotations

import math

import trio

from proxy.dataplane.engine import Engine


class Pause:
    """The pause of all clients.

    Args:
        engine: Who holds them back.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ends_at = 0.0
        self._only_writes = True
        self._is_on = False
        self._changed = trio.Event()

    @property
    def rest(self) -> tuple[float, bool] | None:
        """For how many seconds yet, and whether only who writes is held back; None: nobody is."""
        if not self._is_on:
            return None
        return max(0.0, self._ends_at - trio.current_time()), self._only_writes

    def begin(self, duration_s: float, *, only_writes: bool) -> None:
        """Hold all clients back, or those that write, for so long at least."""
        if not self._is_on:
            self._only_writes, self._ends_at = True, 0.0
        self._is_on = True
        self._only_writes = self._only_writes and only_writes
        self._ends_at = max(self._ends_at, trio.current_time() + duration_s)
        self._engine.pause(self._only_writes)
        self._changed.set()

    def end(self) -> None:
        """Let all clients go on."""
        self._is_on = False
        self._engine.unpause()
        self._changed.set()

    async def run(self) -> None:
        """End each pause at its time, for ever."""
        while True:
            with trio.move_on_at(self._ends_at if self._is_on else math.inf):
                await self._changed.wait()
            self._changed = trio.Event()
            if self._is_on and trio.current_time() >= self._ends_at:
                self.end()
