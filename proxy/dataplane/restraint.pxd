# cython: language_level=3
"""C face of restraint.pyx."""

cimport cython
from libc.stdint cimport uint64_t

from proxy.dataplane cimport memory
from proxy.dataplane.allowance cimport Allowance
from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.own_requests cimport OwnRequests
from proxy.dataplane.tables cimport Command


cdef enum Stop:
    STOP_WRITES = 1         # CLIENT PAUSE WRITE
    STOP_ALL = 2            # CLIENT PAUSE ALL
    STOP_MEMORY = 4         # more is held than limits.memory_limit_bytes


cdef enum Verdict:
    ADMITTED
    REFUSED                 # and answered
    STOPPED                 # it is to be shown again


cdef class Restraint(OwnRequests):
    cdef int stops                       # Stop bits: what no request, or not every one, passes
    cdef Py_ssize_t memory_limit         # the largest number: there is none
    cdef list thirsty                    # allowances that somebody waits for
    cdef bint is_quenching               # those who wait are having their turns
    cdef public Py_ssize_t fan_out_limit
    cdef readonly uint64_t requests
    cdef uint64_t turned_away            # number of the last one that was

    cdef bint may_not(self, Client client, Command command, const char* frame,
                      RequestScanner scanner) except -1
    cdef bint lacks_memory(self) noexcept
    @cython.final
    cdef void look_at_memory(self) noexcept
    cdef bint refuse_for_memory(self, Client client, Command command) except -1
    cdef bint refuse_for_width(self, Client client, Command command, Py_ssize_t slots) except -1
    cdef Verdict admit(self, Client client, Py_ssize_t length) except *
    cdef bint turn_away(self, Client client, Command command, bytes reply) except -1


cdef bint needs_memory(Command command) except -1
