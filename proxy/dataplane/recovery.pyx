# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What becomes of a piece that was refused, lost with its connection, or is too late.

Strategy: a piece that may be sent again is *held*: by its client, until every
other piece of that client is answered. Then the held ones are sent again in the
order asked (law 3), and not at all if a later piece on the same key has been
answered and one of the two writes. A write that may have run is never held: its
client hears that the outcome is unknown (law 4).
"""

from libc.stdlib cimport free
from libc.string cimport memcmp

from proxy.dataplane.client cimport GONE, STALL_HELD
from proxy.dataplane.frames cimport Arg, RequestScanner
from proxy.dataplane.gather cimport Gather
from proxy.dataplane.hooks import Action
from proxy.dataplane.meter cimport REQUEST_TIMEOUT_S, refusal_of
from proxy.dataplane.request cimport ANSWERED, HELD, WAITING, Block
from proxy.dataplane.sample cimport EVENT_EXPIRED, EVENT_LOST, EVENT_RESENT, EVENT_UNCOVERED
from proxy.dataplane.tables cimport NO_NODE, NO_SLOT, Command, find_keys

# A held piece whose slot has no owner is looked at again after so many seconds. Chosen: well below
# the time of a failover, well above a round trip.
cdef double UNCOVERED_RETRY_S = 0.05


# The servers' whole words (Redis's, Valkey's): a script may return any error, but hardly just this.
cdef bytes NO_SCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
cdef bytes NO_SCRIPT_IN_SHORT = b"-NOSCRIPT No matching script.\r\n"
cdef bytes NO_FUNCTION = b"-ERR Function not found\r\n"


cdef bint is_refusal(const char* data, Py_ssize_t length) noexcept:
    """Whether an error reply says that the command was not run and where it might be."""
    if length < 8:
        return False
    if data[1] == b"M":
        return memcmp(data, b"-MOVED ", 7) == 0 or \
            (length > 12 and memcmp(data, b"-MASTERDOWN ", 12) == 0)
    if data[1] == b"A":
        return memcmp(data, b"-ASK ", 5) == 0
    if data[1] == b"T":
        return length > 10 and memcmp(data, b"-TRYAGAIN ", 10) == 0
    if data[1] == b"C":
        return length > 13 and memcmp(data, b"-CLUSTERDOWN ", 13) == 0
    if data[1] == b"L":
        return length > 9 and memcmp(data, b"-LOADING ", 9) == 0
    if data[1] == b"R":
        return length > 10 and memcmp(data, b"-READONLY ", 10) == 0
    return False


cdef bint lacks_script(Request request, const char* data, Py_ssize_t length) noexcept:
    """Whether a reply says that a node lacks the script or function that a piece only names."""
    if request.command is None or not request.command.names_script:
        return False
    return (length == len(NO_SCRIPT) and memcmp(data, <const char*>NO_SCRIPT, length) == 0) or \
        (length == len(NO_SCRIPT_IN_SHORT) and
         memcmp(data, <const char*>NO_SCRIPT_IN_SHORT, length) == 0) or \
        (length == len(NO_FUNCTION) and memcmp(data, <const char*>NO_FUNCTION, length) == 0)


cdef bint is_redirect(const char* data, Py_ssize_t length) noexcept:
    """Whether a refusal is MOVED or ASK."""
    return (length > 7 and memcmp(data, b"-MOVED ", 7) == 0) or \
        (length > 5 and memcmp(data, b"-ASK ", 5) == 0)


cdef bint has_its_keys(const char* frame, RequestScanner scanner) noexcept:
    """Whether a script's number of keys is one: with any other, a server does not even load it."""
    cdef Py_ssize_t i, number = 0
    if scanner.count < 3 or scanner.args[2].length == 0 or scanner.args[2].length > 7:
        return False
    for i in range(scanner.args[2].start, scanner.args[2].start + scanner.args[2].length):
        if frame[i] < b"0" or frame[i] > b"9":
            return False
        number = 10 * number + frame[i] - 48
    return number <= scanner.count - 3


cdef class Recovery(Ledger):
    """The part of an engine that sends again what did not run."""

    def __cinit__(self, *args, **kwargs):
        self.sleepers = []
        self.keys = KeyList()

    cdef int refused(self, Request request, const char* data, Py_ssize_t length) except -1:
        """A node would not run a piece, and says so: ask what to do, and do it."""
        cdef int place, kind
        cdef double delay_s
        cdef bytes line
        if request.state == ANSWERED or request.client is None:
            return self.answer(request, data, length)
        # A copy: the hook may drop the pipeline in whose buffer ``data`` lies.
        line = data[:length]
        kind = refusal_of(data)
        self.refusals += 1
        self.meter.by_refusal[kind] += 1
        if request.is_sampled:
            self.note_reply(request, kind)
        if lacks_script(request, data, length):
            return self._bring_script(request, line)
        if request.slot >= 0 and request.node != self.slots.owner[request.slot] and \
                (<Client>request.client).lane.readers is not None and reads_anywhere(request):
            request.keep_reply(line, length)
            return self._hold(
                request, self.control.reader_refused(request.node, line, request.attempts))
        action, place, delay_s = self.control.judge(
            request.node, line, request.redirects, request.attempts)
        if action == Action.PASS:
            return self.answer(request, line, length)
        if action == Action.SPARE:
            return self.spare(request, place)
        request.keep_reply(line, length)
        request.ask_node = place if action == Action.ASK else -1
        if action == Action.BY_MAP and request.slot == NO_SLOT and place >= 0:
            # The server found a key where the table saw none, as in a numkeys of " 1".
            request.slot = place
        if delay_s == 0:
            request.redirects += 1
        return self._hold(request, delay_s)

    cdef int _bring_script(self, Request request, bytes line) except -1:
        """A node has no such script or function: send the piece again if it can be brought there."""
        cdef Client client = <Client>request.client
        wait_s = self.control.lacks_script(
            client.lane.pipeline(request.node, client.id),
            request.frame[:request.frame_length], request.attempts)
        if wait_s is None:
            return self.answer(request, line, len(line))
        request.keep_reply(line, len(line))
        return self._hold(request, wait_s)

    cdef int _hold(self, Request request, double delay_s) except -1:
        cdef Client client = <Client>request.client
        request.state = HELD
        request.was_sent = False
        if request.leading:
            (<Block>request).begin_again()
        request.attempts += 1
        request.not_before = self.now + delay_s
        if client.held is None:
            client.held = []
        client.held.append(request)
        client.stall |= STALL_HELD
        return self._settle(client)

    cdef int _hold_uncovered(self, Request request) except -1:
        """Hold a piece whose slot has no node in the map."""
        if request.is_sampled:
            self.note(request, EVENT_UNCOVERED, -1)
        self.control.uncovered(request.slot)
        return self._hold(request, UNCOVERED_RETRY_S)

    cdef int send_held(self, Client client) except -1:
        """Send the held pieces of a client again; all its other pieces are answered."""
        cdef Request request
        cdef int node
        cdef dict targets
        client.is_settled = False
        if client.fd == GONE or not client.held or <Py_ssize_t>len(client.held) < client.in_flight:
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
                self._hold_uncovered(request)
                continue
            # Two targets for one slot would run side by side: the later one waits its turn.
            target = (node, request.ask_node >= 0)
            if request.slot != NO_SLOT and targets.setdefault(request.slot, target) != target:
                targets[request.slot] = None
                self._hold(request, 0)
                continue
            self.resends += 1
            request.node = node
            if request.is_sampled:
                self.note(request, EVENT_RESENT, node)
            pipeline = client.lane.pipeline(node, client.id)
            request.asking = request.ask_node >= 0
            request.ask_node = -1
            self._append(pipeline, request)
        return 0

    cdef int _owner_of(self, Client client, Request request) except -1:
        cdef int node
        if request.slot >= 0:
            node = self.slots.owner[request.slot]
            if client.lane.readers is not None and node != NO_NODE and not client.insists and \
                    reads_anywhere(request):
                return client.lane.readers.pick(node, request.slot, client.id, request.attempts)
            return node
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
        if request.reply == NULL:
            error = self.control.overtaken(request.node, was_lost=True)
        elif is_redirect(request.reply, request.reply_length):
            # No client may learn of a cluster.
            error = self.control.overtaken(request.node, was_lost=False)
        else:
            error = request.reply[:request.reply_length]
        request.state = WAITING
        return self.answer(request, error, len(error))

    cdef int lost(self, Pipeline pipeline, bint on_purpose=False) except -1:
        """A connection is gone: decide for every piece that was on it.

        A write that was sent whole may have run; its client hears so. Everything
        else is held: reads, and what was never written whole.
        """
        cdef Request request
        cdef bytes error
        if pipeline.written:
            # The node may have closed because of what it was being sent.
            pipeline.unsent_head.losses += 1
        pipeline.fd = -1
        pipeline.takes = False
        pipeline.is_wanted = False
        pipeline.written = 0
        pipeline.input.clear()
        pipeline.scanner.reset()
        pipeline.late_since = 0
        pipeline.discarding = False
        while True:
            request = pipeline.pop_sent()
            if request is None:
                break
            if request.client is None:
                self._fail_own(request, True)
                continue
            if request.state == ANSWERED:
                continue
            self.meter.lost_pieces += 1
            if request.is_sampled:
                self.note_reply(request, EVENT_LOST)
            if request.is_write or request.losses >= self.loss_limit:
                error = self.control.lost_reply(
                    request.slot, request.node, is_write=request.is_write)
                self.outcome_unknown += request.is_write
                request.was_sent = False
                self.answer(request, error, len(error))
            else:
                request.losses += 1
                self._hold(request, 0)
        self.take_back(pipeline)
        if pipeline.on_lost is not None:
            self._call(pipeline.on_lost, ())
        if not on_purpose:
            self.meter.node(pipeline.node).lost += 1
            self.control.lost_connection(pipeline)
        return 0

    cdef int take_back(self, Pipeline pipeline) except -1:
        """Hold everything that a pipeline has not written whole."""
        cdef Request request
        cdef bytes error
        while True:
            request = pipeline.pop_unsent()
            if request is None:
                break
            if request.client is None:
                self._fail_own(request, False)
            elif request.state == ANSWERED:
                continue
            elif request.losses > self.loss_limit:
                error = self.control.cut_off(request.node)
                self.answer(request, error, len(error))
            else:
                self._hold(request, 0)
        self.free_node(pipeline)
        return 0

    def refuse(self, Pipeline pipeline, bytes error):
        """Answer everything that a pipeline has not written: the node will not have its lane."""
        cdef Request request
        pipeline.is_wanted = False
        while True:
            request = pipeline.pop_unsent()
            if request is None:
                break
            self.answer(request, error, len(error))
        self.free_node(pipeline)
        self.wake()

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
        self.meter.by_limit[REQUEST_TIMEOUT_S] += 1
        if request.is_sampled and request.was_sent:
            self.note_reply(request, EVENT_EXPIRED)
        elif request.is_sampled:
            self.note(request, EVENT_EXPIRED, request.node)
        self.outcome_unknown += request.was_sent and request.is_write
        error = self.control.gave_up(request.slot, request.node,
                                     was_sent=request.was_sent, is_write=request.is_write,
                                     patience=patience_of(request))
        if request.state == HELD:
            client.held.remove(request)
        request.state = WAITING
        request.was_sent = False
        self.answer(request, error, len(error))
        # Last: it may have all else that waits for the node answered too.
        self.control.waited_in_vain(request.node, self.now - request.began)
        return 0


cdef int patience_of(Request request) noexcept:
    """Return the index of what says how long a piece may wait, as of ``Command.patience``."""
    cdef Command command = request.command
    if command is None and isinstance(request, Block):
        command = (<Block>request).row
    return 0 if command is None else command.patience


cdef bint reads_anywhere(Request request) noexcept:
    """Whether a replica may answer a piece: a read, and none of a transaction or a session."""
    return request.command is not None and request.command.reads_anywhere and \
        not isinstance(request, Block)


def _sequence_of(Request request):
    return request.sequence
