# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Requests of the proxy's own on the hot road, and how any new piece is sent.

Strategy: a request of the proxy's own has a client too, one without a socket (*asker*),
so all that is done for clients' requests is done for it: it is held, redirected and
given up as theirs are. What goes to one node whatever that says (``submit``)
has none.
"""

from libc.stdint cimport uint64_t

from proxy.dataplane.client cimport GONE, OWN, STALL_IN_FLIGHT, Client
from proxy.dataplane.lane cimport Lane, Pipeline
from proxy.dataplane.meter cimport CLIENT_IN_FLIGHT_LIMIT
from proxy.dataplane.request cimport ANSWERED, Block, Request
from proxy.dataplane.tables cimport NO_NODE, NO_SLOT


cdef class OwnRequests(Breaker):
    """The part of an engine that asks on the proxy's own behalf."""

    def __cinit__(self, *args, **kwargs):
        self.own = set()

    @property
    def request_timeout_s(self):
        """A request is given up this long after it came, unless its kind has another time."""
        return self.patience_s[0]

    @request_timeout_s.setter
    def request_timeout_s(self, double seconds):
        self.set_patience((seconds,) * PATIENCE_COUNT)

    def set_patience(self, times_s):
        """Set how long requests of each of ``PATIENCES`` may take, in seconds."""
        cdef int i
        for i in range(PATIENCE_COUNT):
            self.patience_s[i] = times_s[i]

    cdef Pipeline pipeline_of(self, Client client, int node):
        """Return the client's pipeline to a node; None for NO_NODE."""
        return None if node == NO_NODE else client.lane.pipeline(node, client.id)

    cdef int send_piece(self, Client client, Request request, Pipeline pipeline) except -1:
        """Send a new piece; it is held when its slot has no node, and so no pipeline."""
        request.sequence = client.next_sequence
        client.next_sequence += 1
        client.in_flight += 1
        self.in_flight += 1
        if client.in_flight >= self.in_flight_limit:
            self.meter.by_limit[CLIENT_IN_FLIGHT_LIMIT] += not client.stall & STALL_IN_FLIGHT
            client.stall |= STALL_IN_FLIGHT
        if pipeline is None:
            return self._hold_uncovered(request)
        request.node = pipeline.node
        return self._append(pipeline, request)

    def ask(self, Lane lane, bytes frame, on_done, int slot=NO_SLOT, bint is_write=True,
            int replies=1, timeout_s=None, uint64_t number=0):
        """Send a request of the proxy's own as if a client had: routed, redirected, patient.

        Args:
            on_done: Called once, inside a tick, with the reply frame; of a block with all
                reply frames in a row, or with one error frame if it did not run or its
                outcome is unknown.
            slot: NO_SLOT (-1) for any primary.
            replies: As of ``forward_punt``.
            timeout_s: Other than ``request_timeout_s``.
            number: Picks connection and primary where there are several, as a client's id does.

        Returns:
            A token for ``forget``.
        """
        cdef Client asker
        cdef Block request = Block.__new__(Block)
        self.look_at_clock()
        asker = Client(number, OWN, lane, self.now, self)
        request.began = self.now
        request.slot = slot
        request.is_write = is_write
        request.set_frame(frame, len(frame))
        request.leading = replies - 1
        if replies > 1:
            request.replies = bytearray()
        request.deadline = self.now + (self.patience_s[0] if timeout_s is None else timeout_s)
        asker.on_done = on_done
        asker.generation = self.slots.generation
        self.own.add(asker)
        asker.enqueue(request)
        self.send_piece(asker, request, self.pipeline_of(asker, self._owner_of(asker, request)))
        self.wake()
        return asker

    def submit(self, Pipeline pipeline, bytes frame, on_done, int replies=1):
        """Send a request of the proxy's own to one node, whatever that says to it.

        Args:
            frame: One command or several in a row; nothing comes between them.
            on_done: Called once, inside a tick, with all reply frames in a row, or
                with ``BackendUnavailable``.
            replies: How many commands ``frame`` holds.

        Returns:
            A token for ``abandon``.
        """
        cdef Block request = Block.__new__(Block)
        request.leading = replies - 1
        if replies > 1:
            request.replies = bytearray()
        request.set_frame(frame, len(frame))
        request.on_done = on_done
        request.node = pipeline.node
        self._append(pipeline, request)
        self.wake()
        return request

    def abandon(self, Request request):
        """Forget a request of the proxy's own; its reply will be dropped."""
        request.state = ANSWERED
        request.on_done = None

    def forget(self, Client asker):
        """Take no interest any more in a request of ``ask``; it may run nevertheless."""
        if asker.fd == OWN:
            asker.fd = GONE
            self.own.discard(asker)
            self.in_flight -= asker.in_flight
            asker.orphan()

    cdef int deliver(self, Client asker) except -1:
        """Hand out the reply to a request of ``ask``."""
        cdef bytes reply = asker.output.data[asker.output.start:asker.output.end]
        asker.fd = GONE
        self.own.discard(asker)
        self.wants_yield = True
        self._call(asker.on_done, (reply,))
        return 0
