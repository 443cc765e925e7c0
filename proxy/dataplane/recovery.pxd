# cython: language_level=3
"""C face of recovery.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport Client
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.ledger cimport Ledger
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport KeyList


cdef class Recovery(Ledger):
    cdef list sleepers                   # clients whose held pieces wait for a time
    cdef KeyList keys                    # of the request that is being looked at
    cdef public int loss_limit           # connections a read may be lost with before it fails
    cdef readonly uint64_t refusals
    cdef readonly uint64_t resends
    cdef readonly uint64_t expired
    cdef readonly uint64_t outcome_unknown

    cdef int refused(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef int _bring_script(self, Request request, bytes line) except -1
    cdef int _hold(self, Request request, double delay_s) except -1
    cdef int _hold_uncovered(self, Request request) except -1
    cdef int send_held(self, Client client) except -1
    cdef int _owner_of(self, Client client, Request request) except -1
    cdef set _overtaken(self, Client client, list held)
    cdef list _keys_of(self, Request piece)
    cdef int _refuse_for_good(self, Request request) except -1
    cdef int lost(self, Pipeline pipeline, bint on_purpose=*) except -1
    cdef int take_back(self, Pipeline pipeline) except -1
    cdef int expire(self, Client client) except -1
    cdef int _give_up(self, Request request) except -1


cdef int patience_of(Request request) noexcept
cdef bint is_refusal(const char* data, Py_ssize_t length) noexcept
cdef bint reads_anywhere(Request request) noexcept
cdef bint lacks_script(Request request, const char* data, Py_ssize_t length) noexcept
cdef bint has_its_keys(const char* frame, RequestScanner scanner) noexcept
