# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One client: its requests in order, its bytes in and out, why it is stopped.

Law 1 lives in ``complete``: a reply leaves when all earlier ones have, and
waits in its request until then.

A client at rest holds no buffers: both are given back when empty, and the
scanner is its own only while a frame is cut.
"""

import socket

from libc.stdlib cimport free

from proxy.dataplane.gather cimport Gather
from proxy.dataplane.request cimport ANSWERED, Request

# In plain words, each Stall bit.
STOPPED_BY = (
    (STALL_DRAIN, "its earlier requests"), (STALL_PUNT, "the control plane"),
    (STALL_HELD, "what is sent again"), (STALL_OUTPUT, "output it does not read"),
    (STALL_IN_FLIGHT, "its requests in flight"), (STALL_NODE, "a node's full queue"),
    (STALL_PAUSE, "CLIENT PAUSE"), (STALL_RATE, "its rate"))


cdef class Client:
    def __cinit__(self, uint64_t id, int fd, Lane lane, double now, object engine):
        self.id = id
        self.engine = engine
        self.fd = fd
        self.lane = lane
        self.input = Buffer()
        self.output = Buffer()
        self.reads = True
        self.created_s = self.last_active_s = now

    cdef void enqueue(self, Request request) noexcept:
        """Put a request at the end of the client's order."""
        request.client = self
        if self.tail is None:
            self.head = request
        else:
            self.tail.next_in_client = request
        self.tail = request

    cdef void insert(self, Request request, Request before) noexcept:
        """Put a frame that is already there into the client's order, right behind ``before``."""
        request.client = self
        request.next_in_client = before.next_in_client
        before.next_in_client = request
        if self.tail is before:
            self.tail = request
        self.kept_bytes += request.reply_length

    cdef void obey_reply_mode(self, Request request) noexcept:
        """Note whether this request's reply is to be sent: CLIENT REPLY OFF and SKIP."""
        request.silent = self.reply_mode != REPLY_ON
        if self.reply_mode == REPLY_SKIP:
            self.reply_mode = REPLY_ON

    cdef int complete(self, Request request, const char* data, Py_ssize_t length) except -1:
        """Take the reply of a request: write it out if it is its turn, else keep it.

        ``data`` may be NULL when the request has already kept its reply.
        """
        cdef Request head
        request.state = ANSWERED
        if request is not self.head:
            if data != NULL:
                request.keep_reply(data, length)
            self.kept_bytes += request.reply_length
            return 0
        if data == NULL:
            data = request.reply
            length = request.reply_length
        if not request.silent:
            self.output.append(data, length)
        while True:
            head = self.head
            self.head = head.next_in_client
            head.next_in_client = None
            head.client = None
            if self.head is None:
                self.tail = None
                return 0
            head = self.head
            if head.state != ANSWERED:
                return 0
            self.kept_bytes -= head.reply_length
            if not head.silent:
                self.output.append(head.reply, head.reply_length)

    cdef void orphan(self) noexcept:
        """Let go of every request: late replies find nobody and are dropped."""
        cdef Request request = self.head
        cdef Request following
        self.head = self.tail = None
        self.held = None
        self.punted = None
        self.in_flight = 0
        self.kept_bytes = 0
        while request is not None:
            following = request.next_in_client
            request.next_in_client = None
            request.client = None
            if isinstance(request, Gather):
                for part in (<Gather>request).parts:
                    (<Request>part).client = None
                    (<Request>part).parent = None
                (<Gather>request).parts = None
            request = following

    @property
    def is_gated(self):
        """Whether it must log in first; then every request goes to the control plane."""
        return self.gated

    @is_gated.setter
    def is_gated(self, bint gated):
        if gated or self.gated:
            self.is_off_road = gated
        if gated != self.gated:
            self.gated = gated
            self.engine.expect_login(self)
        self.is_careful = gated or self.allowance is not None

    @property
    def resp(self):
        """Protocol version the client speaks: 2 or 3."""
        return self.lane.resp

    @property
    def query_buffer_bytes(self):
        """Bytes read and not yet routed."""
        return self.input.end - self.input.start

    @property
    def output_bytes(self):
        """Bytes that wait to be written."""
        return self.output.end - self.output.start

    @property
    def stopped_by(self):
        """Why its next request may not be routed yet; empty: it may."""
        return tuple([name for bit, name in STOPPED_BY if self.stall & bit])

    @property
    def last_command(self):
        """Name of the last command, lower case; empty before the first."""
        return b"" if self.last_row is None else self.last_row.name

    @property
    def is_closed(self):
        """Whether its connection is gone."""
        return self.fd == GONE

    @property
    def fd_number(self):
        """Number of its socket, -1 once closed."""
        return self.fd

    @property
    def address(self):
        """The client's address and port as text."""
        return _address_text(self.fd, True) if self.told_address is None else self.told_address

    @property
    def local_address(self):
        """The address and port it connected to, as text."""
        return _address_text(self.fd, False) if self.told_address is None \
            else self.told_local_address

    def close_after_reply(self):
        """Take no more requests, and close when all replies are written."""
        self.is_closing = True

    def close(self):
        """Close its connection now; replies it has not read are lost."""
        self.engine.close_client(self)

    def __repr__(self):
        return f"<Client {self.id} fd={self.fd} in_flight={self.in_flight}>"


def _address_text(int fd, bint of_peer):
    """Return "host:port" of a socket that stays open; "" if it is gone."""
    if fd < 0:
        return ""
    try:
        with socket.socket(fileno=socket.dup(fd)) as copy:
            if copy.family == socket.AF_UNIX:
                return _path_text(copy.getsockname())  # of both ends, as servers say it
            name = copy.getpeername() if of_peer else copy.getsockname()
    except OSError:
        return ""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _path_text(path):
    """Return "path:0" of a Unix socket; an abstract one begins with ``@``."""
    if isinstance(path, bytes):
        path = path.replace(b"\0", b"@").decode("ascii", "backslashreplace")
    return f"{path}:0"
