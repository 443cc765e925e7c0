# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""How a client's connection ends, so that it can still read what it was told.

Strategy: a socket that is closed with unread input is reset, and what the kernel has not
delivered by then is lost; so is what a client sends later cause for a reset. So whoever is
closed for no fault of its own is first only told that nothing more comes; what it sends
meanwhile is read and thrown away, until it closes, or has been quiet and has everything.
Whoever is closed for a fault is closed.

Cost: nothing for a client that closes first, or was quiet and had everything before; else
one more descriptor for a bounded time, and a look at it with every sweep.
"""

from libc.errno cimport EAGAIN, EINTR, errno

from proxy.dataplane.client cimport GONE
from proxy.dataplane.kernel cimport (
    FIONREAD, MSG_DONTWAIT, SHUT_WR, TIOCOUTQ, ioctl, recv, shutdown)
from proxy.dataplane.sockets cimport INBOX_BYTES

cdef enum:
    HEARD_OUT_BYTES = 16 * 1024 * 1024  # chosen: more is no pipeline any more

cdef double LINGER_S = 5.0      # chosen: a drain that waits for it ends in good time
cdef double QUIET_S = 0.2       # chosen: several times the way to the client and back


cdef bint has_everything(int fd) noexcept:
    """Whether nothing is on its way to the other side, and nothing of it is unread."""
    cdef int unread = 0, unsent = 0
    ioctl(fd, FIONREAD, &unread)
    ioctl(fd, TIOCOUTQ, &unsent)
    return unread == 0 and unsent == 0


cdef class Leaver:
    """A connection that has been told everything, until it has heard it."""


cdef class Farewell(Handshakes):
    """The part of an engine that sends clients away."""

    def __cinit__(self, *args, **kwargs):
        self.by_id = {}
        self.leavers = {}
        self.strangers = {}
        self.leaving_limit = 1024

    # ---- what the control plane sets ------------------------------------------

    def drain(self):
        """Take no more requests; each client is closed when it has what it asked for."""
        cdef Client client
        self.is_draining = True
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

    def expect_login(self, Client client):
        """Note that a client has to log in from now on, or need not any more."""
        if client.gated:
            client.gated_at = self.now
            self.strangers[client.id] = client
        else:
            self.strangers.pop(client.id, None)

    def close_client(self, Client client, str reason=""):
        """Close a client's connection now; replies it has not read are lost."""
        self._close_client(client, reason)
        self.wake()

    @property
    def leaving(self):
        """Connections that have been told everything and are not closed yet."""
        return len(self.leavers)

    @property
    def clients(self):
        """All clients, by id."""
        return self.by_id

    # ---- the end of a client ----------------------------------------------------

    cdef int _watch_client(self, Client client) except -1:
        return self._watch(client.fd, client.reads, client.wants_write,
                           client.leaves_at_end and not client.reads)

    cdef int _close_if_done(self, Client client) except -1:
        """Close a client that wants no more, once everything it asked for is written."""
        if not (client.is_closing or client.saw_end) or client.head is not None:
            return 0
        if client.output.end > client.output.start or \
                (client.cipher is not None and client.cipher.waits()):
            return 0
        if client.saw_end and (client.stall or client.is_resuming) and not client.is_closing:
            return 0
        if client.cipher is not None and client.cipher.is_open:
            client.cipher.part(client.fd)
        elif client.cipher is not None:
            return self._close_client(client, "")
        if client.saw_end:
            self._doom(client.fd)
        else:
            self._see_off(client.fd, client.last_active_s)
        return self._forget(client, "")

    cdef int _close_client(self, Client client, str reason) except -1:
        if client.fd < 0:
            return 0
        if client.cipher is None or client.cipher.is_open:
            if client.cipher is not None:
                client.cipher.part(client.fd)
            self._doom(client.fd)
        else:
            # It is told what was wrong with its handshake, and may be sending on meanwhile.
            reason = self.end_handshake(client) or reason
            client.cipher.part(client.fd)
            self._see_off(client.fd, self.now)
        return self._forget(client, reason)

    cdef int _forget(self, Client client, str reason) except -1:
        """Let go of a client whose descriptor somebody else closes."""
        if reason and client.told_address is None:  # the log will ask for them
            client.told_address, client.told_local_address = client.address, client.local_address
        client.fd = GONE
        del self.by_id[client.id]
        if client.gated:
            self.strangers.pop(client.id, None)
        self.in_flight -= client.in_flight
        self.meter.left_pieces += client.in_flight
        if self.watched:
            self.let_go(client)
        client.orphan()
        client.input.clear()
        client.output.clear()
        client.cipher = None
        self.control.closed(client, reason)
        return 0

    cdef int _look_after_strangers(self) except -1:
        """Close those who have not logged in for too long."""
        cdef Client client
        for client in list(self.strangers.values()):
            if self.now - client.gated_at <= self.login_timeout_s:
                break  # the others have come later
            self.meter.note_limit("login_timeout_s")
            self._close_client(client, "not logged in within clients.login_timeout_s")
        return 0

    # ---- the end of its connection ------------------------------------------------

    cdef int _see_off(self, int fd, double heard_at) except -1:
        """Close a descriptor as soon as the other side has what was written to it."""
        cdef Leaver leaver
        if (self.now - heard_at > QUIET_S and has_everything(fd)) or \
                len(self.leavers) >= self.leaving_limit:
            return self._doom(fd)
        shutdown(fd, SHUT_WR)
        leaver = Leaver()
        leaver.fd = fd
        leaver.heard_at = heard_at
        leaver.until_s = self.now + LINGER_S
        leaver.room = HEARD_OUT_BYTES
        self.leavers[fd] = leaver
        self._own(fd, leaver)
        return self._watch(fd, True, False)

    cdef int _hear_out(self, Leaver leaver) except -1:
        """Throw away what it sends."""
        cdef ssize_t received
        if leaver.fd < 0:
            return 0
        received = recv(leaver.fd, self.inbox, INBOX_BYTES, MSG_DONTWAIT)
        if received > 0:
            leaver.heard_at = self.now
            leaver.room -= received
        if received == 0 or leaver.room < 0 or \
                (received < 0 and errno != EAGAIN and errno != EINTR):
            return self._let_leave(leaver)
        return 0

    cdef int _look_after_leavers(self) except -1:
        """Close those who have everything, and those whose time is over."""
        cdef Leaver leaver
        for leaver in list(self.leavers.values()):
            if self.now >= leaver.until_s or \
                    (self.now - leaver.heard_at > QUIET_S and has_everything(leaver.fd)):
                self._let_leave(leaver)
        return 0

    cdef int _let_leave(self, Leaver leaver) except -1:
        del self.leavers[leaver.fd]
        self._doom(leaver.fd)
        leaver.fd = GONE
        return 0
