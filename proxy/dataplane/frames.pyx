# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Find where RESP requests and replies end, in a stream that is cut anywhere.

Strategy: frames are forwarded as the bytes they came in, so nothing is decoded
here. A request scanner also notes where each argument lies, for key finding; a
reply scanner only counts how many values are still to come, which needs no
stack however deep a reply is nested: an aggregate of n adds n to the count.

Numbers and line ends are read more strictly than a server reads them (no sign,
no leading zero, CR always followed by LF): what passes here means the same to
every server, so one client's bytes cannot shift a shared connection.

Cost: each byte is looked at once however the stream is cut; a scanner remembers
its position and is told the frame's first byte again at each call. Bulk payload
is jumped over, not looked at.

RESP3's streamed types (``$?``, ``*?``, ``.``) are refused: no server sends them.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memchr

from proxy.dataplane cimport memory
from proxy.errors import BackendProtocolError, ClientProtocolError

# A header line is '*' or '$', up to 19 digits and CR LF; Redis calls a longer one
# "too big mbulk count string" only after 64 KiB, which would let a client make us keep them.
cdef Py_ssize_t HEADER_LIMIT = 32
# A scanner has room for so many arguments at rest: 16 KiB, however many it has seen.
cdef Py_ssize_t KEPT_ARGUMENTS = 1024
# A reply that announces more values than this is no reply.
cdef Py_ssize_t VALUES_LIMIT = <Py_ssize_t>1 << 40

FAULTS = {
    BAD_COUNT: "BAD_COUNT",
    BAD_LENGTH: "BAD_LENGTH",
    TOO_MANY_ARGUMENTS: "TOO_MANY_ARGUMENTS",
    ARGUMENT_TOO_LONG: "ARGUMENT_TOO_LONG",
    BAD_LINE_END: "BAD_LINE_END",
    NOT_A_BULK: "NOT_A_BULK",
    LINE_TOO_LONG: "LINE_TOO_LONG",
    HEADER_TOO_LONG: "HEADER_TOO_LONG",
    LENGTH_TOO_LONG: "LENGTH_TOO_LONG",
    FRAME_TOO_LONG: "FRAME_TOO_LONG",
    BAD_TYPE: "BAD_TYPE",
}


cdef Py_ssize_t read_number(const char* text, Py_ssize_t length, bint* valid) noexcept:
    """Read a decimal number as Redis writes it; at most 18 digits, ``-`` allowed."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t value = 0
    cdef bint negative = False
    cdef unsigned char digit
    valid[0] = False
    if length > 0 and text[0] == b"-":
        negative = True
        i = 1
    if i >= length or length - i > 18:
        return 0
    if text[i] == b"0" and (length - i > 1 or negative):
        return 0
    while i < length:
        digit = <unsigned char>text[i] - 48
        if digit > 9:
            return 0
        value = value * 10 + digit
        i += 1
    valid[0] = True
    return -value if negative else value


cdef class RequestScanner:
    """Cuts one client's stream into requests and notes where the arguments lie."""

    def __cinit__(self, *, Py_ssize_t argument_limit=1024 * 1024,
                  Py_ssize_t argument_limit_bytes=512 * 1024 * 1024,
                  Py_ssize_t inline_limit_bytes=64 * 1024,
                  Py_ssize_t request_limit_bytes=1024 * 1024 * 1024):
        self.argument_limit = argument_limit
        self.argument_limit_bytes = argument_limit_bytes
        self.inline_limit_bytes = inline_limit_bytes
        self.request_limit_bytes = request_limit_bytes
        self.grow(16)
        self.reset()

    def __dealloc__(self):
        memory.held_bytes -= self.capacity * <Py_ssize_t>sizeof(Arg)
        free(self.args)

    cdef void reset(self) noexcept:
        """Begin the next frame."""
        cdef Arg* args
        if self.capacity > KEPT_ARGUMENTS:
            args = <Arg*>realloc(self.args, KEPT_ARGUMENTS * sizeof(Arg))
            if args != NULL:
                memory.held_bytes -= (self.capacity - KEPT_ARGUMENTS) * <Py_ssize_t>sizeof(Arg)
                self.args = args
                self.capacity = KEPT_ARGUMENTS
        self.count = 0
        self.expected = -1
        self.position = 0
        self.line_end = 0
        self.bulk_length = -1
        self.fault = NO_FAULT

    cdef void grow(self, Py_ssize_t wanted) except *:
        cdef Py_ssize_t capacity = max(wanted, self.capacity * 2)
        cdef Arg* args = <Arg*>realloc(self.args, capacity * sizeof(Arg))
        if args == NULL:
            raise MemoryError
        memory.held_bytes += (capacity - self.capacity) * <Py_ssize_t>sizeof(Arg)
        self.args = args
        self.capacity = capacity

    cdef Scan scan(self, const char* data, Py_ssize_t length) except *:
        """Go on with the frame that begins at ``data``, of which ``length`` bytes are here.

        After WHOLE, ``args[:count]`` lie in ``data`` and the frame is ``position``
        bytes long. Offsets are from the frame's start, so the buffer may move
        between two calls.
        """
        cdef Py_ssize_t end
        cdef bint valid
        cdef Py_ssize_t number
        cdef const char* found
        if self.expected < 0:
            if length == 0:
                return MORE
            if data[0] != b"*":
                return self._scan_inline(data, length)
            end = self._line(data, length)
            if end < 0:
                return BROKEN if self.fault else MORE
            number = read_number(data + 1, end - 1, &valid)
            if not valid or number > self.argument_limit:
                self.fault = TOO_MANY_ARGUMENTS if valid else BAD_COUNT
                return BROKEN
            self.position = self.line_end = end + 2
            if number <= 0:
                return EMPTY
            self.expected = number
        while self.count < self.expected:
            if self.bulk_length < 0:
                if self.position >= length:
                    return MORE
                if data[self.position] != b"$":
                    self.fault = NOT_A_BULK
                    return BROKEN
                end = self._line(data, length)
                if end < 0:
                    return BROKEN if self.fault else MORE
                number = read_number(data + self.position + 1, end - self.position - 1, &valid)
                if not valid or number < 0 or number > self.argument_limit_bytes:
                    self.fault = ARGUMENT_TOO_LONG if valid and number > 0 else BAD_LENGTH
                    return BROKEN
                self.bulk_length = number
                self.position = self.line_end = end + 2
                if self.position + number > self.request_limit_bytes:
                    self.fault = FRAME_TOO_LONG
                    return BROKEN
            end = self.position + self.bulk_length
            if end + 2 > length:
                return MORE
            if data[end] != b"\r" or data[end + 1] != b"\n":
                self.fault = BAD_LINE_END
                return BROKEN
            if self.count == self.capacity:
                self.grow(self.count + 1)
            self.args[self.count].start = self.position
            self.args[self.count].length = self.bulk_length
            self.count += 1
            self.bulk_length = -1
            self.position = self.line_end = end + 2
        return WHOLE

    cdef Scan _scan_inline(self, const char* data, Py_ssize_t length) noexcept:
        cdef const char* found = <const char*>memchr(
            data + self.line_end, b"\n", length - self.line_end)
        if found == NULL:
            self.line_end = length
            if length > self.inline_limit_bytes:
                self.fault = LINE_TOO_LONG
                return BROKEN
            return MORE
        self.position = found - data + 1
        if self.position > self.inline_limit_bytes:
            self.fault = LINE_TOO_LONG
            return BROKEN
        if self.position == 1 or (self.position == 2 and data[0] == b"\r"):
            return EMPTY
        return INLINE

    cdef Py_ssize_t _line(self, const char* data, Py_ssize_t length) noexcept:
        """Return where the header line that begins at ``position`` has its CR, or -1."""
        cdef const char* found
        cdef Py_ssize_t end
        found = <const char*>memchr(data + self.line_end, b"\n", length - self.line_end) \
            if length > self.line_end else NULL
        if found == NULL:
            self.line_end = max(length, self.line_end)
            if length - self.position > HEADER_LIMIT:
                self.fault = HEADER_TOO_LONG if self.expected < 0 else LENGTH_TOO_LONG
            return -1
        end = found - data
        if end - self.position > HEADER_LIMIT:
            self.fault = HEADER_TOO_LONG if self.expected < 0 else LENGTH_TOO_LONG
            return -1
        if end - self.position < 2 or data[end - 1] != b"\r":
            self.fault = BAD_COUNT if self.expected < 0 else BAD_LENGTH
            return -1
        return end - 1

    cdef Py_ssize_t longest_argument(self) noexcept:
        """Return the length of the longest argument found or announced so far."""
        cdef Py_ssize_t i, longest = self.bulk_length
        for i in range(self.count):
            longest = max(longest, self.args[i].length)
        return longest

    cdef list copy_args(self, const char* frame):
        """Return the arguments of the whole frame at ``frame`` as Python bytes."""
        cdef Py_ssize_t i
        return [frame[self.args[i].start:self.args[i].start + self.args[i].length]
                for i in range(self.count)]


cdef class ReplyScanner:
    """Finds where a server's replies end: every type of RESP2 and RESP3."""

    def __cinit__(self):
        self.reset()

    cdef void reset(self) noexcept:
        """Begin the next frame."""
        self.position = 0
        self.missing = 1
        self.line_end = 0
        self.fault = NO_FAULT

    cdef Scan scan(self, const char* data, Py_ssize_t length) noexcept:
        """Go on with the frame that begins at ``data``: MORE, WHOLE or BROKEN."""
        cdef const char* found
        cdef Py_ssize_t end
        cdef Py_ssize_t number
        cdef bint valid
        cdef char kind
        while self.missing > 0:
            if self.position >= length:
                return MORE
            kind = data[self.position]
            if kind not in b"+-:_,#($=!*~>%|":
                self.fault = BAD_TYPE
                return BROKEN
            if self.line_end < self.position:
                self.line_end = self.position
            found = <const char*>memchr(data + self.line_end, b"\n", length - self.line_end)
            if found == NULL:
                self.line_end = length
                if kind in b"$*%~>|=!" and length - self.position > HEADER_LIMIT:
                    self.fault = HEADER_TOO_LONG
                    return BROKEN
                return MORE
            end = found - data
            if end - self.position > HEADER_LIMIT and kind in b"$*%~>|=!":
                self.fault = HEADER_TOO_LONG
                return BROKEN
            if end - self.position < 2 or data[end - 1] != b"\r":
                self.fault = BAD_LENGTH
                return BROKEN
            if kind in b"+-:_,#(":
                self.position = end + 1
                self.missing -= 1
                continue
            number = read_number(data + self.position + 1, end - self.position - 2, &valid)
            if not valid or number < -1 or number > VALUES_LIMIT:
                self.fault = BAD_LENGTH
                return BROKEN
            if kind in b"$=!":
                # The next value begins past the payload and its CR LF; a null has neither.
                self.position = end + 1 if number < 0 else end + 1 + number + 2
                self.missing -= 1
            elif kind in b"*~>":
                self.position = end + 1
                self.missing += max(number, 0) - 1
            elif kind == b"%":
                self.position = end + 1
                self.missing += 2 * max(number, 0) - 1
            else:
                # Attributes ('|') stand before the value they describe and are none themselves.
                self.position = end + 1
                self.missing += 2 * max(number, 0)
            if self.missing > VALUES_LIMIT:
                self.fault = BAD_LENGTH
                return BROKEN
        return WHOLE if self.position <= length else MORE


cdef class RequestStream:
    """Feed bytes of a client, get the requests that became whole, as lists of arguments.

    The same scanner as the data plane's, with a Python face: for sessions,
    tools and tests. An inline command comes out as one argument, its line.
    """

    cdef RequestScanner scanner
    cdef bytearray pending

    def __init__(self, **limits):
        self.scanner = RequestScanner(**limits)
        self.pending = bytearray()

    def feed(self, bytes data):
        """Return the requests completed by ``data``.

        Raises:
            ClientProtocolError: The bytes are not RESP; the message names the fault.
        """
        cdef list requests = []
        cdef Py_ssize_t start = 0
        cdef Scan found
        self.pending += data
        cdef const char* text = self.pending
        while start < len(self.pending):
            found = self.scanner.scan(text + start, len(self.pending) - start)
            if found == MORE:
                break
            if found == BROKEN:
                raise ClientProtocolError(FAULTS[self.scanner.fault])
            if found == WHOLE:
                requests.append(self.scanner.copy_args(text + start))
            elif found == INLINE:
                requests.append([(text + start)[:self.scanner.position].rstrip(b"\r\n")])
            start += self.scanner.position
            self.scanner.reset()
        del self.pending[:start]
        return requests


cdef class ReplyStream:
    """Feed bytes of a server, get the replies that became whole, as the bytes they came in."""

    cdef ReplyScanner scanner
    cdef bytearray pending

    def __init__(self):
        self.scanner = ReplyScanner()
        self.pending = bytearray()

    def feed(self, bytes data):
        """Return the reply frames completed by ``data``.

        Raises:
            BackendProtocolError: The bytes are not RESP.
        """
        cdef list replies = []
        cdef Py_ssize_t start = 0
        cdef Scan found
        self.pending += data
        cdef const char* text = self.pending
        while start < len(self.pending):
            found = self.scanner.scan(text + start, len(self.pending) - start)
            if found == MORE:
                break
            if found == BROKEN:
                raise BackendProtocolError(FAULTS[self.scanner.fault])
            replies.append((text + start)[:self.scanner.position])
            start += self.scanner.position
            self.scanner.reset()
        del self.pending[:start]
        return replies


def split_frames(bytes data):
    """Return the reply frames that lie one behind the other in ``data``.

    Raises:
        BackendProtocolError: They are not whole, or not RESP.
    """
    cdef list frames = ReplyStream().feed(data)
    if sum(map(len, frames)) != len(data):
        raise BackendProtocolError("INCOMPLETE")
    return frames


def split_array(bytes frame):
    """Return the frames of an aggregate's elements, of a map's keys and values in turn.

    Returns:
        None for a null.

    Raises:
        BackendProtocolError: It is another type.
    """
    head, _, rest = frame.partition(b"\r\n")
    if head in (b"*-1", b"_"):
        return None
    if head[:1] not in (b"*", b"~", b">", b"%"):
        raise BackendProtocolError("NOT_AN_AGGREGATE")
    return split_frames(rest)
