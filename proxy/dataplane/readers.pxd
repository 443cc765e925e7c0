# cython: language_level=3
"""C face of readers.pyx."""

from libc.stdint cimport uint16_t, uint64_t


cdef enum:
    READER_LIMIT = 8        # nodes of one shard among which its readers are spread


cdef struct CReaders:
    uint16_t nodes[READER_LIMIT]
    int count
    bint is_strict          # never the primary itself, unless it is one of them


cdef class ReadTable:
    cdef CReaders* by_owner         # by the number of the slot's primary
    cdef int size
    cdef set moving                 # slots whose keys are on the move: only the primary knows

    cdef bint spares(self, int owner) noexcept
    cdef int pick(self, int owner, int slot, uint64_t client_id, int attempts) except -1
