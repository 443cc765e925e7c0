"""How often something has gone wrong in a row, and when to try again.

Strategy: the first time at once, because most troubles are over by then; after that
with growing pauses, until it has gone well for a while.
"""

from __future__ import annotations

import math

import trio

from proxy.control.retry import backoff_s

# What went well for longer than this was no part of the trouble before.
GOOD_S = 1.0  # chosen


class Trouble:
    """The failures of one connection or one subscription.

    Attributes:
        attempts: How many of them there were in a row.
    """

    def __init__(self) -> None:
        self.attempts = 0
        self._last = -math.inf

    def note(self) -> float:
        """Count one more failure; return when to try again, by ``trio.current_time``."""
        now = trio.current_time()
        if now > self._last + GOOD_S:
            self.attempts = 0
        wait_s = backoff_s(self.attempts) if self.attempts else 0.0
        self.attempts += 1
        self._last = now + wait_s
        return now + wait_s
