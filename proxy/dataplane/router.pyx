# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Where each request goes: decisions only, no socket.

Strategy: a request is looked up in two tables and appended to a pipeline. What
a table does not say is *punted*: asked of the control plane through its hooks,
after the client's earlier requests are answered, and before its later ones.

Law 3 (sequence) has one of its two rules here: a client with pieces in flight is
not routed by a newer map until they are answered. The other is in recovery.pyx.
"""

cimport cython
from libc.stdlib cimport free, realloc

from proxy.commands.families import FAMILIES
from proxy.dataplane.client cimport STALL_DRAIN, STALL_NODE, STALL_PAUSE, STALL_PUNT
from proxy.dataplane.gather cimport Gather, count_slots, split
from proxy.dataplane.request cimport Block
from proxy.dataplane.hooks import Punt
from proxy.dataplane.lane cimport Pipeline
from proxy.dataplane.meter cimport NODE_QUEUE_SOFT_BYTES
from proxy.dataplane.recovery cimport has_its_keys, patience_of
from proxy.dataplane.restraint cimport STOP_ALL, STOP_MEMORY, STOP_WRITES, needs_memory
from proxy.dataplane.tables cimport (
    LOOK_GUARD, LOOK_INSIDE, NO_NODE, NO_SLOT, PINNED, SPLIT, find_keys, has_word, slot_of)
from proxy.dataplane.witness cimport settle

cdef int BLOCKING = FAMILIES.index("blocking")
cdef int OTHER = FAMILIES.index("other")

cdef object PUNT_ROAD = Punt.ROAD
cdef object PUNT_UNKNOWN = Punt.UNKNOWN
cdef object PUNT_ARITY = Punt.ARITY
cdef object PUNT_CROSS_SLOT = Punt.CROSS_SLOT
cdef object PUNT_GATED = Punt.GATED
cdef object PUNT_SESSION = Punt.SESSION


cdef class Router(Restraint):
    """The part of an engine that knows the tables."""

    def __cinit__(self, *args, **kwargs):
        self.table = CommandTable(())
        self.doubtful_scripts = set()
        self.paused_clients = []

    def __dealloc__(self):
        free(self.key_slots)

    # ---- a request comes in ---------------------------------------------------

    cdef bint route(self, Client client, const char* frame, RequestScanner scanner) except -1:
        """Send a whole request on its way; False if the client must first wait.

        After False, the same frame is shown again when the client goes on.
        """
        cdef Command command
        cdef Py_ssize_t argc = scanner.count
        command = self.table.find(frame, scanner.args, argc)
        if self.stops:
            if self.stops & STOP_MEMORY and not client.is_off_road and needs_memory(command):
                return self.refuse_for_memory(client, command)
            if self.stops & (STOP_WRITES | STOP_ALL) and \
                    self._waits_for_pause(client, command, argc):
                return False
        if client.is_off_road or command is None or command.road >= 2:
            return self._leave_hot_road(client, command, frame, scanner)
        if argc < -command.arity if command.arity < 0 else argc != command.arity:
            return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
        if command.looks and self._look_into(client, command, frame, scanner):
            return self._leave_hot_road(client, command, frame, scanner)
        find_keys(command, frame, scanner.args, argc, self.keys)
        return self._route_by_keys(client, command, frame, scanner)

    @cython.final
    cdef bint _route_by_keys(self, Client client, Command command, const char* frame,
                             RequestScanner scanner) except -1:
        cdef Py_ssize_t i
        cdef int slot
        if self.keys.count == 0:
            slot = NO_SLOT
            if command.goes_by_channel:
                slot = slot_of(frame + scanner.args[1].start, scanner.args[1].length)
            return self._forward(client, command, slot, frame, scanner.position)
        slot = slot_of(frame + scanner.args[self.keys.index[0]].start,
                       scanner.args[self.keys.index[0]].length)
        if self.keys.count > 1:
            self._compute_slots(frame, scanner)
            for i in range(1, self.keys.count):
                if self.key_slots[i] != slot:
                    return self._split(client, command, frame, scanner)
        return self._forward(client, command, slot, frame, scanner.position)

    cdef bint _route_pinned(self, Client client, Command command, const char* frame,
                            RequestScanner scanner) except -1:
        """Route a request, with its keys by their stored names."""
        cdef Py_ssize_t argc = scanner.count
        cdef bytes stored
        cdef bint leaves
        if argc < -command.arity if command.arity < 0 else argc != command.arity:
            return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
        leaves = command.looks and self._look_into(client, command, frame, scanner)
        find_keys(command, frame, scanner.args, argc, self.keys)
        stored = self.pins.store(frame, scanner, self.keys)
        if command.carries_script or command.runs_by_sha:
            # What a script itself says about pinned keys is for the control plane to put right.
            leaves = leaves or stored is not None or self.keys.count == 0
        if leaves:
            if client.in_flight > 0:
                client.stall |= STALL_DRAIN
                return False
            return self._punt_in_place(client, PUNT_ROAD, command, frame, scanner)
        if stored is None:
            return self._route_by_keys(client, command, frame, scanner)
        return self._route_by_keys(client, command, stored, self.pins.scanner)

    cdef bint _waits_for_pause(self, Client client, Command command, Py_ssize_t argc) except -1:
        if command is None or (argc < -command.arity if command.arity < 0 else argc != command.arity):
            return False  # an error at once, as a server says it
        if not self.stops & STOP_ALL and not command.is_paused_as_write:
            return False
        client.stall |= STALL_PAUSE
        self.paused_clients.append(client)
        return True

    cdef bint _look_into(self, Client client, Command command, const char* frame,
                         RequestScanner scanner) except -1:
        """Say whether it leaves the hot road.

        Its user may not have it, a word makes it block, or its script may be missing.

        A script that comes along is noted.
        """
        cdef Py_ssize_t start = scanner.args[1].start, end = start + scanner.args[1].length
        if command.looks & LOOK_GUARD and self.may_not(client, command, frame, scanner):
            return True
        if not command.looks & LOOK_INSIDE:
            return False
        if command.carries_script:
            if has_its_keys(frame, scanner):
                self.control.note_script(frame[start:end])
            return False
        if command.runs_by_sha:
            return len(self.doubtful_scripts) > 0 and \
                frame[start:end].lower() in self.doubtful_scripts
        return has_word(frame, scanner.args, 1, scanner.count, command.blocking_keyword,
                        b"STREAMS")

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

    @cython.final
    cdef bint _forward(self, Client client, Command command, int slot, const char* frame,
                       Py_ssize_t length) except -1:
        cdef bint must_wait = False
        cdef Request request
        cdef Pipeline pipeline = self._find_way(client, command, slot, &must_wait)
        if must_wait:
            return False
        request = Request.__new__(Request)
        request.command = command
        request.is_write = command.is_write
        request.slot = slot
        request.set_frame(frame, length)
        self._begin(client, request, command)
        self.send_piece(client, request, pipeline)
        return True

    cdef bint _split(self, Client client, Command command, const char* frame,
                     RequestScanner scanner) except -1:
        cdef Py_ssize_t argc = scanner.count, i, after
        cdef bint must_wait = False
        cdef Gather whole
        cdef Request part
        if command.plain_road != SPLIT:
            return self._punt_across(client, command, frame, scanner)
        after = self.keys.index[self.keys.count - 1] + self.keys.step
        if after > argc:
            return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
        for word in command.unsplittable_if:
            if has_word(frame, scanner.args, after, argc, word, b""):
                return self._punt_across(client, command, frame, scanner)
        if self.fan_out_limit > 0:
            i = count_slots(self.key_slots, self.keys.count)
            if i > self.fan_out_limit:
                return self.refuse_for_width(client, command, i)
        for i in range(self.keys.count):
            self._find_way(client, command, self.key_slots[i], &must_wait)
            if must_wait:
                return False
        whole = split(command, frame, scanner.args, argc, self.keys, self.key_slots)
        whole.frame_length = scanner.position  # for who asks how long it was; its parts are sent
        self._begin(client, whole, command)
        self.splits += 1
        self.parts += len(whole.parts)
        self.meter.add_width(len(whole.parts))
        for part in whole.parts:
            part.client = client
            part.began = whole.began
            part.deadline = whole.deadline
            part.is_sampled = whole.is_sampled
            self.send_piece(
                client, part, self.pipeline_of(client, self._owner_of(client, part)))
        return True

    cdef bint _punt_across(self, Client client, Command command, const char* frame,
                           RequestScanner scanner) except -1:
        """Have a request with keys in several slots answered, after all before it."""
        if client.in_flight > 0:
            client.stall |= STALL_DRAIN
            return False
        return self._punt_in_place(client, PUNT_CROSS_SLOT, command, frame, scanner)

    @cython.final
    cdef Pipeline _find_way(self, Client client, Command command, int slot, bint* must_wait):
        """Return the pipeline to a slot's node, None if it has no node.

        Args:
            must_wait: Set if the client must wait before it sends there, else left alone.
        """
        cdef Pipeline pipeline
        cdef int node
        if client.generation != self.slots.generation:
            if client.in_flight > 0:
                client.stall |= STALL_DRAIN
                must_wait[0] = True
                return None
            client.generation = self.slots.generation
        if slot >= 0:
            node = self.slots.owner[slot]
            if client.lane.readers is not None and command.reads_anywhere and \
                    not client.insists and node != NO_NODE:
                node = client.lane.readers.pick(node, slot, client.id, 0)
        elif self.slots.primaries:
            node = self.slots.primaries[client.id % <uint64_t>len(self.slots.primaries)]
        else:
            node = NO_NODE
        if node == NO_NODE:
            return None
        pipeline = client.lane.pipeline(node, client.id)
        if pipeline.unsent_bytes > self.node_queue_soft_bytes:
            client.stall |= STALL_NODE
            self.meter.by_limit[NODE_QUEUE_SOFT_BYTES] += 1
            self.has_full_queues = True
            pipeline.waiting_clients.append(client)
            must_wait[0] = True
        return pipeline

    @cython.final
    cdef int _begin(self, Client client, Request request, Command command) except -1:
        """Count a request that goes to a node, and put it at the end of the client's order."""
        client.commands += 1
        client.last_row = command
        command.calls += 1
        self.requests += 1
        request.began = self.now
        request.deadline = self.now + self.patience_s[command.patience]
        request.family = command.family
        self.until_sample -= 1
        if self.until_sample == 0:
            self.choose(request, False)
        client.enqueue(request)
        client.obey_reply_mode(request)
        return 0

    # ---- what the tables do not say: the control plane answers ----------------

    cdef bint _leave_hot_road(self, Client client, Command command, const char* frame,
                              RequestScanner scanner) except -1:
        if command is not None and command.road == PINNED and not client.is_off_road:
            return self._route_pinned(client, command, frame, scanner)
        if command is not None and command.in_place and not client.is_off_road:
            if scanner.count < -command.arity if command.arity < 0 \
                    else scanner.count != command.arity:
                return self._punt_in_place(client, PUNT_ARITY, command, frame, scanner)
            return self._punt_in_place(client, PUNT_ROAD, command, frame, scanner)
        if client.in_flight > 0:
            client.stall |= STALL_DRAIN
            return False
        if client.gated:
            reason = PUNT_GATED
        elif client.is_off_road:
            reason = PUNT_SESSION
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
        """Ask the control plane, which answers at once or later."""
        cdef Block request = Block.__new__(Block)
        cdef bytes reply
        self.requests += 1
        self.punts += 1
        self.meter.by_punt[<int>reason] += 1
        client.commands += 1
        request.began = self.now
        request.family = OTHER
        request.frame_length = scanner.position  # as of a split one
        request.args = scanner.copy_args(frame)
        if command is not None:
            client.last_row = command
            command.calls += 1
            request.row = command
            request.family = command.family
            request.is_write = command.is_paused_as_write
        self.until_sample -= 1
        if self.until_sample == 0:
            self.choose(request, command is not None and command.is_login)
        client.enqueue(request)
        reply = self.control.punt(client, reason, command, request.args)
        if client.fd < 0:
            return True
        if reply is not None:
            self.mark_dirty(client)
            if reply:
                client.obey_reply_mode(request)
            client.complete(request, reply, len(reply))
            settle(self, request, client, reply, len(reply))
            return True
        if command is not None and command.may_wait:
            request.family = BLOCKING
        request.keep(scanner.position)
        self.wants_yield = True
        client.punted = request
        client.in_flight += 1
        self.in_flight += 1
        client.stall |= STALL_PUNT
        return True

    def finish_punt(self, Client client, bytes reply):
        """Answer the request that ``punt`` left open; nothing happens if the client is gone."""
        cdef Request request = client.punted
        if request is None:
            return
        if self.shower is not None:
            reply = self.shower.show_reply(client, reply)
        client.punted = None
        client.stall &= ~STALL_PUNT
        client.obey_reply_mode(request)
        self.look_at_clock()
        self.answer(request, reply, len(reply))
        self.mark_resuming(client)
        self.wake()

    def forward_punt(self, Client client, bytes frame, int slot, bint is_write, int replies=1):
        """Send the request that ``punt`` left open to the node of ``slot`` after all.

        Args:
            slot: NO_SLOT (-1) for any primary.
            replies: How many commands ``frame`` holds, if it is a block (MULTI ... EXEC)
                of which all or nothing runs. The client gets the last reply.
        """
        cdef Block request = <Block>client.punted
        if request is None:
            return
        if self.shower is not None and \
                self.shower.forward(client, frame, slot, is_write, replies):
            return
        client.punted = None
        client.stall &= ~STALL_PUNT
        client.obey_reply_mode(request)
        request.leading = replies - 1
        request.command = client.last_row if replies == 1 else None
        client.in_flight -= 1
        self.in_flight -= 1
        request.set_frame(frame, len(frame))
        request.slot = slot
        request.is_write = is_write
        self.look_at_clock()
        request.deadline = self.now + self.patience_s[patience_of(request)]
        client.generation = self.slots.generation
        self.send_piece(
            client, request, self.pipeline_of(client, self._owner_of(client, request)))
        self.mark_resuming(client)
        self.wake()
