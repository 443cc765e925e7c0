# cython: language_level=3
"""C face of engine.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from proxy.dataplane.handover cimport Handover


cdef class Engine(Handover):
    cdef object __weakref__
    cdef list lanes
    cdef double tick_ended
    cdef double turn_began
    cdef double next_sweep
    cdef double next_waking          # of those who hold something until a time
    cdef public double silence_s
    cdef public double idle_timeout_s
    cdef readonly uint64_t ticks

    cdef bint _has_work(self) noexcept
    cdef int _dispatch(self, int fd, uint32_t events) except -1
    cdef int _flush(self) except -1
    cdef int _sweep(self) except -1
