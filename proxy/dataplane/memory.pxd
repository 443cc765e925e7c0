# cython: language_level=3
"""C face of memory.pyx."""

cdef Py_ssize_t held_bytes      # whoever allocates adds to it, whoever frees takes away


cdef class Holding:
    cdef Py_ssize_t size
