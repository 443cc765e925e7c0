# cython: language_level=3
"""C face of handover.pyx."""

from proxy.dataplane.client_side cimport ClientSide


cdef class Handover(ClientSide):
    pass
