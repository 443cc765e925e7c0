# cython: language_level=3
"""C face of doorway.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.farewell cimport Farewell


cdef class Newcomer:
    cdef int fd                     # GONE when the header is whole or refused
    cdef object guard               # begins its handshake; None: it speaks without TLS
    cdef str host                   # of whoever passes it on
    cdef bytes begun                # of the header
    cdef double until_s


cdef class Doorway(Farewell):
    cdef uint64_t next_id
    cdef set header_listeners       # whose connections begin with a PROXY protocol header
    cdef dict newcomers             # by descriptor, from the longest on
    cdef dict extras                # clients over max_clients that have not logged in, by id
    cdef list paused_listeners      # out of descriptors: tried again at the next sweep

    cdef public Py_ssize_t max_clients
    cdef public Py_ssize_t reserved_clients
    cdef public double extra_login_s
    cdef public Py_ssize_t client_fd_limit
    cdef public Py_ssize_t client_output_soft_bytes
    cdef public double header_timeout_s
    cdef readonly uint64_t accepted
    cdef readonly uint64_t refused_clients

    cdef int _accept(self, int listener) except -1
    cdef int _meet(self, int fd, int listener, str host) except -1
    cdef int _read_header(self, Newcomer newcomer) except -1
    cdef int _let_in(self, int fd, object guard, str host, object header) except -1
    cdef int _turn_away(self, int fd, object guard, bytes error) except -1
    cdef int _look_after_newcomers(self) except -1
    cdef int _look_after_extras(self) except -1
    cdef int _forget_newcomer(self, Newcomer newcomer) except -1
