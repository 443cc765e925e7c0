# cython: language_level=3
"""C face of pins.pyx."""

from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.tables cimport KeyList


cdef struct CPin:
    const char* prefix
    Py_ssize_t prefix_length
    const char* mark             # the hash tag with its braces
    Py_ssize_t mark_length


cdef class Pins:
    cdef CPin* pins              # the longest prefix first
    cdef int count
    cdef list texts              # keeps what the structs point at
    cdef bint begins[256]        # bytes that a prefix begins with; all if one is empty
    cdef bint pins_empty         # the empty key is pinned too
    cdef RequestScanner scanner  # of the last stored frame: where its arguments lie

    cdef int find(self, const char* key, Py_ssize_t length) noexcept
    cdef bytes store(self, const char* frame, RequestScanner request, KeyList keys)
