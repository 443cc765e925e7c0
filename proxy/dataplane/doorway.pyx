# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The door: who comes in, what of a client is watched, when it is closed.

Strategy: what is asked of a client once, when it comes or goes, stands here; what is
done for each of its requests is above. So a condition of entry costs no request anything.
"""

from libc.errno cimport EMFILE, ENFILE, errno
from posix.unistd cimport close

from proxy.dataplane.client cimport GONE
from proxy.dataplane.kernel cimport (
    EPOLL_CTL_DEL, IPPROTO_TCP, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, TCP_NODELAY, accept4,
    epoll_ctl, epoll_event, send, setsockopt)
from proxy.dataplane.meter cimport MAX_CLIENTS

cdef enum:
    ACCEPTS_PER_TICK = 64


cdef class Doorway(NodeSide):
    """The part of an engine that lets clients in and sends them away."""

    def __cinit__(self, *args, **kwargs):
        self.by_id = {}
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

    def drain(self):
        """Take no more requests; each client is closed when it has what it asked for."""
        cdef Client client
        for client in self.by_id.values():
            client.is_closing = True
            self.mark_dirty(client)
        self.wake()

    def watch_end(self, Client client, bint leaves_at_end):
        """Say whether the client is closed as soon as it sends nothing more.

        Otherwise it is closed when it has what it asked for. A client that blocks
        takes nothing any more once it is gone.
        """
        client.leaves_at_end = leaves_at_end
        if client.fd >= 0 and not client.saw_end:
            self._watch_client(client)
        elif client.fd >= 0 and leaves_at_end:
            self.close_client(client)

    def close_client(self, Client client, str reason=""):
        """Close a client's connection now; replies it has not read are lost."""
        self._close_client(client, reason)
        self.wake()

    @property
    def clients(self):
        """All clients, by id."""
        return self.by_id

    # ---- in and out -----------------------------------------------------------

    cdef int _accept(self, int listener) except -1:
        cdef int fd, i, one = 1
        cdef Client client
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
                send(fd, <const char*>error, len(error), MSG_NOSIGNAL)
                close(fd)
                continue
            client = Client(self.next_id, fd, self.control.lane_for(2), self.now, self)
            client.output_allowance = self.client_output_soft_bytes
            self.next_id += 1
            self.accepted += 1
            self.by_id[client.id] = client
            self._own(fd, client)
            self._add(fd)
            self.control.accepted(client)
        return 0

    cdef int _watch_client(self, Client client) except -1:
        return self._watch(client.fd, client.reads, client.wants_write,
                           client.leaves_at_end and not client.reads)

    cdef int _close_if_done(self, Client client) except -1:
        """Close a client that wants no more, once everything it asked for is written."""
        if not (client.is_closing or client.saw_end) or client.head is not None:
            return 0
        if client.output.end > client.output.start:
            return 0
        if client.saw_end and (client.stall or client.is_resuming) and not client.is_closing:
            return 0
        return self._close_client(client, "")

    cdef int _close_client(self, Client client, str reason) except -1:
        if client.fd < 0:
            return 0
        self._doom(client.fd)
        client.fd = GONE
        del self.by_id[client.id]
        self.in_flight -= client.in_flight
        self.meter.left_pieces += client.in_flight
        if self.watched:
            self.let_go(client)
        client.orphan()
        client.input.clear()
        client.output.clear()
        self.control.closed(client, reason)
        return 0
