# cython: language_level=3
"""C face of handshakes.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.node_side cimport NodeSide


cdef class Handshakes(NodeSide):
    cdef dict guards                # by listening socket with TLS: what makes an SSLObject
    cdef dict handshaking           # clients, by id
    cdef double turn_at             # the tick that ``turns_left`` is of
    cdef int turns_left
    cdef public double handshake_timeout_s
    cdef readonly object handshakes # counts of the clients'

    cdef int begin_handshake(self, Client client, object guard) except -1
    cdef bint may_go_on(self) noexcept
    cdef str end_handshake(self, Client client)
    cdef list late_handshakes(self)
