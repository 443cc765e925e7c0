# cython: language_level=3
"""C face of hedge.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.readers cimport ReadTable
from proxy.dataplane.request cimport Request
from proxy.dataplane.router cimport Router


cdef class Hedger(Router):
    cdef double hedge_after_s            # 0: never
    cdef double hedge_share
    cdef double next_hedges              # when to look for late reads again
    cdef double hedge_tokens             # so many may be asked again now
    cdef uint64_t hedge_counted          # requests that tokens were given for
    cdef ReadTable hedgers               # who else may answer
    cdef readonly uint64_t hedges
    cdef readonly uint64_t hedges_won

    cdef int hedge_late(self) except -1
    cdef int _hedge(self, Pipeline late, Request request) except -1
