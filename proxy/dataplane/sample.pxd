# cython: language_level=3
"""C face of sample.pyx."""

from proxy.dataplane.client cimport Client
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.request cimport Block, Request


# In the order of EVENTS; the refusals before them have the numbers of Refusal.
cdef enum Kind:
    EVENT_SENT = 8
    EVENT_ANSWERED
    EVENT_UNCOVERED
    EVENT_LOST
    EVENT_RESENT
    EVENT_EXPIRED
    EVENT_LEFT


cdef class Event:
    cdef readonly double after_s
    cdef readonly str kind
    cdef readonly int node
    cdef readonly int slot


cdef class Part:
    cdef readonly int slot
    cdef readonly int node
    cdef readonly object sent_s
    cdef readonly object answered_s


cdef class Sample:
    cdef readonly bint is_sampled
    cdef readonly bint is_answered
    cdef readonly Client client
    cdef readonly bytes command
    cdef readonly str family
    cdef readonly bint is_write
    cdef readonly str road
    cdef readonly Py_ssize_t argument_count
    cdef readonly tuple arguments
    cdef readonly tuple keys
    cdef readonly Py_ssize_t frame_bytes
    cdef readonly Py_ssize_t reply_bytes
    cdef readonly bytes error
    cdef readonly double began_s
    cdef readonly double duration_s
    cdef readonly tuple parts
    cdef readonly Py_ssize_t part_count
    cdef readonly tuple events


cdef Event event_of(double after_s, int kind, int node, int slot)
cdef Sample sample_of(Request request, Client client, double now)
cdef bytes name_of(Request request)
cdef bytes first_key(Request request)
