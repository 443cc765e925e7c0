# cython: language_level=3
"""C face of own_requests.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.recovery cimport Recovery
from proxy.dataplane.request cimport Request


cdef class OwnRequests(Recovery):
    cdef set own                         # askers
    cdef public double request_timeout_s

    cdef Pipeline pipeline_of(self, Client client, int node)
    cdef int send_piece(self, Client client, Request request, Pipeline pipeline) except -1
    cdef int deliver(self, Client asker) except -1
