# cython: language_level=3
"""C face of gather.pyx."""

from proxy.dataplane.frames cimport Arg
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport Command, KeyList


cdef class Gather(Request):
    cdef list parts               # Request each, in the order of their first key
    cdef Py_ssize_t group_count
    cdef int* part_of             # for each group (key), the part it went to
    cdef Py_ssize_t open_parts    # parts without a reply
    cdef Py_ssize_t failed_parts
    cdef bytes first_error        # the error line of the first part that failed

    cdef void note_error(self, const char* data, Py_ssize_t length) except *
    cdef bint merge(self) except -1
    cdef bint _merge_integers(self) except -1
    cdef bint _merge_arrays(self) except -1


cdef Py_ssize_t count_slots(const int* slots, Py_ssize_t count) noexcept
cdef Gather split(Command command, const char* frame, const Arg* args, Py_ssize_t argc,
                  KeyList keys, const int* slots)
