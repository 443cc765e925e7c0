# cython: language_level=3
"""C face of witness.pyx."""

from libc.stdint cimport int64_t, uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.histogram cimport add_time
from proxy.dataplane.meter cimport CFamily, Meter
from proxy.dataplane.request cimport Request
from proxy.dataplane.sample cimport Sample


cdef class Witness:
    cdef double now                      # monotonic seconds, set once per tick
    cdef readonly Meter meter
    cdef CFamily* by_family              # the meter's
    cdef public object on_sample
    cdef public object on_slow
    cdef public object on_big
    cdef int64_t every
    cdef int64_t until_sample            # requests until the next that is chosen
    cdef uint64_t dice
    cdef double slow_from_s              # infinite: nothing is slow
    cdef Py_ssize_t big_from             # the largest number: nothing is big
    cdef dict watched                    # requests that were chosen, and what happens to them

    cdef void look_at_clock(self) noexcept
    cdef int choose(self, Request request, bint is_secret) except -1
    cdef int note(self, Request request, int kind, int node) except -1
    cdef int note_reply(self, Request request, int kind) except -1
    cdef int look_closer(self, Request request, Client client, const char* data,
                         Py_ssize_t length) except -1
    cdef int let_go(self, Client client) except -1
    cdef int64_t _throw(self) noexcept
    cdef int _hand_out(self, Request request, Sample sample) except -1
    cdef int _call(self, object observer, tuple args) except -1


cdef inline int settle(Witness engine, Request request, Client client, const char* data,
                       Py_ssize_t length) except -1:
    """Count a request of a client that is answered; look closer at the few that ask for it."""
    cdef double latency = engine.now - request.began
    add_time(&engine.by_family[request.family].latency, latency)
    engine.by_family[request.family].writes += request.is_write
    if data[0] == b"-" or data[0] == b"!" or request.is_sampled or \
            latency >= engine.slow_from_s or length + request.frame_length >= engine.big_from:
        return engine.look_closer(request, client, data, length)
    return 0
