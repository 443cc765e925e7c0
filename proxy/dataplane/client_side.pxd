# cython: language_level=3
"""C face of client_side.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.node_side cimport NodeSide


cdef class ClientSide(NodeSide):
    cdef dict by_id                 # clients
    cdef uint64_t next_id
    cdef RequestScanner scanner     # for frames that are not cut
    cdef RequestScanner inline_scanner
    cdef list spare_scanners
    cdef list paused_listeners      # out of descriptors: tried again at the next sweep
    cdef bint has_slow_readers      # some client may be stopped until it reads

    cdef public Py_ssize_t max_clients
    cdef public Py_ssize_t client_output_soft_bytes
    cdef public Py_ssize_t client_output_limit_bytes
    cdef readonly uint64_t accepted
    cdef readonly uint64_t refused_clients

    cdef public object tap          # is shown every request; None: nobody looks
    cdef int _accept(self, int listener) except -1
    cdef int _read_client(self, Client client) except -1
    cdef int _watch_client(self, Client client) except -1
    cdef int _resume(self, Client client) except -1
    cdef Py_ssize_t _consume(self, Client client, const char* data, Py_ssize_t length) except -1
    cdef int _show(self, Client client, const char* frame, RequestScanner scanner) except -1
    cdef RequestScanner _new_scanner(self)
    cdef bint _route_inline(self, Client client, const char* line, Py_ssize_t length) except -1
    cdef int _refuse_protocol(self, Client client, RequestScanner scanner, const char* data) except -1
    cdef int _fail_protocol(self, Client client, str fault, char got) except -1
    cdef int _write_client(self, Client client) except -1
    cdef int _close_if_done(self, Client client) except -1
    cdef int _close_client(self, Client client, str reason) except -1
