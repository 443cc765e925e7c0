# cython: language_level=3
"""C face of client_output.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.doorway cimport Doorway


cdef class ClientOutput(Doorway):
    cdef bint has_slow_readers      # some client may be stopped until it reads
    cdef public Py_ssize_t client_output_limit_bytes
    cdef public double client_output_soft_s

    cdef int _write_client(self, Client client) except -1
    cdef int look_at_reader(self, Client client) except -1
