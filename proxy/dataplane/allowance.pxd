# cython: language_level=3
"""C face of allowance.pyx."""


cdef enum Spent:
    NOTHING
    COMMANDS
    BYTES


cdef struct CBucket:
    double rate             # tokens a second; 0: there is no limit
    double size             # tokens that it holds when full
    double level            # tokens in it when it was last looked at; below 0: owed


cdef class Allowance:
    cdef CBucket commands
    cdef CBucket bytes
    cdef double looked_at           # seconds
    cdef readonly bint refuses      # else whoever has used it up waits
    cdef bint is_awaited            # its engine looks after those that do
    cdef readonly object waiting    # clients that do, the first to go on first
    cdef readonly object rule       # where it comes from, for who set it

    cdef void fill(self, double now) noexcept
    cdef Spent spend(self, double now, Py_ssize_t size) noexcept
    cdef bint is_open(self, double now) noexcept
