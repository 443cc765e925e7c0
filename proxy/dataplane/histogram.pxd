# cython: language_level=3
"""C face of histogram.pyx: the counts, and how one is added."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy


cdef enum:
    BUCKETS = 44            # 43 bounds


cdef struct CHistogram:
    uint64_t counts[BUCKETS]
    double total


cdef inline void add_time(CHistogram* histogram, double seconds) noexcept nogil:
    """Count a time: exponent and first bit behind the point are its bucket."""
    # By 1 / 50 us: the first bound is then 1.0, whose bits are shifted to twice 1023.
    cdef double steps = seconds * 20_000.0
    cdef int64_t bucket
    memcpy(&bucket, &steps, sizeof(steps))
    bucket = (bucket >> 51) - 2045
    # Of a negative number the shift leaves a negative one, so it counts as 0.
    if bucket < 0:
        bucket = 0
    elif bucket >= BUCKETS:
        bucket = BUCKETS - 1
    histogram.counts[bucket] += 1
    histogram.total += seconds


cdef class Histogram:
    cdef readonly tuple bounds
    cdef readonly tuple counts
    cdef readonly object count
    cdef readonly double sum


cdef Histogram snapshot(const CHistogram* histogram)
