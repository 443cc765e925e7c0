# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What the data plane counts: one place to read it, as plain Python values.

Strategy: everything is counted where it happens, in C, and nothing else is done there;
whoever wants to know (a scrape, PROXY STATS, the page) gets snapshots made of it. Labels
are from closed sets, so the counts are arrays: neither keys nor clients make them grow.
Counts of what the engine does anyway stay with the part that does it.

Cost: of a forwarded request three times are counted (family, node, backend share), see
``histogram.pxd``, and a few additions a read or write. A tick asks the clock once more.
"""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memset

from proxy.commands import families as command_families
from proxy.dataplane.client cimport Client
from proxy.dataplane.histogram cimport BUCKETS, snapshot
from proxy.dataplane.histogram import LATENCY_BOUNDS_S, Histogram
from proxy.dataplane.hooks import Punt
from proxy.dataplane.lane cimport Lane, Pipeline

FAMILIES = command_families.FAMILIES
ERROR_CODES = (
    "ERR", "WRONGTYPE", "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT", "CLUSTERDOWN", "LOADING",
    "READONLY", "MASTERDOWN", "NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM", "NOPROTO", "EXECABORT",
    "OOM", "BUSY", "BUSYKEY", "BUSYGROUP", "NOGROUP", "MISCONF", "NOREPLICAS", "UNBLOCKED",
    "UNKILLABLE", "NOTBUSY", "INPROG", "DENIED", "IOERR", "other")
REFUSALS = (
    "moved", "ask", "tryagain", "clusterdown", "loading", "readonly", "masterdown", "noscript")
PUNTS = tuple([reason.name.lower() for reason in Punt])
# The first ones in the order of the enum in meter.pxd.
LIMITS = (
    "request_limit_bytes", "argument_limit", "argument_limit_bytes", "inline_limit_bytes",
    "reply_limit_bytes", "client_output_soft_bytes", "client_output_limit_bytes",
    "client_in_flight_limit", "node_queue_soft_bytes", "max_clients", "idle_timeout_s",
    "request_timeout_s", "client_output_soft_s", "node_in_flight_limit", "fan_out_limit",
    "memory_limit_bytes", "rate_commands_per_s", "rate_bytes_per_s", "guard", "lane_limit",
    "private_connection_limit", "transaction_limit_bytes", "cross_slot_limit_bytes",
    "client_subscription_limit", "pubsub_output_limit_bytes", "pubsub_output_soft_bytes",
    "descriptors", "login_timeout_s", "protected_mode",
    "connections_per_s", "connections_per_s_per_address", "proxy_protocol",
    "proxy_protocol_timeout_s")
WIDTH_BOUNDS = tuple([float(2 ** (step + 1)) for step in range(WIDTH_BUCKETS - 1)])

cdef list CODES = [code.encode() for code in ERROR_CODES if code != "other"]
cdef int BLOCKING = FAMILIES.index("blocking")

cdef extern from *:
    int __builtin_clzll(unsigned long long number) noexcept nogil


cdef int refusal_of(const char* data) noexcept:
    """Return which refusal a reply is, of which is known that it is one."""
    if data[1] == b"M":
        return MASTERDOWN if data[2] == b"A" else MOVED
    if data[1] == b"A":
        return ASK
    if data[1] == b"T":
        return TRYAGAIN
    if data[1] == b"C":
        return CLUSTERDOWN
    if data[1] == b"L":
        return LOADING
    if data[1] == b"R":
        return READONLY
    return NOSCRIPT


cdef Py_ssize_t code_length(const char* data, Py_ssize_t length, Py_ssize_t* start) noexcept:
    """Find the first word of an error reply; of a bulk error it is on the second line."""
    cdef Py_ssize_t at = 1
    if data[0] == b"!":
        while at < length and data[at] != b"\n":
            at += 1
        at += 1
    start[0] = at
    while at < length and data[at] != b" " and data[at] != b"\r":
        at += 1
    return max(at - start[0], 0)


cdef class FamilyCounts:
    """What was answered to clients of one command family; an immutable snapshot."""

    cdef readonly object requests
    cdef readonly object reads
    cdef readonly uint64_t writes
    cdef readonly uint64_t errors
    cdef readonly object latency


cdef class NodeCounts:
    """What went to one node and came from it; an immutable snapshot.

    ``latency`` and ``backend`` have the pieces of clients (and of ``Engine.ask``) only; what the
    control plane sends to a node by itself, heartbeats and calls that block, is in ``requests``.
    """

    cdef readonly uint64_t requests
    cdef readonly uint64_t errors
    cdef readonly uint64_t refusals
    cdef readonly uint64_t bytes_in
    cdef readonly uint64_t bytes_out
    cdef readonly uint64_t lost
    cdef readonly object latency
    cdef readonly object backend
    cdef readonly Py_ssize_t connections
    cdef readonly Py_ssize_t sent
    cdef readonly Py_ssize_t unsent
    cdef readonly Py_ssize_t unsent_bytes


cdef class Meter:
    """Everything that an engine counts; ``Engine.meter``.

    All times are taken once a tick, when its sockets were found ready: no clock is asked for
    a request. So a latency leaves out what its own tick took before the request was
    routed, and what was left of the tick after its reply was: both at most one tick, whose
    length ``tick_s`` has. What the proxy answers at once, inside the tick, counts as 0.
    A request that waits at the client's side, because the client is stopped or its bytes are
    not read yet, is not routed and not counted.
    """

    def __cinit__(self):
        self.clients = {}
        self.all_lanes = []

    def __dealloc__(self):
        cdef int i
        for i in range(self.node_capacity):
            free(self.by_node[i])
        free(self.by_node)

    # ---- counting -------------------------------------------------------------

    cdef CNode* node(self, int number) except NULL:
        """Return a node's counts; the place stays its own."""
        cdef CNode** grown
        cdef int capacity
        if number >= self.node_capacity:
            capacity = max(16, 2 * number)
            grown = <CNode**>realloc(self.by_node, capacity * sizeof(CNode*))
            if grown == NULL:
                raise MemoryError
            memset(grown + self.node_capacity, 0,
                   (capacity - self.node_capacity) * sizeof(CNode*))
            self.by_node = grown
            self.node_capacity = capacity
        if self.by_node[number] == NULL:
            self.by_node[number] = <CNode*>calloc(1, sizeof(CNode))
            if self.by_node[number] == NULL:
                raise MemoryError
        return self.by_node[number]

    cdef void add_width(self, Py_ssize_t parts) noexcept:
        """Count the parts of a split request; at least two."""
        self.by_width[63 - __builtin_clzll(parts - 1)] += 1
        self.parts += parts

    cdef int add_error(self, const char* data, Py_ssize_t length, uint8_t family) except -1:
        """Count an error reply that a client gets."""
        cdef Py_ssize_t start, size, i = 0
        cdef bytes code
        size = code_length(data, length, &start)
        self.by_family[family].errors += 1
        for code in CODES:
            if len(code) == size and memcmp(<const char*>code, data + start, size) == 0:
                break
            i += 1
        self.by_code[i] += 1
        return 0

    def note_limit(self, str name):
        """Count a limit that was hit outside the data plane.

        Raises:
            ValueError: ``name`` is none of ``LIMITS``.
        """
        self.by_limit[<Py_ssize_t>LIMITS.index(name)] += 1

    def forget_node(self, int node):
        """Begin anew with a node's number: it has been given back."""
        if 0 <= node < self.node_capacity and self.by_node[node] != NULL:
            memset(self.by_node[node], 0, sizeof(CNode))

    # ---- reading --------------------------------------------------------------

    @property
    def families(self):
        """By command family; every one of ``FAMILIES``, used or not."""
        cdef FamilyCounts counts
        cdef CFamily* family
        cdef int i
        found = {}
        for i, name in enumerate(FAMILIES):
            family = &self.by_family[i]
            counts = FamilyCounts()
            counts.latency = snapshot(&family.latency)
            counts.requests = counts.latency.count
            counts.reads = counts.requests - family.writes
            counts.writes = family.writes
            counts.errors = family.errors
            found[name] = counts
        return found

    @property
    def latency(self):
        """Of all families together but ``"blocking"``."""
        cdef CHistogram whole
        cdef int i, j
        memset(&whole, 0, sizeof(whole))
        for i in range(len(FAMILIES)):
            if i == BLOCKING:
                continue
            for j in range(BUCKETS):
                whole.counts[j] += self.by_family[i].latency.counts[j]
            whole.total += self.by_family[i].latency.total
        return snapshot(&whole)

    @property
    def nodes(self):
        """By node, numbered as ``Pipeline.node``; those that were sent something."""
        cdef NodeCounts counts
        cdef Pipeline pipeline
        cdef Lane lane
        cdef CNode* node
        cdef int i
        found = {}
        for i in range(self.node_capacity):
            node = self.by_node[i]
            if node == NULL or node.bytes_out == 0:
                continue
            counts = NodeCounts()
            counts.requests = node.requests
            counts.errors = node.errors
            counts.refusals = node.refusals
            counts.bytes_in = node.bytes_in
            counts.bytes_out = node.bytes_out
            counts.lost = node.lost
            counts.latency = snapshot(&node.latency)
            counts.backend = snapshot(&node.backend)
            found[i] = counts
        for lane in self.all_lanes:
            for pipeline in lane:
                counts = found.get(pipeline.node)
                if counts is not None:
                    counts.connections += pipeline.fd >= 0
                    counts.sent += pipeline.sent_count
                    counts.unsent += pipeline.unsent_count
                    counts.unsent_bytes += pipeline.unsent_bytes
        return found

    @property
    def errors(self):
        """Error replies handed to clients; every one of ``ERROR_CODES``."""
        return _named(ERROR_CODES, self.by_code)

    @property
    def refusals(self):
        """Pieces that a node would not run, by what it said; every one of ``REFUSALS``."""
        return _named(REFUSALS, self.by_refusal)

    @property
    def punts(self):
        """Requests that left the hot road; every one of ``PUNTS``."""
        return _named(PUNTS, self.by_punt)

    @property
    def limits(self):
        """How often each limit was hit; every one of ``LIMITS``."""
        return _named(LIMITS, self.by_limit)

    @property
    def widths(self):
        """Parts of split requests."""
        cdef int i
        return Histogram(
            WIDTH_BOUNDS, tuple([self.by_width[i] for i in range(WIDTH_BUCKETS)]), self.parts)

    @property
    def tick_s(self):
        """Seconds a tick took: how long trio's tasks and other sockets may have waited for it."""
        return snapshot(&self.ticks)

    @property
    def turn_s(self):
        """Seconds that trio's other tasks took when it was their turn while there was traffic."""
        return snapshot(&self.turns)

    @property
    def totals(self):
        """Counters without a label, since the start.

        ``requests``, ``punts``, ``splits``, ``parts``: as of ``Router``.
        ``refusals``, ``resends``, ``expired``, ``outcome_unknown``: as of ``Recovery``.
        ``lost_pieces``: pieces in flight on connections that were lost.
        ``left_pieces``: pieces in flight whose client went away.
        ``late_replies``: came after their request was given up.
        ``pushes_dropped``: as of ``NodeSide``.
        ``accepted``, ``refused_clients``: as of ``ClientSide``.
        ``protocol_errors``: clients that did not speak RESP.
        ``client_bytes_in``, ``client_bytes_out``: from and to clients.
        ``samples``: requests looked at closely.
        ``ticks``: as of ``Engine``.
        """
        engine = self.engine()
        totals = {name: getattr(engine, name) for name in (
            "requests", "punts", "splits", "parts", "refusals", "resends", "expired",
            "outcome_unknown", "pushes_dropped", "accepted", "refused_clients", "ticks")}
        totals["lost_pieces"] = self.lost_pieces
        totals["left_pieces"] = self.left_pieces
        totals["late_replies"] = self.late_replies
        totals["protocol_errors"] = self.protocol_errors
        totals["client_bytes_in"] = self.client_bytes_in
        totals["client_bytes_out"] = self.client_bytes_out
        totals["samples"] = self.samples
        return totals

    @property
    def levels(self):
        """What there is just now; looks at every client, so for a scrape, not for a loop.

        ``clients``: connected. ``in_flight``: pieces of all clients.
        ``stopped_clients``: clients whose next request may not be routed yet.
        ``client_input_bytes``: read and not routed. ``client_output_bytes``: not read by clients.
        ``client_kept_bytes``: replies that wait for earlier ones.
        ``node_unsent_bytes``: requests that wait to be written, ``node_input_bytes``: replies
        that are not whole yet; both of all lanes.
        """
        cdef Client client
        cdef Pipeline pipeline
        cdef Lane lane
        cdef Py_ssize_t stopped = 0, read = 0, output = 0, kept = 0, unsent = 0, arrived = 0
        for client in self.clients.values():
            stopped += client.stall != 0
            read += client.input.end - client.input.start
            output += client.output.end - client.output.start
            kept += client.kept_bytes
        for lane in self.all_lanes:
            for pipeline in lane:
                unsent += pipeline.unsent_bytes
                arrived += pipeline.input.end - pipeline.input.start
        return {
            "clients": len(self.clients), "in_flight": self.engine().in_flight,
            "stopped_clients": stopped, "client_input_bytes": read,
            "client_output_bytes": output, "client_kept_bytes": kept,
            "node_unsent_bytes": unsent, "node_input_bytes": arrived}

    @property
    def lanes(self):
        """The lanes in use; see ``Lane.requests`` and ``Lane.connections``."""
        return tuple(self.all_lanes)


cdef dict _named(tuple names, const uint64_t* counts):
    cdef Py_ssize_t i
    return {name: counts[i] for i, name in enumerate(names)}
