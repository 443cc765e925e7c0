# cython: language_level=3
"""C face of router.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport Command, CommandTable, KeyList, SlotMap


cdef class Router:
    cdef public object control           # the control plane's hooks; see Hooks in hooks.py
    cdef CommandTable table
    cdef SlotMap slots
    cdef list lanes
    cdef RequestScanner scanner          # for frames that are not cut
    cdef KeyList keys
    cdef int* key_slots
    cdef Py_ssize_t key_slots_capacity
    cdef double now                      # monotonic seconds, set once per tick
    cdef list dirty_clients
    cdef list dirty_pipelines
    cdef list resuming                   # clients that may be consumed again
    cdef list settled                    # clients whose held pieces may be sent again
    cdef list sleepers                   # clients whose held pieces wait for a time
    cdef public bint wants_yield         # a hook has made a trio task runnable

    cdef public double request_timeout_s
    cdef public Py_ssize_t in_flight_limit
    cdef public Py_ssize_t node_queue_soft_bytes
    cdef public int loss_limit          # connections a read may be lost with before it fails

    cdef readonly uint64_t requests
    cdef readonly uint64_t punts
    cdef readonly uint64_t splits
    cdef readonly uint64_t parts
    cdef readonly uint64_t refusals
    cdef readonly uint64_t resends
    cdef readonly uint64_t expired
    cdef readonly uint64_t outcome_unknown
    cdef readonly Py_ssize_t in_flight   # pieces of all clients

    cdef bint route(self, Client client, const char* frame, RequestScanner scanner) except -1
    cdef int answer(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef int refused(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef int send_held(self, Client client) except -1
    cdef int lost(self, Pipeline pipeline) except -1
    cdef int expire(self, Client client) except -1
    cdef int take_back(self, Pipeline pipeline) except -1
    cdef int wake(self) except -1
    cdef int answer_now(self, Client client, bytes reply) except -1
    cdef void mark_dirty(self, Client client) noexcept
    cdef void mark_resuming(self, Client client) noexcept
    cdef int _send(self, Client client, Request request, int node) except -1
    cdef int _append(self, Pipeline pipeline, Request request) except -1
    cdef int _punt(self, Client client, object reason, Command command, list args) except -1
    cdef bint _forward(self, Client client, Command command, int slot, const char* frame,
                       Py_ssize_t length) except -1
    cdef bint _split(self, Client client, Command command, const char* frame,
                     RequestScanner scanner) except -1
    cdef bint _may_send(self, Client client, int slot, int* node) except -1
    cdef int _settle(self, Client client) except -1
    cdef int _finish_gather(self, Gather whole) except -1
    cdef int _hold(self, Request request, double delay_s) except -1
    cdef int _give_up(self, Request request) except -1
    cdef int _compute_slots(self, const char* frame, RequestScanner scanner) except -1
    cdef int _count(self, Client client, Command command) except -1
    cdef bint _leave_hot_road(self, Client client, Command command, const char* frame,
                              RequestScanner scanner) except -1
    cdef bint _punt_in_place(self, Client client, object reason, Command command,
                             const char* frame, RequestScanner scanner) except -1
    cdef int _owner_of(self, Client client, Request request) except -1
    cdef set _overtaken(self, Client client, list held)
    cdef list _keys_of(self, Request piece)
    cdef int _refuse_for_good(self, Request request) except -1
    cdef int free_node(self, Pipeline pipeline) except -1
    cdef int _fail_own(self, Request request, bint sent) except -1
