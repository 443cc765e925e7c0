# cython: language_level=3
"""C face of client_side.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.client_output cimport ClientOutput
from proxy.dataplane.frames cimport RequestScanner, Scan
from proxy.dataplane.restraint cimport Verdict


cdef class ClientSide(ClientOutput):
    cdef RequestScanner scanner     # for frames that are not cut
    cdef RequestScanner inline_scanner
    cdef list spare_scanners

    cdef public object tap          # is shown every request; None: nobody looks

    cdef int _read_client(self, Client client) except -1
    cdef ssize_t _receive_requests(self, Client client) except -2
    cdef int _resume(self, Client client) except -1
    cdef Py_ssize_t _consume(self, Client client, const char* data, Py_ssize_t length) except -1
    cdef int _show(self, Client client, const char* frame, RequestScanner scanner) except -1
    cdef int _put_back(self, RequestScanner scanner) except -1
    cdef RequestScanner _new_scanner(self)
    cdef bint _route_inline(self, Client client, const char* line, Py_ssize_t length) except -1
    cdef int _refuse_protocol(self, Client client, RequestScanner scanner, const char* data) except -1
    cdef int _fail_protocol(self, Client client, str fault, char got) except -1
    cdef int give_up_frame(self, Client client) except -1
    cdef int quench(self) except -1
    cdef Verdict _examine(self, Client client, RequestScanner scanner, Scan found) except *
