# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bytes on their way in or out of one socket.

Strategy: one growing piece of memory, given back as soon as it is empty, so a
connection at rest holds none and memory does not remember a burst.

Cost: appending is a copy; room in front of the data is reused before growing.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from proxy.dataplane cimport memory

cdef enum:
    SMALLEST = 512


cdef class Buffer:
    def __dealloc__(self):
        self.clear()

    def __len__(self):
        return self.end - self.start

    cdef char* reserve(self, Py_ssize_t room) except NULL:
        """Return a place where ``room`` more bytes may be written; then add to ``end``."""
        cdef Py_ssize_t length = self.end - self.start
        cdef Py_ssize_t capacity
        cdef char* data
        if self.capacity - self.end >= room:
            return self.data + self.end
        if self.capacity - length >= room and self.start >= length:
            # What is left is smaller than the room in front of it: moving is cheap.
            memmove(self.data, self.data + self.start, length)
        else:
            capacity = max(length + room, min(2 * self.capacity, self.capacity + (16 << 20)))
            capacity = max(capacity, SMALLEST)
            if self.start:
                memmove(self.data, self.data + self.start, length)
            # Not malloc: the kernel moves the pages of a large one, and nothing is copied.
            data = <char*>realloc(self.data, capacity)
            if data == NULL:
                raise MemoryError
            memory.held_bytes += capacity - self.capacity
            self.data = data
            self.capacity = capacity
        self.start = 0
        self.end = length
        return self.data + length

    cdef int append(self, const char* data, Py_ssize_t length) except -1:
        if length == 0:
            return 0  # an empty buffer has no place to return, not even for nothing
        memcpy(self.reserve(length), data, length)
        self.end += length
        return 0

    cdef void take(self, Py_ssize_t length) noexcept:
        """Drop ``length`` bytes from the front."""
        self.start += length
        if self.start >= self.end:
            self.clear()

    cdef void clear(self) noexcept:
        memory.held_bytes -= self.capacity
        free(self.data)
        self.data = NULL
        self.start = self.end = self.capacity = 0
