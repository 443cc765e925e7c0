# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What clients send: read and route.

Strategy: one ``recv`` for each ready client and tick, so that no client keeps
the others waiting; what it brought is routed from where it lies, and only the
rest of a cut frame is kept. EPOLLIN is taken away only when a stopped client sends
nevertheless: on the hot road a request costs no epoll_ctl.
"""

from libc.errno cimport EAGAIN, EINTR, errno

from proxy.dataplane.allowance cimport Allowance
from proxy.dataplane.cipher cimport Cipher
from proxy.dataplane.client cimport STALL_RATE
from proxy.dataplane.frames cimport (
    ARGUMENT_TOO_LONG, BROKEN, FRAME_TOO_LONG, INLINE, LINE_TOO_LONG, MORE, NOT_A_BULK,
    TOO_MANY_ARGUMENTS, WHOLE, Scan)
from proxy.dataplane.frames import FAULTS
from proxy.dataplane.kernel cimport MSG_DONTWAIT, recv
from proxy.dataplane.lane cimport Lane
from proxy.dataplane.meter cimport (
    ARGUMENT_LIMIT, ARGUMENT_LIMIT_BYTES, INLINE_LIMIT_BYTES, MEMORY_LIMIT_BYTES,
    REQUEST_LIMIT_BYTES)
from proxy.dataplane.restraint cimport ADMITTED, REFUSED, STOPPED, Verdict
from proxy.dataplane.sockets cimport CUT_BYTES, INBOX_BYTES, READ_AHEAD_BYTES

cdef enum:
    # What a client may send before it has logged in; Redis's own numbers.
    STRANGER_ARGUMENTS = 10
    STRANGER_ARGUMENT_BYTES = 16384
    SPARE_SCANNERS = 64     # chosen: 1 MiB if all of them have seen many arguments
    # A frame may come to its end although memory has run out; a longer one is cut off.
    SMALL_FRAME_BYTES = 64 * 1024
    # How the first bytes of a client begin that speaks TLS.
    TLS_HANDSHAKE = 22
    TLS_MAJOR = 3


cdef class ClientSide(ClientOutput):
    """The part of an engine that reads requests."""

    def __cinit__(self, *args, **kwargs):
        self.scanner = RequestScanner()
        self.inline_scanner = RequestScanner()
        self.spare_scanners = []

    # ---- what the control plane sets ------------------------------------------

    def set_request_limits(self, **limits):
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""
        self.spare_scanners = []
        self.scanner = RequestScanner(**limits)
        self.inline_scanner = RequestScanner(**limits)

    def use_lane(self, Client client, Lane lane):
        """Send the client's further requests on another lane; it has none in flight."""
        client.lane = lane

    def resume(self, Client client):
        """Let a client go on whose state a hook has changed."""
        self.mark_resuming(client)
        self.wake()

    # ---- requests in ----------------------------------------------------------------

    cdef int _read_client(self, Client client) except -1:
        cdef ssize_t received
        cdef Py_ssize_t room, taken
        cdef char* place
        if client.stall or client.is_closing:
            client.reads = False
            return self._watch_client(client)
        if client.cipher is not None:
            received = self._receive_requests(client)
        elif client.input.end == client.input.start:
            received = recv(client.fd, self.inbox, INBOX_BYTES, MSG_DONTWAIT)
            if received > 0:
                client.last_active_s = self.now
                client.bytes_in += received
                self.meter.client_bytes_in += received
                taken = self._consume(client, self.inbox, received)
                if client.fd >= 0 and taken < received:
                    client.input.append(self.inbox + taken, received - taken)
        else:
            room = CUT_BYTES
            if client.scanner is not None and client.scanner.bulk_length > 0:
                room = client.scanner.position + client.scanner.bulk_length + 2 - len(client.input)
                room = min(max(room, CUT_BYTES), READ_AHEAD_BYTES)
            place = client.input.reserve(room)
            received = recv(client.fd, place, room, MSG_DONTWAIT)
            if received > 0:
                client.last_active_s = self.now
                client.bytes_in += received
                self.meter.client_bytes_in += received
                client.input.end += received
                return self._resume(client)
        if received == 0:
            client.saw_end = True
            client.reads = False
            self._watch_client(client)
            return self._close_if_done(client)
        if received < 0 and errno != EAGAIN and errno != EINTR:
            return self._close_client(client, "")
        return 0

    cdef ssize_t _receive_requests(self, Client client) except -2:
        """Read and route requests that come over TLS, or go on with its handshake.

        Returns:
            What ``recv`` would have; 1 for a client that is gone.
        """
        cdef Cipher cipher = client.cipher
        cdef bint was_open = cipher.is_open
        cdef Py_ssize_t taken
        cdef ssize_t received
        if not was_open and not self.may_go_on():
            return 1
        received = cipher.receive(client.fd, self.inbox, INBOX_BYTES)
        if cipher.waits():
            self.mark_dirty(client)
        if cipher.is_open and not was_open:
            self.end_handshake(client)
        if received < 0:
            return received
        if received > 0:
            client.last_active_s = self.now
            client.bytes_in += received
            self.meter.client_bytes_in += received
            if client.input.end == client.input.start:
                taken = self._consume(client, self.inbox, received)
                if client.fd >= 0 and taken < received:
                    client.input.append(self.inbox + taken, received - taken)
            else:
                client.input.append(self.inbox, received)
                self._resume(client)
        if client.fd >= 0 and cipher.failure is not None:
            self._close_client(client, "")
        return 0 if client.fd >= 0 and (received == 0 or cipher.has_ended) else 1

    cdef int _resume(self, Client client) except -1:
        """Consume what was read before, and read on."""
        cdef Py_ssize_t taken
        if client.stall:
            return 0
        if client.input.end > client.input.start:
            taken = self._consume(client, client.input.data + client.input.start,
                                  client.input.end - client.input.start)
            if client.fd < 0:
                return 0
            client.input.take(taken)
            if client.input.end - client.input.start > SMALL_FRAME_BYTES and \
                    client.scanner is not None and self.lacks_memory():
                self.give_up_frame(client)
        if client.saw_end:
            return self._close_if_done(client)
        if client.stall == 0 and not client.reads and not client.is_closing:
            client.reads = True
            self._watch_client(client)
        return 0

    cdef Py_ssize_t _consume(self, Client client, const char* data, Py_ssize_t length) except -1:
        """Route the whole requests in ``data``; return how many bytes they were."""
        cdef RequestScanner scanner = self.scanner if client.scanner is None else client.scanner
        cdef Py_ssize_t at = 0
        cdef Scan found
        cdef Verdict verdict
        self.look_at_memory()
        if data[0] == TLS_HANDSHAKE and length > 1 and data[1] == TLS_MAJOR and \
                client.commands == 0:
            self._fail_protocol(client, "TLS", 0)
            return length
        while at < length and client.stall == 0 and not client.is_closing:
            found = scanner.scan(data + at, length - at)
            if client.is_careful:
                verdict = self._examine(client, scanner, found)
                if verdict != ADMITTED:
                    at += scanner.position if verdict == REFUSED else 0
                    scanner.reset()
                    if verdict == REFUSED:
                        continue
                    break
            if found == MORE:
                if client.scanner is None:
                    client.scanner = scanner
                    self.scanner = self.spare_scanners.pop() if self.spare_scanners \
                        else self._new_scanner()
                return at
            if found == WHOLE:
                if not self.route(client, data + at, scanner):
                    client.is_admitted = True
                    scanner.reset()
                    break
                if self.tap is not None:
                    self._show(client, data + at, scanner)
            elif found == INLINE:
                if not self._route_inline(client, data + at, scanner.position):
                    client.is_admitted = True
                    scanner.reset()
                    break
            elif found == BROKEN:
                self._refuse_protocol(client, scanner, data + at)
                scanner.reset()
                at = length
                break
            at += scanner.position
            scanner.reset()
            if client.fd < 0:
                at = length
                break
        if client.scanner is not None:
            client.scanner = None
            self._put_back(scanner)
        return length if client.is_closing else at

    cdef Verdict _examine(self, Client client, RequestScanner scanner, Scan found) except *:
        """Look at a request, whole or not, of a client that must log in or has an allowance."""
        if client.gated and (scanner.expected > STRANGER_ARGUMENTS or
                             scanner.longest_argument() > STRANGER_ARGUMENT_BYTES):
            self._fail_protocol(
                client, "STRANGER_ARGUMENTS" if scanner.expected > STRANGER_ARGUMENTS
                else "STRANGER_ARGUMENT_BYTES", 0)
            return STOPPED
        if client.allowance is None or (found != WHOLE and found != INLINE):
            return ADMITTED
        return self.admit(client, scanner.position)

    cdef int give_up_frame(self, Client client) except -1:
        """Refuse what has come of a long request: there is no memory for the rest of it."""
        self.meter.by_limit[MEMORY_LIMIT_BYTES] += 1
        client.input.clear()
        self._put_back(client.scanner)
        client.scanner = None
        self.answer_now(client, self.control.out_of_memory())
        client.is_closing = True
        return 0

    cdef int quench(self) except -1:
        """Let clients go on whose allowance has grown, in turn."""
        cdef Allowance allowance
        cdef Client client
        cdef Py_ssize_t turns
        thirsty = self.thirsty
        self.thirsty = []
        self.is_quenching = True
        for allowance in thirsty:
            # Each has one turn, in which it takes all there is; then the next, at another time.
            turns = len(allowance.waiting)
            while turns and (allowance.is_open(self.now) or allowance.waiting[0].is_closed):
                turns -= 1
                client = allowance.waiting.popleft()
                if client.fd >= 0 and client.allowance is allowance:
                    client.stall &= ~STALL_RATE
                    self._resume(client)
            if allowance.waiting:
                self.thirsty.append(allowance)
            else:
                allowance.is_awaited = False
        self.is_quenching = False
        return 0

    cdef int _show(self, Client client, const char* frame, RequestScanner scanner) except -1:
        """Show a request to whoever monitors, unless it was refused; it is gone with its client."""
        if client.fd >= 0 and self.turned_away != self.requests:
            self.tap(client, scanner.copy_args(frame))
        return 0

    cdef int _put_back(self, RequestScanner scanner) except -1:
        """Keep a scanner for the next frame that is cut; a burst of these is forgotten."""
        scanner.reset()
        if len(self.spare_scanners) < SPARE_SCANNERS:
            self.spare_scanners.append(scanner)
        return 0

    cdef RequestScanner _new_scanner(self):
        cdef RequestScanner like = self.inline_scanner
        return RequestScanner(
            argument_limit=like.argument_limit, argument_limit_bytes=like.argument_limit_bytes,
            inline_limit_bytes=like.inline_limit_bytes,
            request_limit_bytes=like.request_limit_bytes)

    cdef bint _route_inline(self, Client client, const char* line, Py_ssize_t length) except -1:
        """Route one line as the request it stands for; False if the client must wait."""
        cdef bytes frame
        cdef bint routed
        args = self.control.inline_args(line[:length])
        if args is None:
            self._fail_protocol(client, "UNBALANCED_QUOTES", 0)
            return True
        if not args:
            return True
        frame = b"*%d\r\n" % len(args) + b"".join(
            [b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args])
        self.inline_scanner.reset()
        if self.inline_scanner.scan(frame, len(frame)) != WHOLE:
            self._refuse_protocol(client, self.inline_scanner, frame)
            return True
        if not self.route(client, frame, self.inline_scanner):
            return False
        if self.tap is not None:
            self._show(client, frame, self.inline_scanner)
        return True

    cdef int _refuse_protocol(self, Client client, RequestScanner scanner,
                              const char* data) except -1:
        if scanner.fault == TOO_MANY_ARGUMENTS:
            self.meter.by_limit[ARGUMENT_LIMIT] += 1
        elif scanner.fault == ARGUMENT_TOO_LONG:
            self.meter.by_limit[ARGUMENT_LIMIT_BYTES] += 1
        elif scanner.fault == LINE_TOO_LONG:
            self.meter.by_limit[INLINE_LIMIT_BYTES] += 1
        elif scanner.fault == FRAME_TOO_LONG:
            self.meter.by_limit[REQUEST_LIMIT_BYTES] += 1
        return self._fail_protocol(client, FAULTS[scanner.fault],
                                   data[scanner.position] if scanner.fault == NOT_A_BULK else 0)

    cdef int _fail_protocol(self, Client client, str fault, char got) except -1:
        """Answer once with the protocol error, then close."""
        self.meter.protocol_errors += 1
        self.answer_now(client, self.control.protocol_error(fault, bytes([<unsigned char>got])))
        client.is_closing = True
        return 0
