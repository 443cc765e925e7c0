# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The door: who comes in.

Strategy: what is asked of a client once, when it comes, stands here; what is done for each
of its requests is above. So a condition of entry costs no request anything.
"""

from libc.errno cimport EMFILE, ENFILE, errno

from proxy.dataplane.client cimport Client
from proxy.dataplane.kernel cimport (
    EPOLL_CTL_DEL, IPPROTO_TCP, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, TCP_NODELAY, accept4,
    epoll_ctl, epoll_event, send, setsockopt)
from proxy.dataplane.meter cimport MAX_CLIENTS

cdef enum:
    ACCEPTS_PER_TICK = 64


cdef class Doorway(Farewell):
    """The part of an engine that lets clients in."""

    def __cinit__(self, *args, **kwargs):
        self.next_id = 1
        self.paused_listeners = []

    # ---- what the control plane sets ------------------------------------------

    def listen(self, int fd):
        """Accept clients from a listening, non-blocking socket."""
        self._own(fd, fd)
        self._add(fd)

    def stop_listening(self, int fd):
        """Accept no more clients from this socket, if any were; the caller closes it."""
        cdef epoll_event event
        if fd < <int>len(self.owners) and self.owners[fd] == fd:
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)
            self.owners[fd] = None
            self.guards.pop(fd, None)

    # ---- in -------------------------------------------------------------------

    cdef int _accept(self, int listener) except -1:
        cdef int fd, i, one = 1
        cdef Client client
        guard = self.guards.get(listener) if self.guards else None
        for i in range(ACCEPTS_PER_TICK):
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EMFILE or errno == ENFILE:
                    self._watch(listener, False, False)
                    self.paused_listeners.append(listener)
                return 0
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
            if len(self.by_id) >= self.max_clients:
                self.refused_clients += 1
                self.meter.by_limit[MAX_CLIENTS] += 1
                error = self.control.too_many_clients()
                # To a client that speaks TLS it would be no more than noise.
                self._turn_away(fd, error if guard is None else b"")
                continue
            client = Client(self.next_id, fd, self.control.lane_for(2), self.now, self)
            client.output_allowance = self.client_output_soft_bytes
            if guard is not None:
                self.begin_handshake(client, guard)
            self.next_id += 1
            self.accepted += 1
            self.by_id[client.id] = client
            self._own(fd, client)
            self._add(fd)
            self.control.accepted(client)
        return 0

    cdef int _turn_away(self, int fd, bytes error) except -1:
        """Say why, and close; it may have sent something already."""
        send(fd, <const char*>error, len(error), MSG_NOSIGNAL)
        self._own(fd, None)
        self._add(fd)
        return self._see_off(fd, self.now)
