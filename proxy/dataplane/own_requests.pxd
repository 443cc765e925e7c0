# cython: language_level=3
"""C face of own_requests.pyx."""

from proxy.dataplane.breaker cimport Breaker
from proxy.dataplane.client cimport Client
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.request cimport Request


cdef enum:
    PATIENCE_COUNT = 5


cdef class OwnRequests(Breaker):
    cdef set own                         # askers
    cdef double patience_s[PATIENCE_COUNT]   # by Command.patience

    cdef Pipeline pipeline_of(self, Client client, int node)
    cdef int send_piece(self, Client client, Request request, Pipeline pipeline) except -1
    cdef int deliver(self, Client asker) except -1
