# cython: language_level=3
"""C face of doorway.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.farewell cimport Farewell


cdef class Doorway(Farewell):
    cdef uint64_t next_id
    cdef list paused_listeners      # out of descriptors: tried again at the next sweep

    cdef public Py_ssize_t max_clients
    cdef public Py_ssize_t client_output_soft_bytes
    cdef readonly uint64_t accepted
    cdef readonly uint64_t refused_clients

    cdef int _accept(self, int listener) except -1
    cdef int _turn_away(self, int fd, bytes error) except -1
