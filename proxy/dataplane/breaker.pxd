# cython: language_level=3
"""C face of breaker.pyx."""

from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.recovery cimport Recovery
from proxy.dataplane.request cimport Request


cdef class Breaker(Recovery):
    cdef int _spare_unsent(self, Pipeline pipeline) except -1
    cdef int _take_reads_back(self, Pipeline pipeline) except -1
    cdef bint _is_for_others(self, Request request, Pipeline pipeline, dict last_writes) except -1
