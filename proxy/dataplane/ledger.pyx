# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What is in flight and what is answered: each reply goes to whoever asked.

Strategy: a *piece* is what goes to one node, a whole request or a part of a
split one. Answering a piece is one method, whether a node answered, the proxy
did, or time ran out; it also sees whether the client was waiting for just that.
What a tick has to do in the end (write, consume, send again) is put on lists,
so that it is done once however many replies asked for it.
"""

from proxy.dataplane.client cimport STALL_DRAIN, STALL_HELD, STALL_IN_FLIGHT, STALL_NODE
from proxy.dataplane.request cimport ANSWERED, NOBODY, WAITING
from proxy.dataplane.sample cimport EVENT_ANSWERED
from proxy.dataplane.witness cimport settle
from proxy.errors import BackendUnavailable


cdef class Ledger(Witness):
    """The part of an engine that knows requests and their replies."""

    def __cinit__(self, *args, **kwargs):
        self.slots = SlotMap([None] * 16384, 0)
        self.dirty_clients = []
        self.dirty_pipelines = []
        self.resuming = []
        self.settled = []
        self.hopeless = set()

    cdef int answer(self, Request request, const char* data, Py_ssize_t length) except -1:
        """Hand a reply to whoever asked: a client, a split command, the proxy itself."""
        cdef Client client
        cdef Gather whole
        if request.client is None:
            if request.on_done is not None and request.state != ANSWERED:
                request.state = ANSWERED
                self.wants_yield = True
                self._call(request.on_done, (data[:length],))
            return 0
        client = <Client>request.client
        if request.state == ANSWERED:
            return 0
        client.in_flight -= 1
        self.in_flight -= 1
        if request.parent is not None:
            whole = <Gather>request.parent
            request.state = ANSWERED
            if request.was_sent:
                request.answered_at = self.now
                if request.is_sampled:
                    self.note_reply(request, EVENT_ANSWERED)
            request.client = None
            request.parent = None
            if data[0] == b"-" or data[0] == b"!":
                whole.note_error(data, length)
            else:
                request.keep_reply(data, length)
            whole.open_parts -= 1
            if whole.open_parts == 0:
                self._finish_gather(whole)
        else:
            client.complete(request, data, length)
            self.mark_dirty(client)
            settle(self, request, client, data, length)
        if client.stall or client.held is not None:
            self._settle(client)
        return 0

    cdef int _finish_gather(self, Gather whole) except -1:
        cdef Client client = <Client>whole.client
        cdef Py_ssize_t parts = len(whole.parts)
        cdef bytes error
        cdef Request part
        cdef bint is_merged
        is_merged = whole.failed_parts == 0 and whole.merge()
        for part in whole.parts:
            part.drop_reply()
        if is_merged:
            client.complete(whole, NULL, 0)
            settle(self, whole, client, whole.reply, whole.reply_length)
        else:
            if whole.failed_parts:
                error = self.control.parts_failed(
                    whole.command, whole.failed_parts, parts, whole.first_error)
            else:
                error = self.control.replies_differ(whole.command)
            whole.drop_reply()
            client.complete(whole, error, len(error))
            settle(self, whole, client, error, len(error))
        self.mark_dirty(client)
        return 0

    cdef int _settle(self, Client client) except -1:
        """See whether what the client was waiting for has come."""
        cdef Py_ssize_t held = 0 if client.held is None else len(client.held)
        if client.in_flight == 0:
            client.stall &= ~(STALL_DRAIN | STALL_HELD)
            client.held = None
        elif held and held == client.in_flight:
            if not client.is_settled:
                client.is_settled = True
                self.settled.append(client)
        if client.stall & STALL_IN_FLIGHT and client.in_flight <= self.in_flight_limit // 2:
            client.stall &= ~STALL_IN_FLIGHT
        if client.stall == 0:
            self.mark_resuming(client)
        return 0

    cdef int answer_now(self, Client client, bytes reply) except -1:
        """Put a reply of the proxy's own at the end of the client's order."""
        cdef Request request = Request.__new__(Request)
        client.enqueue(request)
        self.mark_dirty(client)
        if reply[0] == b"-":
            self.meter.add_error(reply, len(reply), NOBODY)
        return client.complete(request, reply, len(reply))

    cdef int _append(self, Pipeline pipeline, Request request) except -1:
        request.state = WAITING
        request.was_sent = False
        request.extra = request.leading + request.asking
        if not pipeline.takes:
            return self._append_apart(pipeline, request)
        pipeline.push(request)
        if not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        return 0

    cdef int _append_apart(self, Pipeline pipeline, Request request) except -1:
        """Append to a pipeline without connection, or to a node that is given up."""
        if request.client is not None and pipeline.node in self.hopeless:
            return self.spare(request, pipeline.node)
        pipeline.push(request)
        if pipeline.fd < 0:
            if not pipeline.is_wanted:
                pipeline.is_wanted = True
                self.control.need_connection(pipeline)
        elif not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        return 0

    cdef int spare(self, Request request, int node) except -1:
        """Answer a piece that would wait for a given-up node in vain."""
        cdef bytes error = self.control.hopeless(request.slot, node)
        self.spared += 1
        return self.answer(request, error, len(error))

    cdef int _fail_own(self, Request request, bint sent) except -1:
        if request.on_done is not None and request.state != ANSWERED:
            request.state = ANSWERED
            self.wants_yield = True
            self._call(request.on_done, (BackendUnavailable("connection lost", sent=sent),))
        return 0

    cdef int free_node(self, Pipeline pipeline) except -1:
        """Let clients go on that were stopped because this pipeline's queue was full."""
        cdef Client client
        waiting = pipeline.waiting_clients
        pipeline.waiting_clients = []
        for client in waiting:
            client.stall &= ~STALL_NODE
            if client.stall == 0:
                self.mark_resuming(client)
        return 0

    cdef int wake(self) except -1:
        """Make sure that a tick follows, although no socket may become ready."""
        return 0

    cdef void mark_dirty(self, Client client) noexcept:
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty_clients.append(client)

    cdef void mark_resuming(self, Client client) noexcept:
        if not client.is_resuming:
            client.is_resuming = True
            self.resuming.append(client)
