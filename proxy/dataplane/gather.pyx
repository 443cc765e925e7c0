# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Split a command whose keys lie in several slots, and merge the replies.

Strategy: by slot, because a server refuses two slots in one command even when
both are its own; and by position, because ``MSET a 1 a 2`` must keep both pairs
in order and ``MGET a a`` two values. A part is made of the client's own bytes:
the arguments before the keys, this slot's groups (a key and what belongs to
it), the arguments after them.

Cost: two passes over the keys and one copy of their bytes; a slot's part is
found by a table of 16384 marks, not by a search.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from proxy.dataplane cimport memory
from proxy.dataplane.frames cimport WHOLE, ReplyScanner, read_number
from proxy.dataplane.tables cimport (
    MERGE_ALL_OK, MERGE_AND, MERGE_ARRAY, MERGE_MAX, MERGE_MIN, MERGE_OR, MERGE_SUM, SLOT_COUNT)

# mark[slot] == current: the slot has the part number part_at[slot] in this split.
cdef uint64_t mark[SLOT_COUNT]
cdef int part_at[SLOT_COUNT]
cdef uint64_t current = 0
cdef ReplyScanner element = ReplyScanner()


cdef class Gather(Request):
    """A split request: waits in the client's queue for the replies of its parts."""

    def __dealloc__(self):
        if self.part_of != NULL:
            memory.held_bytes -= self.group_count * <Py_ssize_t>sizeof(int)
            free(self.part_of)

    cdef void note_error(self, const char* data, Py_ssize_t length) except *:
        self.failed_parts += 1
        if self.first_error is None:
            self.first_error = data[:length]

    cdef bint merge(self) except -1:
        """Make ``reply`` of the parts' replies; False if they cannot be merged."""
        cdef Request first = self.parts[0]
        if self.command.merge == MERGE_ARRAY:
            return self._merge_arrays()
        if self.command.merge == MERGE_ALL_OK:
            self.keep_reply(first.reply, first.reply_length)
            return True
        return self._merge_integers()

    cdef bint _merge_integers(self) except -1:
        cdef int64_t total = 0, value
        cdef bint valid
        cdef bint is_first = True
        cdef char text[32]
        cdef Request part
        for part in self.parts:
            if part.reply_length < 4 or part.reply[0] != b":":
                return False
            value = read_number(part.reply + 1, part.reply_length - 3, &valid)
            if not valid:
                return False
            if is_first:
                total = value
            elif self.command.merge == MERGE_SUM:
                total += value
            elif self.command.merge == MERGE_MIN:
                total = min(total, value)
            elif self.command.merge == MERGE_MAX:
                total = max(total, value)
            elif self.command.merge == MERGE_AND:
                total = total and value
            elif self.command.merge == MERGE_OR:
                total = total or value
            else:
                return False
            is_first = False
        self.keep_reply(text, snprintf(text, sizeof(text), b":%lld\r\n", <long long>total))
        return True

    cdef bint _merge_arrays(self) except -1:
        """One array with the values in the order of the client's keys."""
        cdef Py_ssize_t length, i, at
        cdef Request part
        cdef char header[32]
        cdef char* out
        cdef Py_ssize_t* cursor
        length = snprintf(header, sizeof(header), b"*%zd\r\n", self.group_count)
        cursor = <Py_ssize_t*>malloc(len(self.parts) * sizeof(Py_ssize_t))
        if cursor == NULL:
            raise MemoryError
        try:
            at = length
            for i in range(len(self.parts)):
                part = self.parts[i]
                if part.reply_length < 4 or part.reply[0] != b"*":
                    return False
                cursor[i] = _after_header(part)
                at += part.reply_length - cursor[i]
            out = self.make_reply(at)
            memcpy(out, header, length)
            at = length
            for i in range(self.group_count):
                part = self.parts[self.part_of[i]]
                element.reset()
                if element.scan(part.reply + cursor[self.part_of[i]],
                                part.reply_length - cursor[self.part_of[i]]) != WHOLE:
                    return False
                memcpy(out + at, part.reply + cursor[self.part_of[i]], element.position)
                cursor[self.part_of[i]] += element.position
                at += element.position
            return at == self.reply_length
        finally:
            free(cursor)


cdef Py_ssize_t _after_header(Request part) noexcept:
    cdef Py_ssize_t at = 0
    while part.reply[at] != b"\n":
        at += 1
    return at + 1


cdef Py_ssize_t _raw_start(const Arg* args, Py_ssize_t i, Py_ssize_t header) noexcept:
    """Return where the ``$`` of argument ``i`` stands in the frame."""
    return header if i == 0 else args[i - 1].start + args[i - 1].length + 2


cdef Py_ssize_t count_slots(const int* slots, Py_ssize_t count) noexcept:
    """Return how many different ones there are: the parts that a split would make."""
    global current
    cdef Py_ssize_t i, found = 0
    current += 1
    for i in range(count):
        found += mark[slots[i]] != current
        mark[slots[i]] = current
    return found


cdef Gather split(Command command, const char* frame, const Arg* args, Py_ssize_t argc,
                  KeyList keys, const int* slots):
    """Return the request and its parts; ``slots[i]`` is the slot of key ``i``.

    The caller has checked that every group is whole, that there are at least
    two slots, and that none of ``unsplittable_if`` is there.
    """
    global current
    cdef Gather whole = Gather.__new__(Gather)
    cdef Py_ssize_t header = 0, i, at, first, after, groups, part_count
    cdef Py_ssize_t head_length, tail_start, tail_length
    cdef Py_ssize_t* sizes
    cdef Py_ssize_t* counts
    cdef char text[64]
    cdef char numkeys[64]
    cdef char* out
    cdef Request part
    cdef int slot, p

    while frame[header] != b"\n":
        header += 1
    header += 1
    groups = keys.count
    first = keys.index[0]
    after = keys.index[groups - 1] + keys.step
    tail_start = _raw_start(args, after, header)
    tail_length = args[argc - 1].start + args[argc - 1].length + 2 - tail_start

    whole.command = command
    whole.is_write = command.is_write
    whole.group_count = groups
    whole.part_of = <int*>malloc(groups * sizeof(int))
    sizes = <Py_ssize_t*>malloc(2 * groups * sizeof(Py_ssize_t))
    if whole.part_of == NULL or sizes == NULL:
        free(sizes)
        free(whole.part_of)
        whole.part_of = NULL
        raise MemoryError
    memory.held_bytes += groups * <Py_ssize_t>sizeof(int)
    counts = sizes + groups
    try:
        whole.parts = []
        current += 1
        part_count = 0
        for i in range(groups):
            slot = slots[i]
            if mark[slot] != current:
                mark[slot] = current
                part_at[slot] = <int>part_count
                sizes[part_count] = counts[part_count] = 0
                part_count += 1
                part = Request.__new__(Request)
                part.command = command
                part.is_write = command.is_write
                part.slot = slot
                part.parent = whole
                whole.parts.append(part)
            p = part_at[slot]
            whole.part_of[i] = p
            counts[p] += 1
            sizes[p] += _raw_start(args, keys.index[i] + keys.step, header) - \
                _raw_start(args, keys.index[i], header)
        whole.open_parts = part_count

        for p in range(part_count):
            part = whole.parts[p]
            i = snprintf(text, sizeof(text), b"*%zd\r\n",
                         first + counts[p] * keys.step + argc - after)
            head_length = _raw_start(args, first, header) - header
            if keys.keynum_at >= 0:
                at = snprintf(numkeys, 24, b"%zd", counts[p])
                at = snprintf(numkeys, sizeof(numkeys), b"$%zd\r\n%zd\r\n", at, counts[p])
                head_length += at - (_raw_start(args, keys.keynum_at + 1, header) -
                                     _raw_start(args, keys.keynum_at, header))
            out = part.make_frame(i + head_length + sizes[p] + tail_length)
            memcpy(out, text, i)
            out += i
            if keys.keynum_at < 0:
                memcpy(out, frame + header, head_length)
                out += head_length
            else:
                i = _raw_start(args, keys.keynum_at, header) - header
                memcpy(out, frame + header, i)
                memcpy(out + i, numkeys, at)
                out += i + at
                i = _raw_start(args, keys.keynum_at + 1, header)
                memcpy(out, frame + i, _raw_start(args, first, header) - i)
                out += _raw_start(args, first, header) - i
            memcpy(part.frame + part.frame_length - tail_length, frame + tail_start, tail_length)
            # From here on, sizes holds where the part's next group is written.
            sizes[p] = out - part.frame
        for i in range(groups):
            part = whole.parts[whole.part_of[i]]
            at = _raw_start(args, keys.index[i], header)
            first = _raw_start(args, keys.index[i] + keys.step, header) - at
            memcpy(part.frame + sizes[whole.part_of[i]], frame + at, first)
            sizes[whole.part_of[i]] += first
    finally:
        free(sizes)
    return whole
