# cython: language_level=3
"""C face of sockets.pyx."""

from proxy.dataplane.hedge cimport Hedger


cdef enum:
    INBOX_BYTES = 128 * 1024    # one recv: a frame with a value of 64 KiB is then rarely cut
    CUT_BYTES = 16 * 1024       # at least so much is read behind the beginning of a cut frame
    OUTBOX_BYTES = 256 * 1024
    READ_AHEAD_BYTES = 1024 * 1024


cdef class Sockets(Hedger):
    cdef int epoll
    cdef int bell                   # eventfd: rung to get a tick while no socket is ready
    cdef bint is_rung
    cdef bint in_tick
    cdef list owners                # by file descriptor: Client, Pipeline, listening socket
    cdef list doomed                # sockets to close when the tick is over
    cdef char* inbox                # what was just read, unless it continues something
    cdef char* outbox               # small requests gathered for one write

    cdef int _own(self, int fd, object owner) except -1
    cdef int _add(self, int fd) except -1
    cdef int _watch(self, int fd, bint reads, bint writes, bint end=*) except -1
    cdef int _doom(self, int fd) except -1
    cdef int _close_doomed(self) except -1
