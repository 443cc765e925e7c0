# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The sockets of the data plane: one epoll set, read and written in ticks.

Strategy: a tick takes everything that is ready, routes it, and only then
writes: one write for each connection that has something to say, however many
requests or replies were gathered for it. One trio task drives all of it
(``drive.py``), so what trio costs is paid per tick and not per request.

Level-triggered, one ``recv`` for each ready socket and tick: a socket with more
to read is ready again, and no client keeps the others waiting. EPOLLOUT is
armed only while the kernel would not take more, EPOLLIN taken away only when a
stopped client sends nevertheless: on the hot road a request costs no epoll_ctl.
"""

from libc.errno cimport EAGAIN, EINTR, EMFILE, ENFILE, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close

from proxy.dataplane.buffer cimport Buffer
from proxy.dataplane.client cimport STALL_OUTPUT
from proxy.dataplane.frames cimport (
    BROKEN, INLINE, MORE, NOT_A_BULK, WHOLE, ReplyScanner, Scan)
from proxy.dataplane.lane cimport Lane
from proxy.dataplane.request cimport ANSWERED, Request
from proxy.dataplane.tables cimport CommandTable, SlotMap
from proxy.dataplane.frames import FAULTS

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
        EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int max_events, int timeout_ms)

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC
    int eventfd(unsigned int value, int flags)
    int eventfd_write(int fd, unsigned long value)
    int eventfd_read(int fd, unsigned long* value)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_NOSIGNAL
        MSG_DONTWAIT
    struct sockaddr:
        pass
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    int accept4(int listener, sockaddr* address, unsigned int* length, int flags)
    int setsockopt(int fd, int level, int option, const void* value, unsigned int length)
    ssize_t recv(int fd, void* data, size_t length, int flags)
    ssize_t send(int fd, const void* data, size_t length, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef enum:
    MAX_EVENTS = 512
    INBOX_BYTES = 64 * 1024     # one recv; Redis reads a client in pieces of 16 KiB
    OUTBOX_BYTES = 256 * 1024
    COPIED_BYTES = 4096         # longer requests are written from where they are
    MAX_PIECES = 256            # of one write
    ACCEPTS_PER_TICK = 64
    # What a client may send before it has logged in; Redis's own numbers.
    STRANGER_ARGUMENTS = 10
    STRANGER_ARGUMENT_BYTES = 16384
    READ_AHEAD_BYTES = 1024 * 1024

cdef double SWEEP_S = 0.1       # how late a deadline may be noticed
cdef double SLEEPER_S = 0.01    # how late a held piece may be sent again

cdef bytes ASKING_FRAME = b"*1\r\n$6\r\nASKING\r\n"
cdef const char* ASKING = ASKING_FRAME
cdef Py_ssize_t ASKING_BYTES = len(ASKING_FRAME)


cdef double monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>now.tv_sec + <double>now.tv_nsec * 1e-9


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


cdef class Engine(Router):
    """The data plane.

    Args:
        control: Answers the questions of ``hooks.Hooks``.
    """

    def __cinit__(self, control):
        self.control = control
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        self.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.bell < 0:
            raise OSError(errno, "eventfd")
        self.inbox = <char*>malloc(INBOX_BYTES)
        self.outbox = <char*>malloc(OUTBOX_BYTES)
        if self.inbox == NULL or self.outbox == NULL:
            raise MemoryError
        self.owners = []
        self.by_id = {}
        self.spare_scanners = []
        self.doomed = []
        self.paused_listeners = []
        self.scanner = RequestScanner()
        self.inline_scanner = RequestScanner()
        self._add(self.bell)
        self._own(self.bell, None)
        self.now = monotonic()
        self.next_id = 1
        self.request_timeout_s = 20.0
        self.in_flight_limit = 1024
        self.node_queue_soft_bytes = 64 << 20
        self.loss_limit = 3
        self.max_clients = 10_000
        self.client_output_soft_bytes = 16 << 20
        self.client_output_limit_bytes = 256 << 20
        self.reply_limit_bytes = 1 << 30
        self.silence_s = 1.0

    def __dealloc__(self):
        free(self.inbox)
        free(self.outbox)
        if self.epoll > 0:
            close(self.epoll)
        if self.bell > 0:
            close(self.bell)

    def fileno(self):
        """Return the epoll descriptor: readable when a tick has something to do."""
        return self.epoll

    # ---- what the control plane sets -----------------------------------------

    def set_request_limits(self, **limits):
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""
        self.spare_scanners = []
        self.scanner = RequestScanner(**limits)
        self.inline_scanner = RequestScanner(**limits)

    def install_commands(self, CommandTable table):
        """Replace the command table."""
        self.table = table

    def install_slots(self, SlotMap slots):
        """Replace the slot map; what waits for a node without connection is routed anew."""
        cdef Lane lane
        cdef Pipeline pipeline
        self.slots = slots
        for lane in self.lanes:
            for pipeline in lane:
                if pipeline.fd < 0 and pipeline.unsent_head is not None:
                    pipeline.is_wanted = False
                    self.take_back(pipeline)
        self.wake()

    def add_lane(self, Lane lane):
        """Take a lane's pipelines into sweeps and map changes."""
        self.lanes.append(lane)

    def use_lane(self, Client client, Lane lane):
        """Send the client's further requests on another lane; it has none in flight."""
        client.lane = lane

    def listen(self, int fd):
        """Accept clients from a listening, non-blocking socket."""
        self._own(fd, fd)
        self._add(fd)

    def stop_listening(self, int fd):
        """Accept no more clients from this socket; the caller closes it."""
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)
        self.owners[fd] = None

    def drain(self):
        """Take no more requests; each client is closed when it has what it asked for."""
        cdef Client client
        for client in self.by_id.values():
            client.is_closing = True
            self.mark_dirty(client)
        self.wake()

    def attach(self, Pipeline pipeline, int fd):
        """Give a pipeline its connection: connected, authenticated, non-blocking.

        The engine owns ``fd`` from here on, and closes it.
        """
        pipeline.fd = fd
        pipeline.heard_at = self.now
        self._own(fd, pipeline)
        self._add(fd)
        if pipeline.unsent_head is not None and not pipeline.is_dirty:
            pipeline.is_dirty = True
            self.dirty_pipelines.append(pipeline)
        self.wake()

    def drop(self, Pipeline pipeline):
        """Close a pipeline's connection; what was on it is sent again or answered."""
        if pipeline.fd >= 0:
            self._close_pipeline(pipeline)
            self.wake()

    def submit(self, Pipeline pipeline, bytes frame, on_done):
        """Send a request of the proxy's own.

        Args:
            on_done: Called once, inside a tick, with the reply frame as bytes or
                with ``BackendUnavailable``.

        Returns:
            A token for ``abandon``.
        """
        cdef Request request = Request.__new__(Request)
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

    def resume(self, Client client):
        """Let a client go on whose state a hook has changed."""
        self.mark_resuming(client)
        self.wake()

    def close_client(self, Client client, str reason=""):
        """Close a client's connection now; replies it has not read are lost."""
        self._close_client(client, reason)
        self.wake()

    @property
    def clients(self):
        """All clients, by id."""
        return self.by_id

    @property
    def command_table(self):
        """The command table in use."""
        return self.table

    @property
    def slot_map(self):
        """The slot map in use."""
        return self.slots

    @property
    def is_busy(self):
        """Whether a sweep is needed even if no socket becomes ready."""
        return self.in_flight > 0 or bool(self.sleepers) or bool(self.paused_listeners) \
            or self.has_slow_readers or (self.idle_timeout_s > 0 and bool(self.by_id))

    @property
    def sweep_after_s(self):
        """How long the engine may be left alone while it is busy."""
        return SLEEPER_S if self.sleepers else SWEEP_S

    # ---- the tick -------------------------------------------------------------

    def tick(self, int timeout_ms):
        """Handle everything that is ready; wait up to ``timeout_ms`` for something.

        Returns:
            Whether there was anything to do.
        """
        cdef epoll_event events[MAX_EVENTS]
        cdef int count, i
        if self._has_work():
            timeout_ms = 0
        if timeout_ms > 0:
            with nogil:
                count = epoll_wait(self.epoll, events, MAX_EVENTS, timeout_ms)
        else:
            count = epoll_wait(self.epoll, events, MAX_EVENTS, 0)
        self.in_tick = True
        self.now = monotonic()
        self.ticks += 1
        for i in range(count):
            self._dispatch(events[i].data.fd, events[i].events)
        if self.now >= self.next_sweep or self.sleepers:
            self._sweep()
        self._flush()
        self.in_tick = False
        return count > 0 or self._has_work()

    cdef bint _has_work(self) noexcept:
        return bool(self.resuming) or bool(self.settled) or bool(self.dirty_pipelines) \
            or bool(self.dirty_clients)

    cdef int _dispatch(self, int fd, uint32_t events) except -1:
        cdef unsigned long rings
        owner = self.owners[fd]
        if isinstance(owner, Client):
            if events & EPOLLOUT and (<Client>owner).fd >= 0:
                self._write_client(<Client>owner)
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and (<Client>owner).fd >= 0:
                if events & (EPOLLHUP | EPOLLERR) and not (<Client>owner).reads:
                    self._close_client(<Client>owner, "")
                else:
                    self._read_client(<Client>owner)
        elif isinstance(owner, Pipeline):
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and (<Pipeline>owner).fd == fd:
                self._read_pipeline(<Pipeline>owner)
            if events & EPOLLOUT and (<Pipeline>owner).fd == fd:
                self._write_pipeline(<Pipeline>owner)
        elif owner is not None:
            self._accept(fd)
        elif fd == self.bell:
            self.is_rung = False
            eventfd_read(self.bell, &rings)
        return 0

    cdef int wake(self) except -1:
        if not self.in_tick and not self.is_rung:
            self.is_rung = True
            eventfd_write(self.bell, 1)
        return 0

    cdef int _flush(self) except -1:
        """Work off what this tick has gathered."""
        cdef Client client
        cdef Pipeline pipeline
        if self.settled:
            settled = self.settled
            self.settled = []
            for client in settled:
                self.send_held(client)
        if self.resuming:
            resuming = self.resuming
            self.resuming = []
            for client in resuming:
                client.is_resuming = False
                if client.fd >= 0:
                    self._resume(client)
        if self.dirty_pipelines:
            dirty = self.dirty_pipelines
            self.dirty_pipelines = []
            for pipeline in dirty:
                pipeline.is_dirty = False
                if pipeline.fd >= 0 and not pipeline.wants_write:
                    self._write_pipeline(pipeline)
        if self.dirty_clients:
            dirty = self.dirty_clients
            self.dirty_clients = []
            for client in dirty:
                client.is_dirty = False
                # With EPOLLOUT armed the kernel has no room, but the limits still hold.
                if client.fd >= 0 and (
                        not client.wants_write or client.output.end - client.output.start >
                        min(client.output_allowance, self.client_output_limit_bytes)):
                    self._write_client(client)
        if self.doomed:
            for fd in self.doomed:
                self.owners[fd] = None
                close(fd)
            self.doomed = []
        return 0

    cdef int _sweep(self) except -1:
        """Look after time: held pieces, deadlines, silent nodes, clients that do not read."""
        cdef Client client
        cdef Lane lane
        cdef Pipeline pipeline
        if self.sleepers:
            self.settled += self.sleepers
            self.sleepers = []
        if self.now < self.next_sweep:
            return 0
        self.next_sweep = self.now + SWEEP_S
        for fd in self.paused_listeners:
            self._watch(fd, True, False)
        self.paused_listeners = []
        self.has_slow_readers = False
        for client in list(self.by_id.values()):
            if client.head is not None and client.head.deadline <= self.now:
                self.expire(client)
            if client.stall & STALL_OUTPUT:
                # Redis keeps what a client does not read. One that sends its whole pipeline
                # before it reads would wait for us as we wait for it: let it send on.
                if client.bytes_out == client.output_moved:
                    client.output_allowance += self.client_output_soft_bytes
                    client.stall &= ~STALL_OUTPUT
                    self.mark_resuming(client)
                else:
                    self.has_slow_readers = True
                client.output_moved = client.bytes_out
            if self.idle_timeout_s > 0 and client.in_flight == 0 and \
                    self.now - client.last_active_s > self.idle_timeout_s:
                self._close_client(client, "idle for longer than clients.idle_timeout_s")
        for lane in self.lanes:
            for pipeline in lane:
                if pipeline.unsent_head is not None:
                    self._drop_given_up(pipeline)
                if pipeline.fd >= 0 and pipeline.sent_head is not None and \
                        self.now - pipeline.heard_at > self.silence_s:
                    self.control.silent(pipeline, self.now - pipeline.heard_at)
        return 0

    cdef int _drop_given_up(self, Pipeline pipeline) except -1:
        """Make room in the queue of a node that takes nothing."""
        pipeline.drop_given_up()
        if pipeline.fd < 0 and pipeline.unsent_head is None:
            pipeline.is_wanted = False
        if pipeline.waiting_clients and pipeline.unsent_bytes <= self.node_queue_soft_bytes // 2:
            self.free_node(pipeline)
        return 0

    # ---- clients --------------------------------------------------------------

    cdef int _accept(self, int listener) except -1:
        cdef int fd, i, one = 1
        cdef Client client
        for i in range(ACCEPTS_PER_TICK):
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EMFILE or errno == ENFILE:
                    self._watch(listener, False, False)
                    self.paused_listeners.append(listener)
                return 0
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
            if len(self.by_id) >= self.max_clients:
                self.refused_clients += 1
                error = self.control.too_many_clients()
                send(fd, <const char*>error, len(error), MSG_NOSIGNAL)
                close(fd)
                continue
            client = Client(self.next_id, fd, self.control.lane_for(2), self.now, self)
            client.output_allowance = self.client_output_soft_bytes
            self.next_id += 1
            self.accepted += 1
            self.by_id[client.id] = client
            self._own(fd, client)
            self._add(fd)
            self.control.accepted(client)
        return 0

    cdef int _read_client(self, Client client) except -1:
        cdef ssize_t received
        cdef Py_ssize_t room, taken
        cdef char* place
        if client.stall or client.is_closing:
            client.reads = False
            return self._watch(client.fd, False, client.wants_write)
        if client.input.end == client.input.start:
            received = recv(client.fd, self.inbox, INBOX_BYTES, MSG_DONTWAIT)
            if received > 0:
                client.last_active_s = self.now
                client.bytes_in += received
                taken = self._consume(client, self.inbox, received)
                if client.fd >= 0 and taken < received:
                    client.input.append(self.inbox + taken, received - taken)
        else:
            room = INBOX_BYTES
            if client.scanner is not None and client.scanner.bulk_length > 0:
                room = client.scanner.position + client.scanner.bulk_length + 2 - len(client.input)
                room = min(max(room, INBOX_BYTES), READ_AHEAD_BYTES)
            place = client.input.reserve(room)
            received = recv(client.fd, place, room, MSG_DONTWAIT)
            if received > 0:
                client.last_active_s = self.now
                client.bytes_in += received
                client.input.end += received
                return self._resume(client)
        if received == 0:
            client.saw_end = True
            client.reads = False
            self._watch(client.fd, False, client.wants_write)
            return self._close_if_done(client)
        if received < 0 and errno != EAGAIN and errno != EINTR:
            return self._close_client(client, "")
        return 0

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
        if client.saw_end:
            return self._close_if_done(client)
        if client.stall == 0 and not client.reads and not client.is_closing:
            client.reads = True
            self._watch(client.fd, True, client.wants_write)
        return 0

    cdef Py_ssize_t _consume(self, Client client, const char* data, Py_ssize_t length) except -1:
        """Route the whole requests in ``data``; return how many bytes they were."""
        cdef RequestScanner scanner = self.scanner if client.scanner is None else client.scanner
        cdef Py_ssize_t at = 0
        cdef Scan found
        while at < length and client.stall == 0 and not client.is_closing:
            found = scanner.scan(data + at, length - at)
            if client.is_gated and (scanner.expected > STRANGER_ARGUMENTS or
                                    scanner.longest_argument() > STRANGER_ARGUMENT_BYTES):
                self._fail_protocol(
                    client, "STRANGER_ARGUMENTS" if scanner.expected > STRANGER_ARGUMENTS
                    else "STRANGER_ARGUMENT_BYTES", 0)
                scanner.reset()
                break
            if found == MORE:
                if client.scanner is None:
                    client.scanner = scanner
                    self.scanner = self.spare_scanners.pop() if self.spare_scanners \
                        else self._new_scanner()
                return at
            if found == WHOLE:
                if not self.route(client, data + at, scanner):
                    scanner.reset()
                    break
            elif found == INLINE:
                if not self._route_inline(client, data + at, scanner.position):
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
            scanner.reset()
            self.spare_scanners.append(scanner)
        return length if client.is_closing else at

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
        return self.route(client, frame, self.inline_scanner)

    cdef int _refuse_protocol(self, Client client, RequestScanner scanner,
                              const char* data) except -1:
        return self._fail_protocol(client, FAULTS[scanner.fault],
                                   data[scanner.position] if scanner.fault == NOT_A_BULK else 0)

    cdef int _fail_protocol(self, Client client, str fault, char got) except -1:
        """Answer once with the protocol error, then close."""
        self.answer_now(client, self.control.protocol_error(fault, bytes([<unsigned char>got])))
        client.is_closing = True
        return 0

    cdef int _write_client(self, Client client) except -1:
        cdef Buffer output = client.output
        cdef ssize_t written
        while output.end > output.start:
            written = send(client.fd, output.data + output.start, output.end - output.start,
                           MSG_NOSIGNAL | MSG_DONTWAIT)
            if written < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self._close_client(client, "")
                break
            client.bytes_out += written
            output.take(written)
        if output.end > output.start:
            if output.end - output.start > self.client_output_limit_bytes:
                return self._close_client(
                    client, "output over limits.client_output_limit_bytes")
            if output.end - output.start > client.output_allowance:
                client.stall |= STALL_OUTPUT
                self.has_slow_readers = True
            if not client.wants_write:
                client.wants_write = True
                self._watch(client.fd, client.reads, True)
        elif client.wants_write:
            client.output_allowance = self.client_output_soft_bytes
            client.wants_write = False
            self._watch(client.fd, client.reads, False)
        if client.stall & STALL_OUTPUT and \
                output.end - output.start <= self.client_output_soft_bytes // 2:
            client.stall &= ~STALL_OUTPUT
            client.output_allowance = self.client_output_soft_bytes
            if client.stall == 0:
                self.mark_resuming(client)
        return self._close_if_done(client)

    cdef int _close_if_done(self, Client client) except -1:
        """Close a client that wants no more, once everything it asked for is written."""
        if not (client.is_closing or client.saw_end) or client.head is not None:
            return 0
        if client.output.end > client.output.start:
            return 0
        if client.saw_end and (client.stall or client.is_resuming) and not client.is_closing:
            return 0
        return self._close_client(client, "")

    cdef int _close_client(self, Client client, str reason) except -1:
        cdef epoll_event event
        if client.fd < 0:
            return 0
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, client.fd, &event)
        self.doomed.append(client.fd)
        client.fd = -1
        del self.by_id[client.id]
        self.in_flight -= client.in_flight
        client.orphan()
        client.input.clear()
        client.output.clear()
        self.control.closed(client, reason)
        return 0

    # ---- nodes ----------------------------------------------------------------

    cdef int _read_pipeline(self, Pipeline pipeline) except -1:
        cdef ssize_t received
        cdef Py_ssize_t room, taken
        cdef Buffer input = pipeline.input
        if input.end == input.start:
            received = recv(pipeline.fd, self.inbox, INBOX_BYTES, MSG_DONTWAIT)
            if received > 0:
                taken = self._take_replies(pipeline, self.inbox, received)
                if pipeline.fd >= 0 and taken < received:
                    input.append(self.inbox + taken, received - taken)
        else:
            room = pipeline.scanner.position - (input.end - input.start)
            room = min(max(room, INBOX_BYTES), READ_AHEAD_BYTES)
            input.reserve(room)
            received = recv(pipeline.fd, input.data + input.end, room, MSG_DONTWAIT)
            if received > 0:
                input.end += received
                taken = self._take_replies(pipeline, input.data + input.start,
                                           input.end - input.start)
                if pipeline.fd >= 0:
                    input.take(taken)
        if received > 0:
            pipeline.heard_at = self.now
            pipeline.bytes_in += received
        elif received == 0 or (errno != EAGAIN and errno != EINTR):
            return self._close_pipeline(pipeline)
        return 0

    cdef Py_ssize_t _take_replies(self, Pipeline pipeline, const char* data,
                                  Py_ssize_t length) except -1:
        """Hand out the whole replies in ``data``; return how many bytes are used up."""
        cdef ReplyScanner scanner = pipeline.scanner
        cdef Py_ssize_t at = 0
        cdef Scan found
        cdef bytes error
        while at < length:
            found = scanner.scan(data + at, length - at)
            if found == WHOLE:
                if pipeline.discarding or scanner.position > self.reply_limit_bytes:
                    pipeline.discarding = False
                    error = self.control.reply_too_big(pipeline.node)
                    self._take_reply(pipeline, error, len(error))
                else:
                    self._take_reply(pipeline, data + at, scanner.position)
                if pipeline.fd < 0:
                    return length
                at += scanner.position
                scanner.reset()
            elif found == BROKEN:
                self._close_pipeline(pipeline)
                return length
            else:
                if max(scanner.position, length - at) > self.reply_limit_bytes:
                    if data[at] == b">" and not pipeline.discarding:
                        # Nobody waits for it, so no error can take its place.
                        self._close_pipeline(pipeline)
                        return length
                    pipeline.discarding = True
                if pipeline.discarding:
                    taken = min(scanner.position, length - at)
                    if length - at - taken > self.reply_limit_bytes:
                        # A line without end: what comes after it will never be found.
                        self._close_pipeline(pipeline)
                        return length
                    scanner.position -= taken
                    scanner.line_end = max(scanner.line_end - taken, 0)
                    at += taken
                return at
        return at

    cdef int _take_reply(self, Pipeline pipeline, const char* data, Py_ssize_t length) except -1:
        cdef Request request
        if data[0] == b">":
            self.pushes_dropped += 1
            return 0
        request = pipeline.sent_head
        if request is None:
            return self._close_pipeline(pipeline)
        if request.asking:
            request.asking = False
            return 0
        pipeline.pop_sent()
        if data[0] == b"-" and is_refusal(data, length):
            return self.refused(request, data, length)
        if request.state == ANSWERED:
            pipeline.late_replies += 1
            return 0
        return self.answer(request, data, length)

    cdef int _write_pipeline(self, Pipeline pipeline) except -1:
        """Write as much as the kernel takes of what waits: many requests, one call."""
        cdef iovec pieces[MAX_PIECES]
        cdef msghdr message
        cdef int count
        cdef Py_ssize_t used, skip, total, whole
        cdef ssize_t written
        cdef Request request, before
        cdef bint all_written
        while pipeline.unsent_head is not None:
            count = 0
            used = total = 0
            skip = pipeline.written
            before = None
            request = pipeline.unsent_head
            while request is not None and count < MAX_PIECES - 2 and total < OUTBOX_BYTES * 4:
                if request.state == ANSWERED and skip == 0:
                    following = request.next_in_pipeline
                    pipeline.drop_after(before)
                    request = following
                    continue
                if request.asking and skip < ASKING_BYTES:
                    pieces[count].iov_base = <void*>(ASKING + skip)
                    pieces[count].iov_len = ASKING_BYTES - skip
                    total += ASKING_BYTES - skip
                    count += 1
                    skip = 0
                elif request.asking:
                    skip -= ASKING_BYTES
                whole = request.frame_length - skip
                if whole <= COPIED_BYTES:
                    if used + whole > OUTBOX_BYTES:
                        break
                    memcpy(self.outbox + used, request.frame + skip, whole)
                    if count and pieces[count - 1].iov_base + pieces[count - 1].iov_len == \
                            self.outbox + used:
                        pieces[count - 1].iov_len += whole
                    else:
                        pieces[count].iov_base = self.outbox + used
                        pieces[count].iov_len = whole
                        count += 1
                    used += whole
                else:
                    pieces[count].iov_base = request.frame + skip
                    pieces[count].iov_len = whole
                    count += 1
                total += whole
                skip = 0
                before = request
                request = request.next_in_pipeline
            if count == 0:
                break
            if count == 1:
                written = send(pipeline.fd, pieces[0].iov_base, pieces[0].iov_len,
                               MSG_NOSIGNAL | MSG_DONTWAIT)
            else:
                memset(&message, 0, sizeof(message))
                message.msg_iov = pieces
                message.msg_iovlen = count
                written = sendmsg(pipeline.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
            if written < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self._close_pipeline(pipeline)
                break
            pipeline.bytes_out += written
            all_written = written == total
            if pipeline.sent_head is None:
                pipeline.heard_at = self.now
            while written > 0:
                request = pipeline.unsent_head
                whole = request.frame_length - pipeline.written
                if request.asking:
                    whole += ASKING_BYTES
                if written < whole:
                    pipeline.written += written
                    request.was_sent = True  # the rest will follow, deadline or not
                    break
                written -= whole
                pipeline.written = 0
                pipeline.mark_sent()
            if not all_written:
                break
        if pipeline.unsent_head is not None:
            if not pipeline.wants_write:
                pipeline.wants_write = True
                self._watch(pipeline.fd, True, True)
        elif pipeline.wants_write:
            pipeline.wants_write = False
            self._watch(pipeline.fd, True, False)
        if pipeline.waiting_clients and pipeline.unsent_bytes <= self.node_queue_soft_bytes // 2:
            self.free_node(pipeline)
        return 0

    cdef int _close_pipeline(self, Pipeline pipeline) except -1:
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, pipeline.fd, &event)
        self.doomed.append(pipeline.fd)
        pipeline.wants_write = False
        return self.lost(pipeline)

    # ---- epoll ----------------------------------------------------------------

    cdef int _own(self, int fd, object owner) except -1:
        while len(self.owners) <= fd:
            self.owners.append(None)
        self.owners[fd] = owner
        return 0

    cdef int _add(self, int fd) except -1:
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.fd = fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        return 0

    cdef int _watch(self, int fd, bint reads, bint writes) except -1:
        cdef epoll_event event
        event.events = (EPOLLIN if reads else 0) | (EPOLLOUT if writes else 0)
        event.data.fd = fd
        epoll_ctl(self.epoll, EPOLL_CTL_MOD, fd, &event)
        return 0
