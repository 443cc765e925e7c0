# cython: language_level=3
"""C face of ledger.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport SlotMap
from proxy.dataplane.witness cimport Witness


cdef class Ledger(Witness):
    cdef public object control           # the control plane's hooks; see hooks.py
    cdef SlotMap slots
    cdef list dirty_clients
    cdef list dirty_pipelines
    cdef list resuming                   # clients that may be consumed again
    cdef list settled                    # clients whose held pieces may be sent again
    cdef public bint wants_yield         # a hook has made a trio task runnable
    cdef public Py_ssize_t in_flight_limit
    cdef readonly Py_ssize_t in_flight   # pieces of all clients
    cdef set hopeless                    # nodes that get no client's request: their breaker is open
    cdef readonly uint64_t spared        # pieces answered at once because of that

    cdef int answer(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef int _finish_gather(self, Gather whole) except -1
    cdef int _settle(self, Client client) except -1
    cdef int answer_now(self, Client client, bytes reply) except -1
    cdef int _append(self, Pipeline pipeline, Request request) except -1
    cdef int _append_apart(self, Pipeline pipeline, Request request) except -1
    cdef int spare(self, Request request, int node) except -1
    cdef int _fail_own(self, Request request, bint sent) except -1
    cdef int free_node(self, Pipeline pipeline) except -1
    cdef int wake(self) except -1
    cdef void mark_dirty(self, Client client) noexcept
    cdef void mark_resuming(self, Client client) noexcept
