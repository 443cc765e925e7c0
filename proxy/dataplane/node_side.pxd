# cython: language_level=3
"""C face of node_side.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.meter cimport CNode
from proxy.dataplane.request cimport Block, Request
from proxy.dataplane.sockets cimport Sockets


cdef class NodeSide(Sockets):
    cdef CNode* heard                   # the meter's counts of the node that is being read
    cdef public Py_ssize_t reply_limit_bytes
    cdef Py_ssize_t most_in_flight      # on one connection; the largest number: any
    cdef readonly uint64_t pushes_dropped

    cdef int _read_pipeline(self, Pipeline pipeline) except -1
    cdef ssize_t _receive_replies(self, Pipeline pipeline) except -2
    cdef Py_ssize_t _take_replies(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1
    cdef int _take_push(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1
    cdef int _take_leading(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef int _take_last(self, Block block, const char* data, Py_ssize_t length) except -1
    cdef int _take_reply(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1
    cdef int _write_pipeline(self, Pipeline pipeline) except -1
    cdef int _let_go_of_frame(self, Pipeline pipeline) except -1
    cdef int _drop_given_up(self, Pipeline pipeline) except -1
    cdef int _close_pipeline(self, Pipeline pipeline, bint on_purpose=*) except -1
