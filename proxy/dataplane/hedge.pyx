# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Hedged reads: one that is late is asked of another node too, and the first reply counts.

Strategy: the second question is a request of the proxy's own. Its reply answers the first
one, whose own reply is then dropped when it comes, like that of an expired request. An
error answers nobody: then the first question is waited for as ever. No reply of another
node is used if its client has sent a write since (law 3): the other node may have seen it.

At most ``hedge_share`` of all requests are asked twice, so hedging never doubles the load of
a cluster that is slow as a whole.

Cost: none while it is off. Else a look at the oldest request of each pipeline, every half
``hedge_after_s``.
"""

from functools import partial

from proxy.dataplane.client cimport Client
from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.readers cimport CReaders, ReadTable
from proxy.dataplane.recovery cimport reads_anywhere
from proxy.dataplane.request cimport WAITING, Request

cdef enum:
    LOOKED_AT = 256         # of one pipeline at a time
    TOKENS_KEPT = 16        # a burst of late reads after a long good time


cdef class Hedger(Router):
    """The part of an engine that asks another node when a read is late."""

    def __cinit__(self, *args, **kwargs):
        self.hedge_tokens = 1

    def hedge_reads(self, double after_s, double share, ReadTable hedgers):
        """Ask another node too when a read has no reply after so long.

        Args:
            after_s: 0: never.
            share: Of all requests, at most so many.
            hedgers: By a slot's primary, all nodes that may answer its reads.
        """
        self.hedge_after_s = after_s
        self.hedge_share = share
        self.hedgers = hedgers

    cdef int hedge_late(self) except -1:
        """Look for late reads in all pipelines."""
        cdef Lane lane
        cdef Pipeline pipeline
        cdef Request request
        cdef int looked
        cdef double before = self.now - self.hedge_after_s
        self.next_hedges = self.now + self.hedge_after_s / 2
        self.hedge_tokens = min(
            self.hedge_tokens + self.hedge_share * <double>(self.requests - self.hedge_counted),
            TOKENS_KEPT)
        self.hedge_counted = self.requests
        for lane in self.meter.all_lanes:
            for pipeline in lane:
                request = pipeline.sent_head
                looked = 0
                while request is not None and request.sent_at <= before and looked < LOOKED_AT:
                    if self.hedge_tokens < 1:
                        return 0
                    if not request.is_hedged and request.state == WAITING and \
                            request.client is not None and request.slot >= 0 and \
                            reads_anywhere(request):
                        self._hedge(pipeline, request)
                    request = request.next_in_pipeline
                    looked += 1
        return 0

    cdef int _hedge(self, Pipeline late, Request request) except -1:
        """Ask another node the same; it need not have one."""
        cdef Client client = <Client>request.client
        cdef int owner = self.slots.owner[request.slot]
        cdef int i, node
        cdef CReaders* readers
        cdef Pipeline other
        cdef Request twin
        if owner >= self.hedgers.size or client.insists or request.slot in self.hedgers.moving:
            return 0
        readers = &self.hedgers.by_owner[owner]
        for i in range(readers.count):
            node = readers.nodes[(client.id + <unsigned int>i) % <unsigned int>readers.count]
            if node == late.node or node in self.hopeless:
                continue
            request.is_hedged = True
            self.hedge_tokens -= 1
            self.hedges += 1
            twin = Request.__new__(Request)
            twin.set_frame(request.frame, request.frame_length)
            twin.slot = request.slot
            twin.node = node
            twin.deadline = request.deadline
            twin.on_done = partial(self.take_hedge, request)
            other = client.lane.pipeline(node, client.id)
            return self._append(other, twin)
        return 0

    def take_hedge(self, Request request, answer):
        """Answer a late read with what another node has said, if it may count."""
        cdef Request whole, later
        cdef bytes reply
        if not isinstance(answer, bytes) or request.state != WAITING or request.client is None \
                or answer[:1] == b"-" or answer[:1] == b"!":
            return
        whole = request if request.parent is None else request.parent
        later = whole.next_in_client
        while later is not None:
            if later.is_write:
                return
            later = later.next_in_client
        self.hedges_won += 1
        reply = answer
        self.answer(request, reply, len(reply))
