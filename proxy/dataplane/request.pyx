# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One request on its way: its bytes, its places in two queues, its reply.

Strategy: a request is its own link in the client's queue (replies leave in this
order) and in a pipeline's (replies arrive in this order), so the hot road needs
no container. Its bytes are kept until it is answered, because a redirect or a
lost connection may ask for them again.

Cost: one object from a free list; up to ``INLINE_BYTES`` of frame need no
second allocation. Requests are outside the cycle collector: whoever takes one
out of a queue clears the link, and ``client`` when it is answered.
"""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from proxy.dataplane cimport memory
from proxy.dataplane.tables cimport NO_SLOT

cdef double NEVER = float("inf")


@cython.freelist(1024)
@cython.no_gc
cdef class Request:
    def __cinit__(self):
        self.state = WAITING
        self.slot = NO_SLOT
        self.ask_node = -1
        self.node = -1
        self.deadline = NEVER
        self.family = NOBODY

    def __dealloc__(self):
        if self.frame != self.inline_frame and self.frame != NULL:
            memory.held_bytes -= self.frame_length
            free(self.frame)
        if self.reply != NULL:
            self.drop_reply()

    cdef char* make_frame(self, Py_ssize_t length) except NULL:
        """Return room for a frame of ``length`` bytes, to be filled by the caller."""
        if length <= INLINE_BYTES:
            self.frame = self.inline_frame
        else:
            self.frame = <char*>malloc(length)
            if self.frame == NULL:
                raise MemoryError
            memory.held_bytes += length
        self.frame_length = length
        return self.frame

    cdef void set_frame(self, const char* data, Py_ssize_t length) except *:
        memcpy(self.make_frame(length), data, length)

    cdef void drop_frame(self) noexcept:
        """Forget the bytes of a request that will not be sent again."""
        if self.frame != self.inline_frame and self.frame != NULL:
            memory.held_bytes -= self.frame_length
            free(self.frame)
        self.frame = NULL
        self.frame_length = 0

    cdef void drop_reply(self) noexcept:
        """Forget the reply that was kept."""
        memory.held_bytes -= self.reply_length
        free(self.reply)
        self.reply = NULL
        self.reply_length = 0

    cdef void keep_reply(self, const char* data, Py_ssize_t length) except *:
        """Keep a copy of the reply until it is this request's turn, in place of an earlier one."""
        memcpy(self.make_reply(length), data, length)

    cdef char* make_reply(self, Py_ssize_t length) except NULL:
        """Return room for a reply of ``length`` bytes, in place of an earlier one."""
        self.drop_reply()
        self.reply = <char*>malloc(max(length, 1))
        if self.reply == NULL:
            raise MemoryError
        memory.held_bytes += length
        self.reply_length = length
        return self.reply


cdef class Block(Request):
    """Several commands that go to one node in one piece: MULTI, what it holds, EXEC.

    Nothing of anybody else's comes between them. Either all of it runs, or none:
    if one of them is refused, so is EXEC.
    """

    def __dealloc__(self):
        memory.held_bytes -= self.kept_bytes

    cdef void keep(self, Py_ssize_t length) noexcept:
        """Count bytes that are kept as Python objects."""
        self.kept_bytes += length
        memory.held_bytes += length

    cdef int note(self, const char* data, Py_ssize_t length, bint is_refusal) except -1:
        """Take one of its replies."""
        if is_refusal and self.refusal is None:
            self.refusal = data[:length]
        if self.replies is not None:
            self.replies += data[:length]
            self.keep(length)
        return 0

    cdef int begin_again(self) except -1:
        """Forget the replies of a try that was refused."""
        self.refusal = None
        if self.replies is not None:
            self.keep(-<Py_ssize_t>len(self.replies))
            self.replies.clear()
        return 0
