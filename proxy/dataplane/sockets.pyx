# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The epoll set: whose each descriptor is, what is watched for, when it is closed.

Strategy: a descriptor is closed when the tick is over, so that no event of the
same tick can be taken for one of the next owner of its number.
"""

from libc.errno cimport errno
from libc.stdlib cimport free, malloc
from posix.unistd cimport close

from proxy.dataplane.kernel cimport (
    EFD_CLOEXEC, EFD_NONBLOCK, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD,
    EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll_create1, epoll_ctl, epoll_event, eventfd,
    eventfd_write, monotonic)


cdef class Sockets(Hedger):
    """The part of an engine that owns descriptors."""

    def __cinit__(self, *args, **kwargs):
        self.owners = []
        self.doomed = []
        self.inbox = <char*>malloc(INBOX_BYTES)
        self.outbox = <char*>malloc(OUTBOX_BYTES)
        if self.inbox == NULL or self.outbox == NULL:
            raise MemoryError
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        self.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.bell < 0:
            raise OSError(errno, "eventfd")
        self._add(self.bell)
        self._own(self.bell, None)
        self.now = monotonic()

    def __dealloc__(self):
        free(self.inbox)
        free(self.outbox)
        if self.epoll > 0:
            close(self.epoll)
        if self.bell > 0:
            close(self.bell)

    cdef int wake(self) except -1:
        if not self.in_tick and not self.is_rung:
            self.is_rung = True
            eventfd_write(self.bell, 1)
        return 0

    cdef void look_at_clock(self) noexcept:
        if not self.in_tick:
            self.now = monotonic()

    cdef int _own(self, int fd, object owner) except -1:
        while len(self.owners) <= fd:
            self.owners.append(None)
        self.owners[fd] = owner
        return 0

    cdef int _add(self, int fd) except -1:
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.fd = fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        return 0

    cdef int _watch(self, int fd, bint reads, bint writes, bint end=False) except -1:
        cdef epoll_event event
        event.events = (EPOLLIN if reads else 0) | (EPOLLOUT if writes else 0) \
            | (EPOLLRDHUP if end else 0)
        event.data.fd = fd
        epoll_ctl(self.epoll, EPOLL_CTL_MOD, fd, &event)
        return 0

    cdef int _doom(self, int fd) except -1:
        """Watch a descriptor no more, and close it when the tick is over."""
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)
        self.doomed.append(fd)
        return 0

    cdef int _close_doomed(self) except -1:
        for fd in self.doomed:
            self.owners[fd] = None
            close(fd)
        self.doomed = []
        return 0
