# cython: language_level=3
"""C face of cipher.pyx."""

from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.kernel cimport iovec


cdef class Cipher:
    cdef object tls                  # ssl.SSLObject, or what behaves as one
    cdef object incoming             # ssl.MemoryBIO: sealed bytes that were received
    cdef object outgoing             # ssl.MemoryBIO: sealed bytes that OpenSSL has just made
    cdef Buffer sealed               # sealed bytes that the kernel has not taken yet
    cdef readonly bint is_open       # the handshake is complete
    cdef readonly bint has_ended     # the other side has said that nothing more comes
    cdef readonly object failure     # the exception that ended it; None: none has
    cdef bint has_heard
    cdef readonly bint is_foreign    # what came first was no TLS at all

    cdef ssize_t receive(self, int fd, char* place, Py_ssize_t room) except -2
    cdef ssize_t send(self, int fd, const char* data, Py_ssize_t length) except -2
    cdef ssize_t send_pieces(self, int fd, const iovec* pieces, int count) except -2
    cdef bint flush(self, int fd) except -1
    cdef int part(self, int fd) except -1
    cdef inline bint waits(self) noexcept:
        """Whether sealed bytes wait for the kernel to take them."""
        return self.sealed.end > self.sealed.start
    cdef Py_ssize_t _seal(self, const char* data, Py_ssize_t length) except -2
    cdef Py_ssize_t _unseal(self, char* place, Py_ssize_t room) except -2
    cdef int _collect(self) except -1
