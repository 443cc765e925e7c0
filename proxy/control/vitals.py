"""What the health checks have found out about one node: pure.

Strategy: a node is asked for a sign of life at a steady pace. An interval that ends without
one is a miss; misses in a row make it *down*, and any sign ends that. Down is a statement
and no verdict: a busy server is as silent as a dead one, so no request fails because of
it. That takes a breaker (``breaker.py``), which waits longer.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of a new round trip in the smoothed one. Chosen, as TCP has it (RFC 6298): old enough to sit
# out one slow reply, young enough to follow a node that has moved within ten.
NEW_SHARE = 1 / 8


@dataclass(slots=True)
class Vitals:
    """One node's."""

    checks: int = 0
    """How often it was asked."""
    misses: int = 0
    """Intervals without a sign of life."""
    misses_in_a_row: int = 0
    is_down: bool = False
    silent_since: float | None = None
    """When it was asked what it has not answered; None: it has answered."""
    rtt_s: float | None = None
    """Round trip, smoothed; None: not known."""

    def missed(self, asked_at: float, limit: int) -> bool:
        """Note an interval without an answer; return whether the node counts as down from now on.

        Args:
            asked_at: When the question was asked.
            limit: So many in a row.
        """
        self.misses += 1
        self.misses_in_a_row += 1
        if self.silent_since is None:
            self.silent_since = asked_at
        if self.is_down or self.misses_in_a_row < limit:
            return False
        self.is_down = True
        return True

    def answered(self, rtt_s: float | None) -> float | None:
        """Note a sign of life.

        Args:
            rtt_s: How long the node took; None: it answered otherwise than asked.

        Returns:
            Since when it was silent, if it counted as down until now; else None.
        """
        since = self.silent_since if self.is_down else None
        self.misses_in_a_row, self.is_down, self.silent_since = 0, False, None
        if rtt_s is not None:
            old_s = rtt_s if self.rtt_s is None else self.rtt_s
            self.rtt_s = old_s + NEW_SHARE * (rtt_s - old_s)
        return since
