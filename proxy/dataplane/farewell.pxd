# cython: language_level=3
"""C face of farewell.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.handshakes cimport Handshakes


cdef class Leaver:
    cdef int fd
    cdef double until_s             # closed then, whatever it does
    cdef double heard_at            # when it last sent something
    cdef Py_ssize_t room            # bytes that it may still send


cdef class Farewell(Handshakes):
    cdef dict by_id                 # clients
    cdef dict leavers               # by descriptor
    cdef dict strangers             # clients that must log in, by id, from the longest on
    cdef bint is_draining
    cdef public Py_ssize_t leaving_limit
    cdef public double login_timeout_s

    cdef int _watch_client(self, Client client) except -1
    cdef int _close_if_done(self, Client client) except -1
    cdef int _close_client(self, Client client, str reason) except -1
    cdef int _forget(self, Client client, str reason) except -1
    cdef int _see_off(self, int fd, double heard_at) except -1
    cdef int _hear_out(self, Leaver leaver) except -1
    cdef int _look_after_leavers(self) except -1
    cdef int _look_after_strangers(self) except -1
    cdef int _let_leave(self, Leaver leaver) except -1
