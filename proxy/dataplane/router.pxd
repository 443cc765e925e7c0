# cython: language_level=3
"""C face of router.pyx."""

cimport cython
from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.pins cimport Pins
from proxy.dataplane.request cimport Request
from proxy.dataplane.restraint cimport Restraint
from proxy.dataplane.tables cimport Command, CommandTable


cdef class Router(Restraint):
    cdef CommandTable table
    cdef Pins pins                       # None: no row has the road PINNED
    cdef object shower                   # shows names again where there are pins; else None
    cdef int* key_slots
    cdef Py_ssize_t key_slots_capacity
    cdef bint has_full_queues            # some client may be stopped by a node's full queue
    cdef public set doubtful_scripts     # SHA1 of those that not every node has
    cdef list paused_clients             # those that CLIENT PAUSE has stopped
    cdef public Py_ssize_t node_queue_soft_bytes
    cdef readonly uint64_t punts
    cdef readonly uint64_t splits
    cdef readonly uint64_t parts

    cdef bint route(self, Client client, const char* frame, RequestScanner scanner) except -1
    @cython.final
    cdef bint _route_by_keys(self, Client client, Command command, const char* frame,
                             RequestScanner scanner) except -1
    cdef bint _route_pinned(self, Client client, Command command, const char* frame,
                            RequestScanner scanner) except -1
    cdef int _compute_slots(self, const char* frame, RequestScanner scanner) except -1
    @cython.final
    cdef bint _forward(self, Client client, Command command, int slot, const char* frame,
                       Py_ssize_t length) except -1
    cdef bint _split(self, Client client, Command command, const char* frame,
                     RequestScanner scanner) except -1
    cdef bint _punt_across(self, Client client, Command command, const char* frame,
                           RequestScanner scanner) except -1
    cdef bint _look_into(self, Client client, Command command, const char* frame,
                         RequestScanner scanner) except -1
    cdef bint _waits_for_pause(self, Client client, Command command, Py_ssize_t argc) except -1
    @cython.final
    cdef Pipeline _find_way(self, Client client, Command command, int slot, bint* must_wait)
    @cython.final
    cdef int _begin(self, Client client, Request request, Command command) except -1
    cdef bint _leave_hot_road(self, Client client, Command command, const char* frame,
                              RequestScanner scanner) except -1
    cdef bint _punt_in_place(self, Client client, object reason, Command command,
                             const char* frame, RequestScanner scanner) except -1
