# cython: language_level=3
"""C face of buffer.pyx."""


cdef class Buffer:
    cdef char* data
    cdef Py_ssize_t start       # of the bytes still to be taken
    cdef Py_ssize_t end
    cdef Py_ssize_t capacity

    cdef char* reserve(self, Py_ssize_t room) except NULL
    cdef int append(self, const char* data, Py_ssize_t length) except -1
    cdef void take(self, Py_ssize_t length) noexcept
    cdef void clear(self) noexcept
