# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A lane's pipelines: per node, what is to be sent and what waits for its reply.

Strategy: two queues. What has been written whole waits in ``sent`` for its
reply, in the order a server answers in; everything before that waits in
``unsent`` and provably did not run. No bytes are copied here: they are gathered
from the requests when the socket is written.

The pipeline knows nothing of sockets but the number of its own; the engine
reads and writes, the control plane dials and attaches.
"""

cimport cython

from proxy.dataplane.request cimport ANSWERED, Request


cdef void unlink(Request request) noexcept:
    """Take a queue apart from its front; link by link it would need a stack as deep as it is long."""
    cdef Request following
    while request is not None:
        following = request.next_in_pipeline
        request.next_in_pipeline = None
        request = following


@cython.no_gc_clear
cdef class Pipeline:
    def __cinit__(self, Lane lane, int node):
        self.lane = lane
        self.node = node
        self.fd = -1
        self.input = Buffer()
        self.scanner = ReplyScanner()
        self.waiting_clients = []

    def __dealloc__(self):
        unlink(self.sent_head)
        unlink(self.unsent_head)

    cdef void push(self, Request request) noexcept:
        """Append to what is to be sent."""
        if self.unsent_tail is None:
            self.unsent_head = request
        else:
            self.unsent_tail.next_in_pipeline = request
        self.unsent_tail = request
        self.unsent_count += 1
        self.unsent_bytes += request.frame_length

    cdef Request pop_unsent(self):
        """Take the next request to be sent; None if there is none."""
        cdef Request request = self.unsent_head
        if request is None:
            return None
        self.unsent_head = request.next_in_pipeline
        request.next_in_pipeline = None
        if self.unsent_head is None:
            self.unsent_tail = None
        self.unsent_count -= 1
        self.unsent_bytes -= request.frame_length
        return request

    cdef void drop_after(self, Request before) noexcept:
        """Take out the unsent request behind ``before``: it was given up, and never runs."""
        cdef Request request
        if before is None:
            self.pop_unsent()
            return
        request = before.next_in_pipeline
        before.next_in_pipeline = request.next_in_pipeline
        request.next_in_pipeline = None
        if before.next_in_pipeline is None:
            self.unsent_tail = before
        self.unsent_count -= 1
        self.unsent_bytes -= request.frame_length

    cdef void drop_given_up(self, double now) noexcept:
        """Take out, from the front, what was given up and not begun: its bytes need no room.

        Nobody gives up what a client that is gone has left; its deadline counts nevertheless.
        """
        cdef Request before = self.unsent_head if self.written else None
        cdef Request request
        while True:
            request = self.unsent_head if before is None else before.next_in_pipeline
            if request is None or (request.state != ANSWERED and request.deadline > now):
                return
            self.drop_after(before)

    cdef void mark_sent(self, double now) noexcept:
        """Move the next unsent request, now written whole, to those waiting for a reply."""
        cdef Request request = self.pop_unsent()
        request.was_sent = True
        request.sent_at = now
        if self.sent_tail is None:
            self.sent_head = request
        else:
            self.sent_tail.next_in_pipeline = request
        self.sent_tail = request
        self.sent_count += 1
        self.requests += 1

    cdef Request pop_sent(self):
        """Take the request that the next reply belongs to; None if none waits."""
        cdef Request request = self.sent_head
        if request is None:
            return None
        self.sent_head = request.next_in_pipeline
        request.next_in_pipeline = None
        if self.sent_head is None:
            self.sent_tail = None
        self.sent_count -= 1
        return request

    cdef Request vacate(self, Request before, Request request):
        """Take out a sent request behind ``before``; return what stays for its reply to come."""
        cdef Request place = Request.__new__(Request)
        place.state = ANSWERED
        place.sent_at = request.sent_at
        place.next_in_pipeline = request.next_in_pipeline
        request.next_in_pipeline = None
        if before is None:
            self.sent_head = place
        else:
            before.next_in_pipeline = place
        if self.sent_tail is request:
            self.sent_tail = place
        return place

    @property
    def is_connected(self):
        """Whether it has a connection just now."""
        return self.fd >= 0

    def __repr__(self):
        return f"<Pipeline node={self.node} resp={self.lane.resp} fd={self.fd}>"


cdef class Lane:
    """How one kind of client reaches the cluster: the same protocol, user and database.

    Args:
        resp: Protocol version, 2 or 3.
        width: Connections to each node. A client always uses the same one of
            them, so its own requests to a node stay in order.
        key: What else its connections are; only the control plane looks at it.
    """

    def __cinit__(self, int resp, int width=1, object key=None):
        self.resp = resp
        self.key = key
        self.width = width
        self.pipelines = []

    cdef Pipeline pipeline(self, int node, uint64_t client_id):
        cdef Py_ssize_t at = <Py_ssize_t>node * self.width + \
            (<Py_ssize_t>(client_id % <uint64_t>self.width) if self.width > 1 else 0)
        cdef Pipeline found
        while len(self.pipelines) <= at:
            self.pipelines.append(None)
        found = <Pipeline>self.pipelines[at]
        if found is None:
            found = Pipeline(self, node)
            self.pipelines[at] = found
            if self.on_pipeline is not None:
                self.on_pipeline(found)
        return found

    @property
    def connections(self):
        """Connections to nodes just now."""
        cdef Pipeline pipeline
        return sum([pipeline.fd >= 0 for pipeline in self])

    @property
    def read_table(self):
        """Who answers its clients' reads; None: the primaries."""
        return self.readers

    @property
    def in_flight(self):
        """Pieces that wait to be written or for their reply just now."""
        cdef Pipeline pipeline
        return sum([pipeline.sent_count + pipeline.unsent_count for pipeline in self])

    def pipeline_to(self, int node):
        """Return the (first) pipeline to a node; it is made if there is none yet."""
        return self.pipeline(node, 0)

    def pipelines_to(self, int node):
        """Return the pipelines that lead to one node."""
        return [p for p in self.pipelines[node * self.width:(node + 1) * self.width]
                if p is not None]

    def forget(self, int node):
        """Drop the pipelines of a node that is gone; their queues must be empty."""
        for at in range(node * self.width, min((node + 1) * self.width, len(self.pipelines))):
            self.pipelines[at] = None

    def __iter__(self):
        return (p for p in self.pipelines if p is not None)
