"""Times in buckets: counted in C, read as an immutable snapshot."""

from collections.abc import Iterable

LATENCY_BOUNDS_S: tuple[float, ...]
"""Bounds of every histogram of times: 0.00005, 0.000075, 0.0001, 0.00015, ... 78.6432, 104.8576.

50 us doubled 21 times, and the middle of each step: 43 bounds, so 44 buckets.
"""

class Histogram:
    """An immutable snapshot of a histogram, in the unit of its bounds (seconds; parts).

    Buckets are log-linear: of floating point numbers the exponent and the first bit behind
    the point are the bucket, so it is found by a shift, without a loop, and each is at most
    half as wide again as it is far from zero. A quantile is so exact, and not more.
    """

    def __init__(
        self, bounds: tuple[float, ...], counts: tuple[int, ...], total: float
    ) -> None: ...
    @property
    def bounds(self) -> tuple[float, ...]:
        """The bucket's upper ends, rising; the last bucket has none."""

    @property
    def counts(self) -> tuple[int, ...]:
        """How many values each bucket has; one more than there are bounds."""

    @property
    def count(self) -> int:
        """How many values there are."""

    @property
    def sum(self) -> float:
        """Sum of all values."""

    @property
    def mean(self) -> float:
        """Mean of all values; 0 without any."""

    def quantile(self, q: float) -> float:
        """Return the value below which the share ``q`` (0 to 1) of all values lies.

        Interpolated inside the bucket; the last bound for what is beyond it; 0 without values.
        """

    def cumulated(self, every: int = 1) -> tuple[tuple[float, int], ...]:
        """Return pairs of (bound, values up to it), the last with the bound infinity.

        Args:
            every: Take one in so many bounds, from the first on: 2 makes doubling steps
                of a histogram of times.
        """

    def __add__(self, other: Histogram) -> Histogram: ...
    def __sub__(self, earlier: Histogram) -> Histogram: ...

def histogram_of(times: Iterable[float]) -> Histogram:
    """Return the histogram of these seconds: the data plane's own counting, for tests."""
