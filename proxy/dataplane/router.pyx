# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Where each request goes, and what becomes of it: decisions only, no socket.

Strategy: a request is looked up in two tables and appended to a pipeline; its
reply is handed to its client. Everything a table does not say is asked of the
control plane through its hooks.

The words: a *piece* is what goes to one node, a whole request or a part of a
split one. A piece is *held* when a node refused it, or a connection was lost
before its reply, and it may be sent again.

Law 3 (sequence) has two rules here. (1) A client with pieces in flight is not
routed by a newer map until they are answered. (2) A client with a held piece is
not routed at all; its held pieces are sent again only when every other piece of
its own is answered, in the order asked, and not at all if a later piece on the
same slot has been answered and one of the two writes.
"""

from libc.stdlib cimport free, realloc

from proxy.dataplane.client cimport (
    STALL_DRAIN, STALL_HELD, STALL_IN_FLIGHT, STALL_NODE, STALL_PUNT)
from proxy.dataplane.frames cimport Arg, RequestScanner
from proxy.dataplane.request cimport ANSWERED, HELD, WAITING
from proxy.dataplane.tables cimport (
    ASK_SERVER, FORWARD, NO_NODE, NO_SLOT, SESSION, SPLIT, find_keys, has_word, slot_of)
from proxy.dataplane.gather cimport split
from proxy.dataplane.hooks import Action, Punt
from proxy.errors import BackendUnavailable

cdef object PUNT_ROAD = Punt.ROAD
cdef object PUNT_UNKNOWN = Punt.UNKNOWN
cdef object PUNT_ARITY = Punt.ARITY
cdef object PUNT_CROSS_SLOT = Punt.CROSS_SLOT
cdef object PUNT_GATED = Punt.GATED

cdef double NEVER = float("inf")

# A held piece whose slot has no owner, or whose refusal names no time, is looked at again
# after this many seconds. Chosen: well below the time of a failover, well above a round trip.
cdef double UNCOVERED_RETRY_S = 0.05

cdef class Router:
    def __cinit__(self, *args, **kwargs):
        self.keys = KeyList()
        self.lanes = []
        self.dirty_clients = []
        self.dirty_pipelines = []
        self.resuming = []
        self.settled = []
        self.sleepers = []
        self.slots = SlotMap([None] * 16384, 0)
        self.table = CommandTable(())

    def __dealloc__(self):
        free(self.key_slots)

    # ---- a request comes in -------------------------------------------------

    cdef bint route(self, Client client, const char* frame, RequestScanner scanner) except -1:
        """Send a whole request on its way; False if the client must first wait.

        After False, the same frame is shown again when the client goes on.
        """
        cdef Command command
        cdef Py_ssize_t argc = scanner.count, i
        cdef int slot
        command = self.table.find(frame, scanner.args, argc)
        if client.is_gated or command is None or command.road >= 2:
            return self._leave_hot_road(client, command, frame, scanner)
        if argc < -command.arity if command.arity < 0 else argc != command.arity:
            return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
        if command.blocking_keyword and has_word(
                frame, scanner.args, 1, argc, command.blocking_keyword, b"STREAMS"):
            return self._leave_hot_road(client, command, frame, scanner)
        find_keys(command, frame, scanner.args, argc, self.keys)
        if self.keys.count == 0:
            return self._forward(client, command, NO_SLOT, frame, scanner.position)
        slot = slot_of(frame + scanner.args[self.keys.index[0]].start,
                       scanner.args[self.keys.index[0]].length)
        if self.keys.count > 1:
            self._compute_slots(frame, scanner)
            for i in range(1, self.keys.count):
                if self.key_slots[i] != slot:
                    return self._split(client, command, frame, scanner)
        return self._forward(client, command, slot, frame, scanner.position)

    cdef int _compute_slots(self, const char* frame, RequestScanner scanner) except -1:
        cdef Py_ssize_t i
        cdef int* grown
        if self.key_slots_capacity < self.keys.count:
            grown = <int*>realloc(self.key_slots, 2 * self.keys.count * sizeof(int))
            if grown == NULL:
                raise MemoryError
            self.key_slots = grown
            self.key_slots_capacity = 2 * self.keys.count
        for i in range(self.keys.count):
            self.key_slots[i] = slot_of(frame + scanner.args[self.keys.index[i]].start,
                                        scanner.args[self.keys.index[i]].length)
        return 0

    cdef bint _forward(self, Client client, Command command, int slot, const char* frame,
                       Py_ssize_t length) except -1:
        cdef int node
        cdef Request request
        if not self._may_send(client, slot, &node):
            return False
        request = Request.__new__(Request)
        request.command = command
        request.is_write = command.is_write
        request.slot = slot
        request.set_frame(frame, length)
        request.deadline = self.now + self.request_timeout_s
        self._count(client, command)
        client.enqueue(request)
        client.obey_reply_mode(request)
        self._send(client, request, node)
        return True

    cdef bint _split(self, Client client, Command command, const char* frame,
                     RequestScanner scanner) except -1:
        cdef Py_ssize_t argc = scanner.count, i, after
        cdef int node
        cdef Gather whole
        cdef Request part
        if command.road != SPLIT:
            return self._punt_in_place(client, PUNT_CROSS_SLOT, command, frame, scanner)
        after = self.keys.index[self.keys.count - 1] + self.keys.step
        if after > argc:
            return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
        for word in command.unsplittable_if:
            if has_word(frame, scanner.args, after, argc, word, b""):
                return self._punt_in_place(client, PUNT_CROSS_SLOT, command, frame, scanner)
        for i in range(self.keys.count):
            if not self._may_send(client, self.key_slots[i], &node):
                return False
        whole = split(command, frame, scanner.args, argc, self.keys, self.key_slots)
        whole.deadline = self.now + self.request_timeout_s
        self._count(client, command)
        self.splits += 1
        client.enqueue(whole)
        client.obey_reply_mode(whole)
        for part in whole.parts:
            part.client = client
            part.deadline = whole.deadline
            self.parts += 1
            self._send(client, part, self.slots.owner[part.slot])
        return True

    cdef bint _may_send(self, Client client, int slot, int* node) except -1:
        """Find the node of a slot; False if the client must wait before it sends there."""
        cdef Pipeline pipeline
        if client.generation != self.slots.generation:
            if client.in_flight > 0:
                client.stall |= STALL_DRAIN
                return False
            client.generation = self.slots.generation
        if slot >= 0:
            node[0] = self.slots.owner[slot]
        elif self.slots.primaries:
            node[0] = self.slots.primaries[client.id % <uint64_t>len(self.slots.primaries)]
        else:
            node[0] = NO_NODE
        if node[0] == NO_NODE:
            return True
        pipeline = client.lane.pipeline(node[0], client.id)
        if pipeline.unsent_bytes > self.node_queue_soft_bytes:
            client.stall |= STALL_NODE
            pipeline.waiting_clients.append(client)
            return False
        return True

    cdef int _count(self, Client client, Command command) except -1:
        client.commands += 1
        client.last_row = command
        command.calls += 1
        self.requests += 1
        return 0

    cdef int _send(self, Client client, Request request, int node) except -1:
        """Send a new piece; it is held when its slot has no node."""
        request.sequence = client.next_sequence
        client.next_sequence += 1
        client.in_flight += 1
        self.in_flight += 1
        if client.in_flight >= self.in_flight_limit:
            client.stall |= STALL_IN_FLIGHT
        if node == NO_NODE:
            self.control.uncovered(request.slot)
            return self._hold(request, UNCOVERED_RETRY_S)
        request.node = node
        return self._append(client.lane.pipeline(node, client.id), request)

    cdef int _append(self, Pipeline pipeline, Request request) except -1:
        request.state = WAITING
        request.was_sent = False
        pipeline.push(request)
        if pipeline.fd < 0:
            if not pipeline.is_wanted:
                pipeline.is_wanted = True
                self.control.need_connection(pipeline)
        elif not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        return 0

    # ---- what the tables do not say: the control plane answers ---------------

    cdef bint _leave_hot_road(self, Client client, Command command, const char* frame,
                              RequestScanner scanner) except -1:
        if command is not None and command.in_place and not client.is_gated:
            if scanner.count < -command.arity if command.arity < 0 \
                    else scanner.count != command.arity:
                return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
            return self._punt_in_place(client, PUNT_ROAD, command, frame, scanner)
        if client.in_flight > 0:
            client.stall |= STALL_DRAIN
            return False
        if client.is_gated:
            reason = PUNT_GATED
        elif command is None:
            reason = PUNT_UNKNOWN
        elif scanner.count < -command.arity if command.arity < 0 \
                else scanner.count != command.arity:
            reason = PUNT_ARITY
        else:
            reason = PUNT_ROAD
        return self._punt_in_place(client, reason, command, frame, scanner)

    cdef bint _punt_in_place(self, Client client, object reason, Command command,
                             const char* frame, RequestScanner scanner) except -1:
        self._punt(client, reason, command, scanner.copy_args(frame))
        return True

    cdef int _punt(self, Client client, object reason, Command command, list args) except -1:
        cdef Request request = Request.__new__(Request)
        cdef bytes reply
        self.requests += 1
        self.punts += 1
        client.commands += 1
        if command is not None:
            client.last_row = command
            command.calls += 1
        request.deadline = NEVER
        client.enqueue(request)
        reply = self.control.punt(client, reason, command, args)
        if client.fd < 0:
            return 0
        if reply is not None:
            self.mark_dirty(client)
            if reply:
                client.obey_reply_mode(request)
            return client.complete(request, reply, len(reply))
        self.wants_yield = True
        client.punted = request
        client.in_flight += 1
        self.in_flight += 1
        client.stall |= STALL_PUNT
        return 0

    def finish_punt(self, Client client, bytes reply):
        """Answer the request that ``punt`` left open; nothing happens if the client is gone."""
        cdef Request request = client.punted
        if request is None:
            return
        client.punted = None
        client.stall &= ~STALL_PUNT
        client.obey_reply_mode(request)
        self.answer(request, reply, len(reply))
        self.mark_resuming(client)
        self.wake()

    def forward_punt(self, Client client, bytes frame, int slot, bint is_write):
        """Send the request that ``punt`` left open to the node of ``slot`` after all.

        Args:
            slot: NO_SLOT (-1) for any primary.
        """
        cdef Request request = client.punted
        if request is None:
            return
        client.punted = None
        client.stall &= ~STALL_PUNT
        client.obey_reply_mode(request)
        client.in_flight -= 1
        self.in_flight -= 1
        request.set_frame(frame, len(frame))
        request.slot = slot
        request.is_write = is_write
        request.deadline = self.now + self.request_timeout_s
        client.generation = self.slots.generation
        self._send(client, request, self._owner_of(client, request))
        self.mark_resuming(client)
        self.wake()

    cdef int wake(self) except -1:
        """Make sure that a tick follows, although no socket may become ready."""
        return 0

    cdef int answer_now(self, Client client, bytes reply) except -1:
        """Put a reply of the proxy's own at the end of the client's order."""
        cdef Request request = Request.__new__(Request)
        request.deadline = NEVER
        client.enqueue(request)
        self.mark_dirty(client)
        return client.complete(request, reply, len(reply))

    # ---- a reply comes in ---------------------------------------------------

    cdef int answer(self, Request request, const char* data, Py_ssize_t length) except -1:
        """Hand a reply to whoever asked: a client, a split command, the proxy itself."""
        cdef Client client
        cdef Gather whole
        if request.client is None:
            if request.on_done is not None and request.state != ANSWERED:
                request.state = ANSWERED
                self.wants_yield = True
                request.on_done(data[:length])
            return 0
        client = <Client>request.client
        if request.state == ANSWERED:
            return 0
        client.in_flight -= 1
        self.in_flight -= 1
        if request.parent is not None:
            whole = <Gather>request.parent
            request.state = ANSWERED
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
        if client.stall or client.held is not None:
            self._settle(client)
        return 0

    cdef int _finish_gather(self, Gather whole) except -1:
        cdef Client client = <Client>whole.client
        cdef Py_ssize_t parts = len(whole.parts)
        cdef bytes error
        if whole.failed_parts == 0 and whole.merge():
            client.complete(whole, NULL, 0)
        else:
            if whole.failed_parts:
                error = self.control.parts_failed(
                    whole.command, whole.failed_parts, parts, whole.first_error)
            else:
                error = self.control.replies_differ(whole.command)
            free(whole.reply)
            whole.reply = NULL
            client.complete(whole, error, len(error))
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

    # ---- a piece was refused, or its connection was lost ----------------------

    cdef int refused(self, Request request, const char* data, Py_ssize_t length) except -1:
        """A node would not run a piece, and says so: ask what to do, and do it."""
        cdef int node
        cdef double delay_s
        cdef bytes line
        if request.state == ANSWERED or request.client is None:
            return self.answer(request, data, length)
        # A copy: the hook may drop the pipeline in whose buffer ``data`` lies.
        line = data[:length]
        self.refusals += 1
        action, node, delay_s = self.control.judge(
            request.node, line, request.redirects, request.attempts)
        if action == Action.PASS:
            return self.answer(request, line, length)
        request.keep_reply(line, length)
        request.ask_node = node if action == Action.ASK else -1
        if delay_s == 0:
            request.redirects += 1
        return self._hold(request, delay_s)

    cdef int _hold(self, Request request, double delay_s) except -1:
        cdef Client client = <Client>request.client
        request.state = HELD
        request.was_sent = False
        request.attempts += 1
        request.not_before = self.now + delay_s
        if client.held is None:
            client.held = []
        client.held.append(request)
        client.stall |= STALL_HELD
        return self._settle(client)

    cdef int send_held(self, Client client) except -1:
        """Send the held pieces of a client again; all its other pieces are answered."""
        cdef Request request
        cdef int node
        cdef dict targets
        client.is_settled = False
        if client.fd < 0 or not client.held or <Py_ssize_t>len(client.held) < client.in_flight:
            return 0
        for request in client.held:
            if request.not_before > self.now:
                if not client.is_settled:
                    client.is_settled = True
                    self.sleepers.append(client)
                return 0
        held = sorted(client.held, key=_sequence_of)
        client.held = []
        client.generation = self.slots.generation
        overtaken = self._overtaken(client, held)
        targets = {}
        for request in held:
            if request in overtaken:
                self._refuse_for_good(request)
                continue
            node = request.ask_node if request.ask_node >= 0 else self._owner_of(client, request)
            if node == NO_NODE:
                self.control.uncovered(request.slot)
                self._hold(request, UNCOVERED_RETRY_S)
                continue
            # Two targets for one slot would run side by side: the later one waits its turn.
            target = (node, request.ask_node >= 0)
            if request.slot != NO_SLOT and targets.setdefault(request.slot, target) != target:
                targets[request.slot] = None
                self._hold(request, 0)
                continue
            self.resends += 1
            request.node = node
            pipeline = client.lane.pipeline(node, client.id)
            request.asking = request.ask_node >= 0
            request.ask_node = -1
            self._append(pipeline, request)
        return 0

    cdef int _owner_of(self, Client client, Request request) except -1:
        if request.slot >= 0:
            return self.slots.owner[request.slot]
        if not self.slots.primaries:
            return NO_NODE
        return self.slots.primaries[client.id % <uint64_t>len(self.slots.primaries)]

    cdef set _overtaken(self, Client client, list held):
        """Return the held pieces that must not run any more: a later one on a key of theirs has."""
        cdef Request request = client.head
        cdef Request piece
        cdef dict last_write = {}
        cdef dict last_any = {}
        cdef set slots = {(<Request>piece).slot for piece in held}
        slots.discard(NO_SLOT)
        while request is not None:
            for piece in ((<Gather>request).parts if isinstance(request, Gather) else (request,)):
                if piece.state == ANSWERED and piece.slot in slots:
                    for place in (piece.slot, *self._keys_of(piece)):
                        last_any[place] = piece.sequence
                        if piece.is_write:
                            last_write[place] = piece.sequence
            request = request.next_in_client
        overtaken = set()
        if last_any:
            for piece in held:
                last = last_any if piece.is_write else last_write
                if max([last.get(place, -1) for place in self._keys_of(piece)]) > piece.sequence:
                    overtaken.add(piece)
        return overtaken

    cdef list _keys_of(self, Request piece):
        """Return the keys of a piece; its slot if the table cannot find them."""
        cdef RequestScanner scanner
        cdef Py_ssize_t i
        cdef Arg arg
        if piece.command is None:
            return [piece.slot]
        scanner = RequestScanner(
            argument_limit=piece.frame_length, argument_limit_bytes=piece.frame_length,
            request_limit_bytes=piece.frame_length)
        scanner.scan(piece.frame, piece.frame_length)
        find_keys(piece.command, piece.frame, scanner.args, scanner.count, self.keys)
        keys = []
        for i in range(self.keys.count):
            arg = scanner.args[self.keys.index[i]]
            keys.append(piece.frame[arg.start:arg.start + arg.length])
        return keys or [piece.slot]

    cdef int _refuse_for_good(self, Request request) except -1:
        cdef bytes error
        if request.reply != NULL:
            error = request.reply[:request.reply_length]
        else:
            error = self.control.lost_reply(request.slot, request.node, is_write=False)
        request.state = WAITING
        return self.answer(request, error, len(error))

    cdef int lost(self, Pipeline pipeline) except -1:
        """A connection is gone: decide for every piece that was on it.

        A write that was sent whole may have run; its client hears so. Everything
        else is held: reads, and what was never written whole.
        """
        cdef Request request
        cdef bytes error
        pipeline.fd = -1
        pipeline.is_wanted = False
        pipeline.written = 0
        pipeline.input.clear()
        pipeline.scanner.reset()
        pipeline.discarding = False
        while True:
            request = pipeline.pop_sent()
            if request is None:
                break
            if request.client is None:
                self._fail_own(request, True)
            elif request.state == ANSWERED:
                continue
            elif request.is_write or request.losses >= self.loss_limit:
                error = self.control.lost_reply(
                    request.slot, request.node, is_write=request.is_write)
                self.outcome_unknown += request.is_write
                self.answer(request, error, len(error))
            else:
                request.losses += 1
                self._hold(request, 0)
        self.take_back(pipeline)
        self.control.lost_connection(pipeline)
        return 0

    cdef int take_back(self, Pipeline pipeline) except -1:
        """Hold everything that a pipeline has not begun to write."""
        cdef Request request
        while True:
            request = pipeline.pop_unsent()
            if request is None:
                break
            if request.client is None:
                self._fail_own(request, False)
            elif request.state != ANSWERED:
                self._hold(request, 0)
        self.free_node(pipeline)
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

    cdef int _fail_own(self, Request request, bint sent) except -1:
        if request.on_done is not None and request.state != ANSWERED:
            request.state = ANSWERED
            self.wants_yield = True
            request.on_done(BackendUnavailable("connection lost", sent=sent))
        return 0

    # ---- a deadline passed ----------------------------------------------------

    cdef int expire(self, Client client) except -1:
        """Give up the client's requests whose deadline has passed; others wait on.

        Giving up the oldest one makes it leave, with what was answered behind it.
        """
        cdef Request request, part
        while client.head is not None and client.head.deadline <= self.now:
            request = client.head
            if isinstance(request, Gather):
                for part in list((<Gather>request).parts):
                    if part.state != ANSWERED:
                        self._give_up(part)
            else:
                self._give_up(request)
        return 0

    cdef int _give_up(self, Request request) except -1:
        cdef Client client = <Client>request.client
        cdef bytes error
        self.expired += 1
        self.outcome_unknown += request.was_sent and request.is_write
        error = self.control.gave_up(request.slot, request.node,
                                     was_sent=request.was_sent, is_write=request.is_write)
        if request.state == HELD:
            client.held.remove(request)
        request.state = WAITING
        return self.answer(request, error, len(error))

    # ---- lists worked off at the end of a tick -----------------------------------

    cdef void mark_dirty(self, Client client) noexcept:
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty_clients.append(client)

    cdef void mark_resuming(self, Client client) noexcept:
        if not client.is_resuming:
            client.is_resuming = True
            self.resuming.append(client)


def _sequence_of(Request request):
    return request.sequence
