# cython: language_level=3
"""C face of lane.pyx: one kind of client's way to the nodes."""

from libc.stdint cimport uint64_t

from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.cipher cimport Cipher
from proxy.dataplane.frames cimport ReplyScanner
from proxy.dataplane.readers cimport ReadTable
from proxy.dataplane.request cimport Request


cdef class Pipeline:
    cdef readonly int node             # index of the node it leads to
    cdef readonly int fd               # -1 while there is no connection
    cdef bint takes                    # it has one, and its node is not given up
    cdef readonly Cipher cipher        # None while there is no connection, or none with TLS
    cdef readonly Lane lane
    cdef Request sent_head, sent_tail  # wholly written, waiting for replies
    cdef Request unsent_head, unsent_tail
    cdef readonly Py_ssize_t sent_count
    cdef readonly Py_ssize_t unsent_count
    cdef readonly Py_ssize_t unsent_bytes
    cdef Py_ssize_t written            # bytes of unsent_head that are already written
    cdef Buffer input
    cdef ReplyScanner scanner
    cdef bint discarding               # the reply being read is over the limit
    cdef bint is_dirty                 # in the router's list of pipelines to write
    cdef bint wants_write              # EPOLLOUT is armed
    cdef bint is_wanted                # the control plane knows that a connection is needed
    cdef readonly double heard_at      # last byte, or when it began to owe one
    cdef double late_since             # since when all replies have come too late; 0: they have not
    cdef double frame_began            # when ``input`` got the beginning of a frame
    cdef list waiting_clients          # stopped because this queue is full
    cdef public object on_push         # takes push frames; None: they are counted and dropped
    cdef public object on_lost         # called when its connection is gone
    cdef public bint is_stream         # what comes while it owes nothing goes to on_push

    cdef readonly uint64_t requests
    cdef readonly uint64_t bytes_in
    cdef readonly uint64_t bytes_out
    cdef readonly uint64_t late_replies  # came after their request was given up

    cdef void push(self, Request request) noexcept
    cdef Request pop_sent(self)
    cdef Request vacate(self, Request before, Request request)
    cdef Request pop_unsent(self)
    cdef void drop_after(self, Request before) noexcept
    cdef void drop_given_up(self, double now) noexcept
    cdef void mark_sent(self, double now) noexcept


cdef class Lane:
    cdef readonly int resp             # protocol version on its connections
    cdef readonly int width            # connections to each node
    cdef readonly object key           # what its connections are, for the control plane
    cdef public object on_pipeline     # called with each pipeline when it is made
    cdef ReadTable readers             # who answers its clients' reads; None: the primaries
    cdef readonly uint64_t requests    # written to nodes
    cdef list pipelines                # by node index * width + n; None until needed

    cdef Pipeline pipeline(self, int node, uint64_t client_id)
