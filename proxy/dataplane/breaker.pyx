# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What becomes of requests for a node that nobody hopes for any more: another node, or an error.

Strategy: the control plane decides which nodes these are (``control/breaker.py``). Their
pipelines take nothing that a client asks; what the proxy itself asks still goes there. What
was written whole stays where it is: it may have run, its own deadline tells, and a node
that wakes up finds everything in order on the same connection. Reads alone need not stay:
where replicas answer for a primary that is down, they also answer what it was asked before.

Cost: none while no node is given up; a pipeline has one word for "connected and not given
up", so the hot road looks no further than it did. A look at what waits for a node when
others begin to answer its reads.
"""

from proxy.dataplane.client cimport Client
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.readers cimport ReadTable
from proxy.dataplane.recovery cimport reads_anywhere
from proxy.dataplane.request cimport ANSWERED, WAITING, Request
from proxy.dataplane.tables cimport NO_NODE


cdef class Breaker(Recovery):
    """The part of an engine that spares requests a hopeless wait."""

    def give_up_node(self, int node):
        """Answer what waits for a node, and what comes for it, at once with an error."""
        cdef Lane lane
        cdef Pipeline pipeline
        self.hopeless.add(node)
        for lane in self.meter.all_lanes:
            for pipeline in lane.pipelines_to(node):
                pipeline.takes = False
                self._spare_unsent(pipeline)
        self.wake()

    def hope_for_node(self, int node):
        """Send requests to a node again."""
        cdef Lane lane
        cdef Pipeline pipeline
        self.hopeless.discard(node)
        for lane in self.meter.all_lanes:
            for pipeline in lane.pipelines_to(node):
                pipeline.takes = pipeline.fd >= 0

    def unheard_s(self, int node):
        """Return how long ago the last byte of a node came over a lane; infinite: none has."""
        cdef double heard_at = self.meter.node(node).heard_at
        self.look_at_clock()
        return self.now - heard_at if heard_at else float("inf")

    def install_readers(self, Lane lane, ReadTable readers):
        """Replace who answers a lane's reads.

        What waits for a connection is routed anew; so are reads that wait for the reply of
        a primary which, from now on, is not to be asked.
        """
        cdef Pipeline pipeline
        lane.readers = readers
        for pipeline in lane:
            if pipeline.fd < 0 and pipeline.unsent_head is not None:
                pipeline.is_wanted = False
                self.take_back(pipeline)
            elif readers is not None and readers.spares(pipeline.node):
                self._take_reads_back(pipeline)
        self.wake()

    cdef int _take_reads_back(self, Pipeline pipeline) except -1:
        """Hold the reads of a connected pipeline that others may answer.

        Behind one that was written whole its place stays, for a reply that is dropped.
        """
        cdef Request before = None
        cdef Request request = pipeline.sent_head
        cdef dict last_writes = {}
        while request is not None:
            if self._is_for_others(request, pipeline, last_writes):
                before = pipeline.vacate(before, request)
                self._hold(request, 0)
            else:
                before = request
            request = before.next_in_pipeline
        before = pipeline.unsent_head if pipeline.written else None
        while True:
            request = pipeline.unsent_head if before is None else before.next_in_pipeline
            if request is None:
                return self.free_node(pipeline)
            if self._is_for_others(request, pipeline, last_writes):
                pipeline.drop_after(before)
                self._hold(request, 0)
            else:
                before = request

    cdef bint _is_for_others(self, Request request, Pipeline pipeline, dict last_writes) except -1:
        """Whether a piece is a read that another node is to answer, and may: see law 3.

        Args:
            last_writes: Of each client looked at so far, its last write in each slot.
        """
        cdef Client client
        cdef int node
        if request.state != WAITING or request.client is None or request.asking or \
                request.slot < 0 or not reads_anywhere(request):
            return False
        client = <Client>request.client
        node = self._owner_of(client, request)
        if node == pipeline.node or node == NO_NODE:
            return False
        writes = last_writes.get(client.id)
        if writes is None:
            writes = last_writes[client.id] = _last_writes(client)
        # A later write would overtake it, were its node to wake up meanwhile.
        return writes.get(request.slot, 0) <= request.sequence

    cdef int _spare_unsent(self, Pipeline pipeline) except -1:
        """Answer what a pipeline has not begun to write; none of it has run."""
        cdef Request before = pipeline.unsent_head if pipeline.written else None
        cdef Request request
        while True:
            request = pipeline.unsent_head if before is None else before.next_in_pipeline
            if request is None:
                break
            if request.client is None and request.state != ANSWERED:
                before = request
                continue
            pipeline.drop_after(before)
            if request.state != ANSWERED:
                self.spare(request, pipeline.node)
        if pipeline.unsent_head is None:
            pipeline.is_wanted = False  # whoever dials it stops when nothing waits
        return self.free_node(pipeline)


cdef dict _last_writes(Client client):
    """Return by slot the sequence of the client's last write that is under way there."""
    cdef Request request = client.head
    cdef Request piece
    found = {}
    while request is not None:
        for piece in ((<Gather>request).parts if isinstance(request, Gather) else (request,)):
            if piece.is_write:
                found[piece.slot] = piece.sequence
        request = request.next_in_client
    return found
