# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Rewrite requests whose keys are pinned: ``commands.pins`` for the hot road.

Strategy: the keys are where the command table says. If one of them begins with a
prefix, a new frame is made with its hash tag put before it, and looked through
again, so that whoever comes next sees a request like any other. Arguments keep
their numbers, only their places change.

Cost: without pins none, for no row of the table leads here (``CommandTable``).
With pins one look at each key's first byte, and for a pinned one a copy of the frame.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from proxy.dataplane.frames cimport WHOLE
from proxy.dataplane.tables cimport Command, CommandTable, find_keys

cdef enum:
    HEADER_BYTES = 24  # "$", up to 19 digits, CR LF and the zero that snprintf adds

# A frame that was within the client's limits is never refused for the tags in it.
cdef Py_ssize_t NO_LIMIT = <Py_ssize_t>1 << 60


cdef class Pins:
    """The pins of a proxy, compiled."""

    def __cinit__(self, table):
        cdef CPin* pin
        cdef bytes prefix, mark
        self.texts = []
        self.pins = <CPin*>calloc(max(len(table.pins), 1), sizeof(CPin))
        if self.pins == NULL:
            raise MemoryError
        for each in table.pins:
            prefix, mark = each.prefix, each.mark
            self.texts += [prefix, mark]
            pin = &self.pins[self.count]
            pin.prefix, pin.prefix_length = prefix, len(prefix)
            pin.mark, pin.mark_length = mark, len(mark)
            self.count += 1
            if prefix:
                self.begins[<unsigned char>pin.prefix[0]] = True
            else:
                self.pins_empty = True
                for byte in range(256):
                    self.begins[byte] = True
        self.scanner = RequestScanner(
            argument_limit=NO_LIMIT, argument_limit_bytes=NO_LIMIT, inline_limit_bytes=0,
            request_limit_bytes=NO_LIMIT)

    def __dealloc__(self):
        free(self.pins)

    cdef int find(self, const char* key, Py_ssize_t length) noexcept:
        """Return the number of a key's pin, or -1."""
        cdef int i
        if not (self.begins[<unsigned char>key[0]] if length else self.pins_empty):
            return -1
        for i in range(self.count):
            if self.pins[i].prefix_length <= length and \
                    memcmp(self.pins[i].prefix, key, self.pins[i].prefix_length) == 0:
                return i
        return -1

    cdef bytes store(self, const char* frame, RequestScanner request, KeyList keys):
        """Return the frame with stored names, now in ``scanner`` too; None if none is pinned."""
        cdef int* pin_of = NULL          # for each argument: its pin's number + 1
        cdef char header[HEADER_BYTES]
        cdef Py_ssize_t i, at, copied = 0, length = request.position, argc = request.count
        cdef CPin* pin
        cdef bytes stored
        cdef char* out
        cdef int found
        for i in range(keys.count):
            at = keys.index[i]
            found = self.find(frame + request.args[at].start, request.args[at].length)
            if found < 0:
                continue
            if pin_of == NULL:
                pin_of = <int*>calloc(argc, sizeof(int))
                if pin_of == NULL:
                    raise MemoryError
            if pin_of[at] == 0:  # two specs may find the same key
                pin_of[at] = found + 1
                length += self.pins[found].mark_length + HEADER_BYTES
        if pin_of == NULL:
            return None
        try:
            stored = PyBytes_FromStringAndSize(NULL, length)
            out = PyBytes_AS_STRING(stored)
            for i in range(1, argc):
                if pin_of[i] == 0:
                    continue
                pin = &self.pins[pin_of[i] - 1]
                # Its header begins behind the argument before it and that one's CR LF.
                at = request.args[i - 1].start + request.args[i - 1].length + 2
                memcpy(out, frame + copied, at - copied)
                out += at - copied
                found = snprintf(header, HEADER_BYTES, b"$%zd\r\n",
                                 request.args[i].length + pin.mark_length)
                memcpy(out, header, found)
                out += found
                memcpy(out, pin.mark, pin.mark_length)
                out += pin.mark_length
                copied = request.args[i].start
            memcpy(out, frame + copied, request.position - copied)
            out += request.position - copied
            length = out - PyBytes_AS_STRING(stored)
        finally:
            free(pin_of)
        stored = stored[:length]
        self.scanner.reset()
        if self.scanner.scan(stored, length) != WHOLE:
            raise AssertionError(stored)
        return stored

    def store_request(self, CommandTable commands, bytes frame):
        """Return a request as the hot road sends it on: its keys by their stored names.

        Raises:
            ValueError: ``frame`` is not one whole request of a known command.
        """
        cdef RequestScanner request = RequestScanner()
        cdef KeyList keys = KeyList()
        cdef Command command
        if request.scan(frame, len(frame)) != WHOLE or request.position != len(frame):
            raise ValueError(frame)
        command = commands.find(frame, request.args, request.count)
        if command is None:
            raise ValueError(frame)
        find_keys(command, frame, request.args, request.count, keys)
        return self.store(frame, request, keys) or frame
