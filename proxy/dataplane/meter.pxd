# cython: language_level=3
"""C face of meter.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from proxy.dataplane.histogram cimport CHistogram


cdef enum:
    WIDTH_BUCKETS = 15      # of parts; 14 bounds
    FAMILY_LIMIT = 24       # families, and one for what no client asked
    CODE_LIMIT = 32
    LIMIT_LIMIT = 64
    PUNT_LIMIT = 8


# In the order of REFUSALS.
cdef enum:
    MOVED
    ASK
    TRYAGAIN
    CLUSTERDOWN
    LOADING
    READONLY
    MASTERDOWN
    NOSCRIPT
    REFUSAL_COUNT


# In the order of LIMITS; those after them are hit in the control plane only.
cdef enum:
    REQUEST_LIMIT_BYTES
    ARGUMENT_LIMIT
    ARGUMENT_LIMIT_BYTES
    INLINE_LIMIT_BYTES
    REPLY_LIMIT_BYTES
    CLIENT_OUTPUT_SOFT_BYTES
    CLIENT_OUTPUT_LIMIT_BYTES
    CLIENT_IN_FLIGHT_LIMIT
    NODE_QUEUE_SOFT_BYTES
    MAX_CLIENTS
    IDLE_TIMEOUT_S
    REQUEST_TIMEOUT_S
    CLIENT_OUTPUT_SOFT_S
    NODE_IN_FLIGHT_LIMIT
    FAN_OUT_LIMIT
    MEMORY_LIMIT_BYTES
    RATE_COMMANDS_PER_S
    RATE_BYTES_PER_S


cdef struct CFamily:
    CHistogram latency
    uint64_t writes
    uint64_t errors


cdef struct CNode:
    CHistogram latency
    CHistogram backend
    uint64_t requests
    uint64_t errors
    uint64_t refusals
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t lost
    double heard_at     # last byte; monotonic seconds, 0: never


cdef class Meter:
    cdef CFamily by_family[FAMILY_LIMIT]
    cdef CNode** by_node                # by number; NULL until needed, never freed before the end
    cdef int node_capacity
    cdef uint64_t by_code[CODE_LIMIT]
    cdef uint64_t by_refusal[REFUSAL_COUNT]
    cdef uint64_t by_punt[PUNT_LIMIT]
    cdef uint64_t by_limit[LIMIT_LIMIT]
    cdef uint64_t by_width[WIDTH_BUCKETS]
    cdef uint64_t parts
    cdef CHistogram ticks
    cdef CHistogram turns
    cdef uint64_t lost_pieces
    cdef uint64_t left_pieces
    cdef uint64_t late_replies
    cdef uint64_t protocol_errors
    cdef uint64_t client_bytes_in
    cdef uint64_t client_bytes_out
    cdef uint64_t samples
    cdef object engine                   # a weak reference: the engine holds the meter
    cdef dict clients                    # the engine's own, as are the lanes
    cdef list all_lanes

    cdef CNode* node(self, int number) except NULL
    cdef void add_width(self, Py_ssize_t parts) noexcept
    cdef int add_error(self, const char* data, Py_ssize_t length, uint8_t family) except -1


cdef int refusal_of(const char* data) noexcept
cdef Py_ssize_t code_length(const char* data, Py_ssize_t length, Py_ssize_t* start) noexcept
