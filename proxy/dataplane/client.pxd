# cython: language_level=3
"""C face of client.pyx."""

from libc.stdint cimport uint64_t

from proxy.dataplane.allowance cimport Allowance
from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.cipher cimport Cipher
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.lane cimport Lane
from proxy.dataplane.request cimport Request
from proxy.dataplane.tables cimport Command


cdef enum Stall:
    STALL_DRAIN = 1      # until its requests in flight are answered
    STALL_PUNT = 2       # until the control plane has answered
    STALL_HELD = 4       # until requests that are sent again are answered
    STALL_OUTPUT = 8     # until it reads what it was sent
    STALL_IN_FLIGHT = 16 # until it has fewer requests in flight
    STALL_NODE = 32      # until a node's full queue has room
    STALL_PAUSE = 64     # until CLIENT PAUSE is over
    STALL_RATE = 128     # until its allowance has grown
    STALL_HANDOVER = 256 # until another process has it


cdef enum Place:
    GONE = -1
    OWN = -2


cdef enum ReplyMode:
    REPLY_ON = 0
    REPLY_OFF = 1
    REPLY_SKIP = 2


cdef class Client:
    cdef readonly uint64_t id
    cdef int fd                        # GONE once closed; OWN: a request of the proxy's own
    cdef readonly Cipher cipher        # None: it speaks without TLS
    cdef object engine                 # closes it
    cdef readonly Lane lane
    cdef object on_done                # OWN only: takes the reply
    cdef Request head, tail            # in request order, from the oldest without its turn
    cdef readonly Py_ssize_t in_flight # pieces sent or to be sent, not answered yet
    cdef list held                     # pieces to be sent again; None most of the time
    cdef uint64_t generation           # of the slot map its pieces in flight were routed by
    cdef uint64_t next_sequence
    cdef int stall                     # Stall bits; 0: its next request may be routed
    cdef Buffer input                  # what was read and not consumed
    cdef Buffer output                 # what is to be written
    cdef RequestScanner scanner        # only while a frame is cut by the end of ``input``
    cdef Request punted                # the request that the control plane is answering
    cdef Py_ssize_t kept_bytes         # of replies that wait for earlier ones
    cdef Py_ssize_t output_allowance   # stop reading when this much output waits
    cdef uint64_t output_moved         # bytes_out when the output was last found waiting
    cdef bint is_dirty                 # in the router's list of clients to write
    cdef bint is_resuming              # in the router's list of clients to consume
    cdef bint is_settled               # in the router's list of clients to send again
    cdef bint reads                    # EPOLLIN is armed
    cdef bint wants_write              # EPOLLOUT is armed
    cdef bint saw_end                  # the client sends nothing more
    cdef bint is_closing               # takes no more requests; closed when all is written
    cdef public bint is_off_road       # every request goes to the control plane
    cdef bint gated                    # it must log in first
    cdef readonly Allowance allowance  # what it may send; None: anything
    cdef Py_ssize_t charged_bytes      # of bytes_out, those that its allowance has paid for
    cdef bint is_admitted              # its next request has been paid for, and had to wait
    cdef bint is_careful               # gated, or it has an allowance
    cdef double over_since             # output over the soft limit since then; 0: it is not
    cdef double gated_at               # since when
    cdef readonly bint is_extra        # over max_clients: it stays if it is an administrator
    cdef readonly bint is_unix         # it came by a Unix socket
    cdef readonly str told_address     # as whoever passes it on says; None: as its socket does
    cdef readonly str told_local_address
    cdef readonly bint leaves_at_end            # closed as soon as it sends nothing more, whatever it waits for
    cdef public bint insists           # it reads at the primary, whatever its lane allows
    cdef public bint may_idle          # idle_timeout_s is not for it
    cdef public int reply_mode
    cdef public object state           # what the sessions room keeps of it
    cdef Command last_row
    cdef readonly double created_s     # monotonic
    cdef readonly double last_active_s
    cdef readonly uint64_t commands
    cdef readonly uint64_t bytes_in
    cdef readonly uint64_t bytes_out

    cdef void enqueue(self, Request request) noexcept
    cdef void insert(self, Request request, Request before) noexcept
    cdef void obey_reply_mode(self, Request request) noexcept
    cdef int complete(self, Request request, const char* data, Py_ssize_t length) except -1
    cdef void orphan(self) noexcept
