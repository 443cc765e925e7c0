# cython: language_level=3
"""C face of engine.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.router cimport Router


cdef class Engine(Router):
    cdef int epoll
    cdef int bell                   # eventfd: rung to get a tick while no socket is ready
    cdef bint is_rung
    cdef bint in_tick
    cdef list owners                # by file descriptor: Client, Pipeline, listening socket
    cdef dict by_id                 # clients
    cdef list spare_scanners
    cdef RequestScanner inline_scanner
    cdef char* inbox                # what was just read, unless it continues something
    cdef char* outbox               # small requests gathered for one write
    cdef list doomed                # sockets to close when the tick is over
    cdef double next_sweep
    cdef uint64_t next_id
    cdef list paused_listeners      # out of descriptors: tried again at the next sweep
    cdef bint has_slow_readers      # some client may be stopped until it reads

    cdef public Py_ssize_t max_clients
    cdef public Py_ssize_t client_output_soft_bytes
    cdef public Py_ssize_t client_output_limit_bytes
    cdef public Py_ssize_t reply_limit_bytes
    cdef public double silence_s
    cdef public double idle_timeout_s
    cdef readonly uint64_t ticks
    cdef readonly uint64_t accepted
    cdef readonly uint64_t refused_clients
    cdef readonly uint64_t pushes_dropped

    cdef int _dispatch(self, int fd, uint32_t events) except -1
    cdef int _accept(self, int listener) except -1
    cdef int _read_client(self, Client client) except -1
    cdef Py_ssize_t _consume(self, Client client, const char* data, Py_ssize_t length) except -1
    cdef bint _route_inline(self, Client client, const char* line, Py_ssize_t length) except -1
    cdef int _resume(self, Client client) except -1
    cdef int _write_client(self, Client client) except -1
    cdef int _refuse_protocol(self, Client client, RequestScanner scanner, const char* data) except -1
    cdef int _close_client(self, Client client, str reason) except -1
    cdef int _close_if_done(self, Client client) except -1
    cdef int _read_pipeline(self, Pipeline pipeline) except -1
    cdef Py_ssize_t _take_replies(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1
    cdef int _take_reply(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1
    cdef int _write_pipeline(self, Pipeline pipeline) except -1
    cdef int _close_pipeline(self, Pipeline pipeline) except -1
    cdef RequestScanner _new_scanner(self)
    cdef int _fail_protocol(self, Client client, str fault, char got) except -1
    cdef int _own(self, int fd, object owner) except -1
    cdef int _add(self, int fd) except -1
    cdef int _watch(self, int fd, bint reads, bint writes) except -1
    cdef int _flush(self) except -1
    cdef bint _has_work(self) noexcept
    cdef int _sweep(self) except -1
    cdef int _drop_given_up(self, Pipeline pipeline) except -1
