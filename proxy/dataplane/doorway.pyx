# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The door: who comes in.

Strategy: what is asked of a client once, when it comes, stands here; what is done for each
of its requests is above. So a condition of entry costs no request anything. A connection
that has to say first whom it is from is no client yet: it becomes one when its header is
whole, and what comes behind the header is still in the kernel, for whoever is next.
"""

from libc.errno cimport (
    EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno)

from proxy.dataplane.client cimport GONE, Client
from proxy.dataplane.kernel cimport (
    AF_INET, AF_INET6, EPOLL_CTL_DEL, INET6_ADDRSTRLEN, IPPROTO_TCP, MSG_DONTWAIT, MSG_NOSIGNAL,
    MSG_PEEK, SOCK_CLOEXEC, SOCK_NONBLOCK, TCP_NODELAY, accept4, epoll_ctl, epoll_event, inet_ntop,
    recv, send, setsockopt, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage)
from proxy.dataplane.meter cimport MAX_CLIENTS
from proxy.dataplane.proxy_header import LIMIT_BYTES, BadHeaderError, parse_header

cdef enum:
    ACCEPTS_PER_TICK = 64

cdef Py_ssize_t HEADER_BYTES = LIMIT_BYTES


cdef str host_of(sockaddr_storage* name):
    """Return the IP address of a name as text; empty: it is a Unix socket's."""
    cdef char text[INET6_ADDRSTRLEN]
    cdef const void* address
    if name.ss_family == AF_INET:
        address = &(<sockaddr_in*>name).sin_addr
    elif name.ss_family == AF_INET6:
        address = &(<sockaddr_in6*>name).sin6_addr
    else:
        return ""
    inet_ntop(name.ss_family, address, text, INET6_ADDRSTRLEN)
    return text.decode("ascii")


cdef class Newcomer:
    """A connection whose header is not whole yet."""


cdef class Doorway(Farewell):
    """The part of an engine that lets clients in."""

    def __cinit__(self, *args, **kwargs):
        self.next_id = 1
        self.header_listeners = set()
        self.newcomers = {}
        self.extras = {}
        self.extra_login_s = 5.0  # chosen: whoever administers logs in at once
        self.paused_listeners = []
        self.client_fd_limit = 1 << 30
        self.header_timeout_s = 5.0

    # ---- what the control plane sets ------------------------------------------

    def listen(self, int fd, bint expects_header=False):
        """Accept clients from a listening, non-blocking socket.

        Args:
            expects_header: Each connection begins with a PROXY protocol header.
        """
        if expects_header:
            self.header_listeners.add(fd)
        self._own(fd, fd)
        self._add(fd)

    def stop_listening(self, int fd):
        """Accept no more clients from this socket, if any were; the caller closes it."""
        cdef epoll_event event
        if fd < <int>len(self.owners) and self.owners[fd] == fd:
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)
            self.owners[fd] = None
            self.header_listeners.discard(fd)
            if fd in self.paused_listeners:
                self.paused_listeners.remove(fd)
            self.guards.pop(fd, None)

    def keep_extra(self, Client client):
        """Let a client stay that is over ``max_clients``: it is an administrator."""
        client.is_extra = False

    def refuse_extra(self, Client client):
        """Close a client that is over ``max_clients``, and return what it is told."""
        client.is_extra = False
        client.is_closing = True
        self.refused_clients += 1
        self.meter.by_limit[MAX_CLIENTS] += 1
        return self.control.too_many_clients()

    # ---- in -------------------------------------------------------------------

    cdef int _accept(self, int listener) except -1:
        cdef sockaddr_storage name
        cdef unsigned int length
        cdef int fd, i
        for i in range(ACCEPTS_PER_TICK):
            length = sizeof(name)
            fd = accept4(listener, <sockaddr*>&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == ECONNABORTED or errno == EINTR:
                    continue  # that one has left; others may wait
                if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                    self._watch(listener, False, False)
                    self.paused_listeners.append(listener)
                    self.control.out_of_descriptors()
                return 0
            self._own(fd, None)
            self._add(fd)
            self._meet(fd, listener, host_of(&name))
        return 0

    cdef int _meet(self, int fd, int listener, str host) except -1:
        """Decide what becomes of a new connection."""
        cdef Newcomer newcomer
        guard = self.guards.get(listener) if self.guards else None
        if fd >= self.client_fd_limit:
            self.refused_clients += 1
            self.meter.note_limit("descriptors")
            return self._turn_away(fd, guard, self.control.too_many_clients())
        if len(self.by_id) + len(self.newcomers) >= self.max_clients + self.reserved_clients:
            self.refused_clients += 1
            self.meter.by_limit[MAX_CLIENTS] += 1
            return self._turn_away(fd, guard, self.control.too_many_clients())
        if listener not in self.header_listeners:
            return self._let_in(fd, guard, host, None)
        error = self.control.distrusts(host)
        if error is not None:
            return self._turn_away(fd, guard, error)
        newcomer = Newcomer()
        newcomer.fd = fd
        newcomer.guard = guard
        newcomer.host = host
        newcomer.begun = b""
        newcomer.until_s = self.now + self.header_timeout_s
        self.newcomers[fd] = newcomer
        self.owners[fd] = newcomer
        return 0

    cdef int _read_header(self, Newcomer newcomer) except -1:
        """Take of what has come what is the header's, and nothing else."""
        cdef int fd = newcomer.fd
        cdef ssize_t received
        cdef Py_ssize_t before = len(newcomer.begun)
        if fd < 0:
            return 0
        # What came before was not all of it, so all of it is within its limit.
        received = recv(fd, self.inbox, HEADER_BYTES - before, MSG_DONTWAIT | MSG_PEEK)
        if received <= 0:
            if received == 0 or (errno != EAGAIN and errno != EINTR):
                self._forget_newcomer(newcomer)
                self._doom(fd)
            return 0
        data = newcomer.begun + self.inbox[:received]
        try:
            header = parse_header(data)
        except BadHeaderError as problem:
            self._forget_newcomer(newcomer)
            return self._turn_away(
                fd, newcomer.guard, self.control.no_header(newcomer.host, str(problem)))
        if header is None:
            newcomer.begun = data
            recv(fd, self.inbox, received, MSG_DONTWAIT)
            return 0
        recv(fd, self.inbox, <Py_ssize_t>header.length - before, MSG_DONTWAIT)
        self._forget_newcomer(newcomer)
        return self._let_in(fd, newcomer.guard, newcomer.host, header)

    cdef int _let_in(self, int fd, object guard, str host, object header) except -1:
        """Make a client of a connection.

        Args:
            guard: Begins its handshake; None: it speaks without TLS.
            host: Its other end; empty for a Unix socket.
            header: Whom it is from, if somebody has passed it on.
        """
        cdef Client client
        cdef int one = 1
        if self.is_draining:
            return self._doom(fd)
        if header is not None and header.source is None:
            header = None
        told = None if header is None else header.source.host
        error = self.control.turn_away(host, told, guard is not None)
        if error is not None:
            return self._turn_away(fd, guard, error)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
        client = Client(self.next_id, fd, self.control.lane_for(2), self.now, self)
        client.output_allowance = self.client_output_soft_bytes
        client.is_unix = not host
        if len(self.by_id) + len(self.newcomers) >= self.max_clients:
            client.is_extra = True
            self.extras[client.id] = client
        if header is not None:
            client.told_address = str(header.source)
            client.told_local_address = str(header.destination)
        if guard is not None:
            self.begin_handshake(client, guard)
        self.next_id += 1
        self.accepted += 1
        self.by_id[client.id] = client
        self.owners[fd] = client
        self.control.accepted(client)
        return 0

    cdef int _turn_away(self, int fd, object guard, bytes error) except -1:
        """Say why, and close; it may have sent something already."""
        self.owners[fd] = None
        if guard is None:  # to a client that speaks TLS it would be noise
            send(fd, <const char*>error, len(error), MSG_NOSIGNAL | MSG_DONTWAIT)
        if fd >= self.client_fd_limit or len(self.leavers) >= self.leaving_limit // 2:
            return self._doom(fd)  # a storm of these leaves room for those who were clients
        return self._see_off(fd, self.now)

    cdef int _look_after_newcomers(self) except -1:
        """Close those whose header takes too long."""
        cdef Newcomer newcomer
        for newcomer in list(self.newcomers.values()):
            if self.now < newcomer.until_s:
                break  # the others have come later
            self.meter.note_limit("proxy_protocol_timeout_s")
            self._doom(newcomer.fd)
            self._forget_newcomer(newcomer)
        return 0

    cdef int _look_after_extras(self) except -1:
        """Send away those over ``max_clients`` who take their time to log in."""
        cdef Client client
        cdef bytes error
        for client in list(self.extras.values()):
            if client.fd < 0 or not client.is_extra:
                del self.extras[client.id]
            elif self.now - client.created_s > self.extra_login_s:
                error = self.refuse_extra(client)
                client.output.append(error, len(error))
                self.mark_dirty(client)
        return 0

    cdef int _forget_newcomer(self, Newcomer newcomer) except -1:
        del self.newcomers[newcomer.fd]
        newcomer.fd = GONE
        return 0
