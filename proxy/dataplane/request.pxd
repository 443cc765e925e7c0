# cython: language_level=3
"""C face of request.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from proxy.dataplane.tables cimport Command


cdef enum:
    INLINE_BYTES = 112
    NOBODY = 23         # the last of Meter.by_family


cdef enum State:
    WAITING      # in a pipeline's queue, or its reply has not come
    HELD         # refused or lost; will be sent again
    ANSWERED     # its reply is known (or was given up); a late one is dropped


cdef class Request:
    # The bytes to send: the client's own, or a part's.
    cdef char* frame
    cdef Py_ssize_t frame_length
    cdef char inline_frame[INLINE_BYTES]
    # The reply, only while it waits for earlier ones or for the other parts.
    cdef char* reply
    cdef Py_ssize_t reply_length

    cdef Request next_in_client    # the client's later request
    cdef Request next_in_pipeline  # the pipeline's later request
    cdef object client             # Client; None for the proxy's own requests
    cdef Request parent            # Gather, if this is a part of a split command
    cdef object on_done            # the proxy's own requests: called with bytes or BackendUnavailable
    cdef Command command
    cdef State state
    cdef int slot                  # NO_SLOT: no key
    cdef bint is_write
    cdef bint silent               # CLIENT REPLY OFF or SKIP: nothing is sent back
    cdef int redirects             # MOVED and ASK followed so far
    cdef int attempts              # times it was held
    cdef int losses                # times its connection was lost after it was sent
    cdef int ask_node              # node to ask next, with ASKING; -1: by the slot map
    cdef bint asking               # ASKING goes out before it
    cdef int leading               # replies of its frame before the one that counts; only of a Block
    cdef int extra                 # replies still to come before the one that counts
    cdef int node                  # node it was last sent to; -1: none yet
    cdef bint was_sent             # to a node, at least its beginning, with no reply so far
    cdef double not_before         # monotonic seconds: earliest time to send it again
    cdef double deadline           # monotonic seconds: given up then; infinite unless set
    cdef uint64_t sequence         # its place among its client's pieces
    cdef double began              # monotonic seconds: routed; 0: sent by the control plane itself
    cdef double sent_at            # monotonic seconds: last written whole; 0: never
    cdef double answered_at        # monotonic seconds: of a part, its node's reply; 0: none
    cdef uint8_t family            # of its command; NOBODY: no client asked for it
    cdef bint is_hedged            # another node was asked too
    cdef bint is_sampled           # its engine has a list of what happens to it

    cdef void set_frame(self, const char* data, Py_ssize_t length) except *
    cdef char* make_frame(self, Py_ssize_t length) except NULL
    cdef char* make_reply(self, Py_ssize_t length) except NULL
    cdef void keep_reply(self, const char* data, Py_ssize_t length) except *
    cdef void drop_reply(self) noexcept
    cdef void drop_frame(self) noexcept


cdef class Block(Request):
    # Of a client's request that left the hot road; the row is None if no row has its name.
    cdef Command row
    cdef list args
    cdef bytes refusal             # the first of its replies that says that it was not run
    cdef bytearray replies         # all of them, for whoever wants more than the last; else None
    cdef Py_ssize_t kept_bytes     # of ``args`` while it waits, and of ``replies``

    cdef void keep(self, Py_ssize_t length) noexcept
    cdef int note(self, const char* data, Py_ssize_t length, bint is_refusal) except -1
    cdef int begin_again(self) except -1
