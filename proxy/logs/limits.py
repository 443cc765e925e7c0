"""How many lines of a kind may be written: a few at once, then one a second.

Strategy: a token bucket for each name of an event. Names come from a closed set, the
calls in this package, and one for each foreign logger; if they ever do not, those that
come late share one bucket, so that memory is bounded whatever happens.

Cost: 1 us a line (CPython 3.11, CI machine).
"""

from __future__ import annotations

from collections.abc import Mapping

# A cluster of some ten nodes that goes away is told whole. Chosen, as is the second.
BURST = 20
PER_S = 1.0
MAX_NAMES = 500
OTHERS = "other lines"


class LineLimits:
    """Which lines may be written, and how many were not.

    Args:
        burst: Lines of one name that may come at once.
        per_s: Lines of one name a second, in the long run.
    """

    def __init__(self, *, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        # For each name: lines that may come at once, and when that was so.
        self._buckets: dict[str, tuple[float, float]] = {}
        self._left_out: dict[str, int] = {}

    def allow(self, name: str, now_s: float) -> bool:
        """Return whether a line may be written, and count it.

        Args:
            now_s: Monotonic seconds.
        """
        if name not in self._buckets and len(self._buckets) >= MAX_NAMES:
            name = OTHERS
        tokens, at_s = self._buckets.get(name, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - at_s) * self._per_s)
        if tokens < 1:
            self._buckets[name] = (tokens, now_s)
            self._left_out[name] = self._left_out.get(name, 0) + 1
            return False
        self._buckets[name] = (tokens - 1, now_s)
        return True

    def take_left_out(self) -> Mapping[str, int]:
        """Return how many lines of each name were left out since this was last asked."""
        left_out, self._left_out = self._left_out, {}
        return left_out
