# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The TLS handshakes of clients: who has to, how many at a time, how long, how they end.

Strategy: a client of a listening socket with a guard begins with a handshake, which goes on
whenever something comes from it. It costs a signature, a hundred times a request, so a tick
goes on with a few of them only; epoll names the others again in the next one. A storm of
new clients so shares the engine with those that are there.

Cost: nothing for a client without TLS.
"""

from proxy.dataplane.cipher cimport Cipher
from proxy.dataplane.kernel cimport MSG_DONTWAIT, MSG_NOSIGNAL, send
from proxy.tls import failures

cdef enum:
    HANDSHAKES_PER_TICK = 4     # chosen: with RSA-2048 some 3 ms, with P-256 less than one


cdef class Handshakes(NodeSide):
    """The part of an engine that looks after clients until their TLS stands."""

    def __cinit__(self, *args, **kwargs):
        self.guards = {}
        self.handshaking = {}
        self.handshake_timeout_s = 10.0
        self.handshakes = failures.Handshakes()

    def secure(self, int fd, guard):
        """Have clients of a listening socket speak TLS.

        Args:
            guard: Called for each client; returns an ``ssl.SSLObject`` and the two memories
                that it reads from and writes to.
        """
        self.guards[fd] = guard

    cdef int begin_handshake(self, Client client, object guard) except -1:
        """Have a client that has just come speak TLS."""
        tls, incoming, outgoing = guard()
        client.cipher = Cipher(tls, incoming, outgoing)
        self.handshaking[client.id] = client
        return 0

    cdef bint may_go_on(self) noexcept:
        """Whether this tick has time for one more step of a handshake; it is taken then."""
        if self.turn_at != self.now:
            self.turn_at = self.now
            self.turns_left = HANDSHAKES_PER_TICK
        self.turns_left -= 1
        return self.turns_left >= 0

    cdef str end_handshake(self, Client client):
        """Count a handshake that is over; return why it failed, "" if that is worth no word."""
        cdef Cipher cipher = client.cipher
        cdef bytes error
        del self.handshaking[client.id]
        if cipher.is_open:
            self.handshakes.note(None)
            return ""
        if self.now - client.created_s > self.handshake_timeout_s:
            cause = failures.Cause.TIMEOUT
        elif cipher.is_foreign:
            cause = failures.Cause.FOREIGN
        elif cipher.failure is None:
            cause = failures.Cause.CLOSED
        else:
            cause = failures.Cause.of(cipher.failure)
        self.handshakes.note(cause)
        if cause is failures.Cause.CLOSED:
            return ""  # who only looks whether a port is open does so, each second
        if cause is failures.Cause.FOREIGN:
            error = self.control.protocol_error("NO_TLS", b"")
            send(client.fd, <const char*>error, len(error), MSG_NOSIGNAL | MSG_DONTWAIT)
        return failures.words_about_client(cause, cipher.failure)

    cdef list late_handshakes(self):
        """Return the clients whose handshake takes too long."""
        cdef Client client
        return [client for client in self.handshaking.values()
                if self.now - client.created_s > self.handshake_timeout_s]
