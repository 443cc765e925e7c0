# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What becomes of requests for a node that nobody hopes for any more: another node, or an error.

Strategy: the control plane decides which nodes these are (``control/breaker.py``). Their
pipelines take nothing that a client asks; what the proxy itself asks still goes there. What
was written whole stays where it is: it may have run, its own deadline tells, and a node
that wakes up finds everything in order on the same connection.

Cost: none while no node is given up; a pipeline has one word for "connected and not given
up", so the hot road looks no further than it did.
"""

from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.readers cimport ReadTable
from proxy.dataplane.request cimport ANSWERED, Request


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
        """Replace who answers a lane's reads; what waits for a connection is routed anew."""
        cdef Pipeline pipeline
        lane.readers = readers
        for pipeline in lane:
            if pipeline.fd < 0 and pipeline.unsent_head is not None:
                pipeline.is_wanted = False
                self.take_back(pipeline)
        self.wake()

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
