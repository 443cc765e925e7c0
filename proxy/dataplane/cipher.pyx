# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""TLS on one socket: sealed bytes on the kernel's side, plain ones on ours.

Strategy: Python's ``ssl`` does the cryptography, in memory; this class moves the bytes. It
reads and writes in the kernel's own manner, so that whoever reads a socket needs one test
and no second road: a number of plain bytes, 0 at the end, or -1 and ``errno``.

Two rules make that work. Whatever was received is unsealed at once, so nothing waits in
here of which epoll knows nothing. And nothing is sealed while sealed bytes wait: what is
to be written stays plain, where limits count it, and a request is sealed no sooner than
the kernel has taken what came before it. From then on it counts as sent (law 4).

A connection that ends without TLS's own goodbye has just ended: a cut frame is never taken
for a whole one, and that is what the goodbye is there to protect.

Cost: some microseconds for each read and each write, beside the cryptography; 64 KiB for all.
"""

import ssl

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc cimport errno

from proxy.dataplane.kernel cimport MSG_DONTWAIT, MSG_NOSIGNAL, recv, send

cdef enum:
    RECEIVED_BYTES = 64 * 1024  # one recv; with the rest of a record before it, less than an inbox
    SEALED_BYTES = 64 * 1024    # plain bytes sealed for one write: four records
    HANDSHAKE = 22              # how the first record of a TLS connection begins

WantRead = ssl.SSLWantReadError
Problem = ssl.SSLError

# One for all connections: what was received is handed to OpenSSL at once.
cdef char received_bytes[RECEIVED_BYTES]


cdef class Cipher:
    """The TLS side of one connection.

    Args:
        tls: An ``ssl.SSLObject``.
        incoming: The memory it reads from.
        outgoing: The memory it writes to.
        is_open: Its handshake is complete.
    """

    def __cinit__(self, tls, incoming, outgoing, bint is_open=False):
        self.tls = tls
        self.incoming = incoming
        self.outgoing = outgoing
        self.is_open = self.has_heard = is_open
        self.sealed = Buffer()

    cdef ssize_t receive(self, int fd, char* place, Py_ssize_t room) except -2:
        """Read plain bytes as ``recv`` does; the handshake goes on here while it lasts.

        ``room`` is at least an inbox: it holds all that one call can bring. After a call
        ``has_ended`` and ``failure`` say whether there is nothing more to come, also if
        this call has brought something.
        """
        cdef ssize_t received = recv(fd, received_bytes, RECEIVED_BYTES, MSG_DONTWAIT)
        cdef Py_ssize_t count
        if received <= 0:
            return received
        if not self.has_heard:
            self.has_heard = True
            self.is_foreign = received_bytes[0] != HANDSHAKE
        self.incoming.write(PyMemoryView_FromMemory(received_bytes, received, PyBUF_READ))
        count = self._unseal(place, room)
        self._collect()
        if count == 0 and not self.has_ended:
            errno.errno = errno.EAGAIN if self.failure is None else errno.EPROTO
            return -1
        return count

    cdef Py_ssize_t _unseal(self, char* place, Py_ssize_t room) except -2:
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t more
        try:
            if not self.is_open:
                self.tls.do_handshake()
                self.is_open = True
            while self.incoming.pending and not self.has_ended:
                more = self.tls.read(
                    room - count, PyMemoryView_FromMemory(place + count, room - count, PyBUF_WRITE))
                self.has_ended = more == 0
                count += more
        except WantRead:
            pass
        except Problem as problem:
            self.failure = problem.with_traceback(None)
        return count

    cdef ssize_t send(self, int fd, const char* data, Py_ssize_t length) except -2:
        """Seal bytes and write them; return how many of them were sealed.

        Sealed bytes that the kernel does not take are kept, and ``waits`` is true; until
        ``flush`` has got rid of them, no more are sealed. A connection that breaks is
        told by the next call, for what was sealed may have been sent.
        """
        cdef Py_ssize_t count
        if not self.flush(fd):
            return -1
        if not self.is_open:
            errno.errno = errno.EAGAIN
            return -1
        count = self._seal(data, min(length, SEALED_BYTES))
        if count == 0:
            errno.errno = errno.EPROTO
            return -1
        self.flush(fd)
        return count

    cdef ssize_t send_pieces(self, int fd, const iovec* pieces, int count) except -2:
        """Seal and write bytes as ``send``, from several places in a row."""
        cdef Py_ssize_t room = SEALED_BYTES
        cdef Py_ssize_t sealed, all_sealed = 0
        cdef int i
        if not self.flush(fd):
            return -1
        for i in range(count):
            sealed = self._seal(<const char*>pieces[i].iov_base,
                                min(<Py_ssize_t>pieces[i].iov_len, room))
            all_sealed += sealed
            room -= sealed
            if sealed < <Py_ssize_t>pieces[i].iov_len:
                break
        if all_sealed == 0:
            errno.errno = errno.EPROTO
            return -1
        self.flush(fd)
        return all_sealed

    cdef Py_ssize_t _seal(self, const char* data, Py_ssize_t length) except -2:
        """Have bytes sealed, a record at a time; return how many were."""
        cdef Py_ssize_t count = 0
        try:
            while count < length:
                count += self.tls.write(
                    PyMemoryView_FromMemory(<char*>data + count, length - count, PyBUF_READ))
        except Problem as problem:
            self.failure = problem.with_traceback(None)
        self._collect()
        return count

    cdef int _collect(self) except -1:
        """Take what OpenSSL wants written: data, but also its part of a handshake, or an alert."""
        cdef bytes made
        if self.outgoing.pending:
            made = self.outgoing.read()
            self.sealed.append(made, len(made))
        return 0

    cdef bint flush(self, int fd) except -1:
        """Write what is sealed; return whether all is written, else ``errno`` says why not."""
        cdef ssize_t written
        if self.sealed.end == self.sealed.start:
            return True
        written = send(fd, self.sealed.data + self.sealed.start,
                       self.sealed.end - self.sealed.start, MSG_NOSIGNAL | MSG_DONTWAIT)
        if written < 0:
            if errno.errno == errno.EINTR:
                errno.errno = errno.EAGAIN
            return False
        self.sealed.take(written)
        errno.errno = errno.EAGAIN
        return self.sealed.end == self.sealed.start

    cdef int part(self, int fd) except -1:
        """Say goodbye if there is room for it: nothing that comes after it was meant."""
        if self.is_open and self.failure is None and not self.waits():
            try:
                self.tls.unwrap()
            except Problem:
                pass  # it has been said; the other side's is not waited for
            self._collect()
        if not self.is_foreign:
            self.flush(fd)  # or an alert that says what was wrong
        self.sealed.clear()
        return 0

    @property
    def waiting_bytes(self):
        """Sealed bytes that the kernel has not taken yet."""
        return self.sealed.end - self.sealed.start

    @property
    def version(self):
        """The protocol in use, such as ``TLSv1.3``; empty before the handshake."""
        return self.tls.version() or ""

    @property
    def peer_certificate(self):
        """The other side's certificate as DER; None if it has shown none."""
        return self.tls.getpeercert(binary_form=True) if self.is_open else None
