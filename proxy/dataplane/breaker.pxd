# cython: language_level=3
"""C face of breaker.pyx."""

from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.recovery cimport Recovery


cdef class Breaker(Recovery):
    cdef int _spare_unsent(self, Pipeline pipeline) except -1
