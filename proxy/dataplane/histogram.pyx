# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Times in buckets: counted in C, read as an immutable snapshot.

Strategy: buckets are log-linear. Of a floating point number the exponent and the first
bit behind the point are its bucket, so it is found by a shift, with no loop and no table,
and the bounds are 50 us doubled and again, with the middle of each step: round numbers in
decimal, 42 steps to a hundred seconds, and none wider than half of where it begins.

Cost: a dozen instructions a time; a snapshot makes one tuple.
"""

from libc.string cimport memset

LATENCY_BOUNDS_S = tuple(
    [(2 + step % 2) * 2 ** (step // 2) * 25 / 1_000_000 for step in range(BUCKETS - 1)])


cdef class Histogram:
    """An immutable snapshot of a histogram, in the unit of its bounds (seconds; parts).

    Buckets are log-linear: of floating point numbers the exponent and the first bit behind
    the point are the bucket, so it is found by a shift, without a loop, and each is at most
    half as wide again as it is far from zero. A quantile is so exact, and not more.
    """

    def __init__(self, tuple bounds, tuple counts, double total):
        self.bounds = bounds
        self.counts = counts
        self.count = sum(counts)
        self.sum = total

    @property
    def mean(self):
        """Mean of all values; 0 without any."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, double q):
        """Return the value below which the share ``q`` (0 to 1) of all values lies.

        Interpolated inside the bucket; the last bound for what is beyond it; 0 without values.
        """
        cdef double before = 0, lower = 0, wanted = q * self.count
        for bound, count in zip(self.bounds, self.counts):
            if count and before + count >= wanted:
                return lower + (bound - lower) * max(wanted - before, 0.0) / count
            before += count
            lower = bound
        return lower if self.count else 0.0

    def cumulated(self, int every=1):
        """Return pairs of (bound, values up to it), the last with the bound infinity.

        Args:
            every: Take one in so many bounds, from the first on: 2 makes doubling steps
                of a histogram of times.
        """
        pairs = []
        below = 0
        for i, bound in enumerate(self.bounds):
            below += self.counts[i]
            if i % every == 0:
                pairs.append((bound, below))
        pairs.append((float("inf"), self.count))
        return tuple(pairs)

    def __add__(self, Histogram other):
        return Histogram(
            self.bounds, tuple([a + b for a, b in zip(self.counts, other.counts)]),
            self.sum + other.sum)

    def __sub__(self, Histogram earlier):
        return Histogram(
            self.bounds, tuple([a - b for a, b in zip(self.counts, earlier.counts)]),
            self.sum - earlier.sum)

    def __repr__(self):
        return f"<Histogram count={self.count} p50={self.quantile(0.5):g}>"


cdef Histogram snapshot(const CHistogram* histogram):
    """Return the counts as they are now."""
    cdef int i
    return Histogram(
        LATENCY_BOUNDS_S, tuple([histogram.counts[i] for i in range(BUCKETS)]), histogram.total)


def histogram_of(times):
    """Return the histogram of these seconds: the data plane's own counting, for tests."""
    cdef CHistogram counts
    memset(&counts, 0, sizeof(counts))
    for seconds in times:
        add_time(&counts, seconds)
    return snapshot(&counts)
