# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Which node answers a read, for clients that do not insist on the primary.

Strategy: a table by the slot's primary, so that it need not change when a slot moves. It is
made by the control plane of what it knows of the nodes (``control/reads.py``) and replaced
whole. A client has the same reader as long as the table stays the same, so it does not
see time go backwards from one read to the next; clients are spread by their numbers.

Cost: one array access and a division for a read; nothing for a lane without a table.
"""

from libc.stdlib cimport calloc, free

from proxy.dataplane.tables cimport NO_NODE


cdef class ReadTable:
    """Who answers reads for each primary.

    Args:
        readers: By the primary's number, (whether nobody else may, the numbers of nodes).
            A primary that is not here answers itself.
        moving: Slots that only their primary can answer for.
    """

    def __cinit__(self, readers, moving=()):
        cdef CReaders* found
        self.moving = set(moving)
        self.size = max(readers, default=-1) + 1
        self.by_owner = <CReaders*>calloc(max(self.size, 1), sizeof(CReaders))
        if self.by_owner == NULL:
            raise MemoryError
        for owner, (is_strict, nodes) in readers.items():
            found = &self.by_owner[<int>owner]
            found.is_strict = is_strict
            for node in nodes[:READER_LIMIT]:
                found.nodes[found.count] = node
                found.count += 1

    def __dealloc__(self):
        free(self.by_owner)

    def keep_at_primary(self, int slot):
        """Have reads of a slot answered by its primary: its keys are on the move."""
        self.moving.add(slot)

    def reader_of(self, int owner, int slot, uint64_t client_id=0, int attempts=0):
        """Return who answers a read, or None: nobody may."""
        node = self.pick(owner, slot, client_id, attempts)
        return None if node == NO_NODE else node

    cdef bint spares(self, int owner) noexcept:
        """Whether a primary is not to be asked for reads."""
        return owner < self.size and self.by_owner[owner].is_strict

    cdef int pick(self, int owner, int slot, uint64_t client_id, int attempts) except -1:
        """Return who answers a read that has been tried so often; NO_NODE: nobody may."""
        cdef CReaders* found
        if owner >= self.size or (self.moving and slot in self.moving):
            return owner
        found = &self.by_owner[owner]
        if found.count == 0:
            return NO_NODE if found.is_strict else owner
        if attempts and not found.is_strict:
            return owner
        return found.nodes[(client_id + <uint64_t>attempts) % <uint64_t>found.count]
