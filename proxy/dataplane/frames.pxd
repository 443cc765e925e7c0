# cython: language_level=3
"""C face of frames.pyx: where requests and replies begin and end."""


cdef enum Scan:
    MORE       # the frame is not whole yet
    WHOLE      # one whole frame ends at ``position``
    EMPTY      # ``*0``, ``*-1`` or a blank line: skip ``position`` bytes, answer nothing
    INLINE     # one line of an inline command ends at ``position``
    BROKEN     # not RESP; ``fault`` says why


cdef enum Fault:
    NO_FAULT
    BAD_COUNT          # multibulk length is no number
    BAD_LENGTH         # bulk length is no number
    TOO_MANY_ARGUMENTS # multibulk length is over the limit
    ARGUMENT_TOO_LONG  # bulk length is over the limit
    BAD_LINE_END       # no CR LF where an argument ends
    NOT_A_BULK         # something else than '$' where an argument must begin
    LINE_TOO_LONG      # an inline command over the limit
    HEADER_TOO_LONG    # a '*' line of a request, or any line of a reply, that does not end
    LENGTH_TOO_LONG    # a '$' line of a request that does not end
    FRAME_TOO_LONG     # a whole request over the limit
    BAD_TYPE           # a reply begins with a byte that is no RESP type


cdef struct Arg:
    Py_ssize_t start   # of the argument's first byte, from the frame's first byte
    Py_ssize_t length


cdef class RequestScanner:
    cdef Arg* args
    cdef Py_ssize_t capacity
    cdef Py_ssize_t count        # arguments found so far
    cdef Py_ssize_t expected     # arguments announced; -1 before the header is read
    cdef Py_ssize_t position     # bytes of this frame looked at so far
    cdef Py_ssize_t line_end     # where the search for the current line's end goes on
    cdef Py_ssize_t bulk_length  # of the argument being read; -1 before its header is read
    cdef Fault fault
    cdef public Py_ssize_t argument_limit
    cdef public Py_ssize_t argument_limit_bytes
    cdef public Py_ssize_t inline_limit_bytes
    cdef public Py_ssize_t request_limit_bytes

    cdef void reset(self) noexcept
    cdef Scan scan(self, const char* data, Py_ssize_t length) except *
    cdef void grow(self, Py_ssize_t wanted) except *
    cdef list copy_args(self, const char* frame)
    cdef Py_ssize_t longest_argument(self) noexcept
    cdef Scan _scan_inline(self, const char* data, Py_ssize_t length) noexcept
    cdef Py_ssize_t _line(self, const char* data, Py_ssize_t length) noexcept


cdef class ReplyScanner:
    cdef Py_ssize_t position     # bytes of this frame looked at so far; may be past what has arrived
    cdef Py_ssize_t missing      # values still to come before the frame is whole
    cdef Py_ssize_t line_end
    cdef Fault fault

    cdef void reset(self) noexcept
    cdef Scan scan(self, const char* data, Py_ssize_t length) noexcept


cdef Py_ssize_t read_number(const char* text, Py_ssize_t length, bint* valid) noexcept
