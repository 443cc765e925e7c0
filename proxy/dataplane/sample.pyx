# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One request, looked at closely: what it was, where it went, what happened on its way.

Strategy: everything is read from the request itself when it is answered, since its bytes are
kept until then anyway; only what happens in between, redirects and the like, must be
noted as it does. So a request that nobody has chosen but that was slow can be shown too.
Of a split one the client's bytes are gone, and its arguments are put together from the parts'.

Cost: nothing for who is not looked at; else a few microseconds, however long the arguments.
"""

from libc.stdio cimport snprintf
from time import monotonic, time

from proxy.commands.families import FAMILIES
from proxy.commands.secrets import hide_secrets
from proxy.dataplane.frames cimport RequestScanner
from proxy.dataplane.meter import REFUSALS
from proxy.dataplane.tables cimport PINNED, Command, KeyList, find_keys

cdef enum:
    SHOWN = 32              # arguments; Redis's SLOWLOG_ENTRY_MAX_ARGC
    SHOWN_BYTES = 128       # of each; Redis's SLOWLOG_ENTRY_MAX_STRING
    KEYS = 16
    KEY_BYTES = 1024
    PARTS = 64
    SEARCHED = 1024         # arguments of what left the hot road: keys are looked for in no more

ARGUMENT_LIMIT = SHOWN
ARGUMENT_LIMIT_BYTES = SHOWN_BYTES
KEY_LIMIT = KEYS
KEY_LIMIT_BYTES = KEY_BYTES
PART_LIMIT = PARTS
EVENTS = (*REFUSALS, "sent", "answered", "uncovered", "lost", "resent", "expired", "left")

cdef tuple EVENT_NAMES = EVENTS
cdef tuple FAMILY_NAMES = FAMILIES
cdef object hide = hide_secrets
cdef KeyList found = KeyList()
# What is looked at here has been within its client's limits before.
cdef Py_ssize_t NO_LIMIT = <Py_ssize_t>1 << 60
cdef RequestScanner scanner = RequestScanner(
    argument_limit=NO_LIMIT, argument_limit_bytes=NO_LIMIT, request_limit_bytes=NO_LIMIT)


cdef struct View:
    const char* data
    Py_ssize_t length


cdef struct Shape:
    Py_ssize_t argc
    View args[SHOWN]         # as many as there are, up to all of them
    int key_count
    View keys[KEYS]
    char number[24]          # stands for the number of keys of a split request


cdef class Event:
    """Something that happened to a request, or to one part of a split one."""

    def __repr__(self):
        return f"<Event {self.kind} after={self.after_s:g} node={self.node} slot={self.slot}>"


cdef Event event_of(double after_s, int kind, int node, int slot):
    cdef Event event = Event.__new__(Event)
    event.after_s = after_s
    event.kind = EVENT_NAMES[kind]
    event.node = node
    event.slot = slot
    return event


cdef class Part:
    """What went to one node: a whole request, or a part of a split one."""

    def __repr__(self):
        return f"<Part slot={self.slot} node={self.node}>"


cdef Part _part_of(Request piece):
    cdef Part part = Part.__new__(Part)
    part.slot = piece.slot
    part.node = piece.node
    part.sent_s = piece.sent_at if piece.sent_at else None
    part.answered_s = piece.answered_at if piece.answered_at else None
    return part


cdef class Sample:
    """One request of a client; made when it was answered, and never changed after.

    Times are of the tick in which something happened; see ``meter.Meter``. A request that was
    not looked at from its beginning, but proved slow, has no ``events``.
    """

    @property
    def client_id(self):
        """``Client.id``."""
        return self.client.id

    @property
    def began_unix_s(self):
        """The same as seconds since 1970; computed from the clocks when it is asked for."""
        return time() - (monotonic() - self.began_s)

    def __repr__(self):
        return f"<Sample {self.command.decode(errors='replace')} {self.duration_s:g} s>"


cdef Sample sample_of(Request request, Client client, double now):
    """Return what a request is at its end, but for its reply, error and events."""
    cdef Sample sample = Sample.__new__(Sample)
    cdef Command row = (<Block>request).row if isinstance(request, Block) else request.command
    cdef Shape shape
    cdef Py_ssize_t i
    _look(request, row, &shape)
    sample.client = client
    if row is not None:
        sample.command = row.name
    else:
        sample.command = shape.args[0].data[:min(shape.args[0].length, SHOWN_BYTES)].lower()
    sample.family = FAMILY_NAMES[request.family]
    sample.is_write = request.is_write
    sample.argument_count = shape.argc
    sample.arguments = _shown(row, &shape)
    sample.keys = tuple([
        shape.keys[i].data[:min(shape.keys[i].length, KEY_BYTES)]
        for i in range(shape.key_count)])
    sample.frame_bytes = request.frame_length
    sample.began_s = request.began
    sample.duration_s = now - request.began
    sample.error = b""
    sample.events = ()
    if isinstance(request, Gather):
        sample.road = "split"
        sample.part_count = len((<Gather>request).parts)
        sample.parts = tuple([_part_of(part) for part in (<Gather>request).parts[:PARTS]])
    else:
        sample.part_count = request.node >= 0
        sample.parts = (_part_of(request),) if request.node >= 0 else ()
        sample.road = "punt" if isinstance(request, Block) else "forward"
    if request.command is not None and request.command.road == PINNED:
        sample.road = "pinned"
    return sample


cdef bytes name_of(Request request):
    """Return the command's name; empty if no row has it."""
    cdef Command row = (<Block>request).row if isinstance(request, Block) else request.command
    return b"" if row is None else row.name


cdef bytes first_key(Request request):
    """Return the first key of a request, cut to ``KEY_LIMIT_BYTES``; empty if it has none."""
    cdef Command row = (<Block>request).row if isinstance(request, Block) else request.command
    cdef Shape shape
    _look(request, row, &shape)
    return shape.keys[0].data[:min(shape.keys[0].length, KEY_BYTES)] if shape.key_count else b""


cdef tuple _shown(Command row, Shape* shape):
    """Return the arguments as Redis's slow log shows them."""
    cdef Py_ssize_t i, length
    cdef Py_ssize_t whole = shape.argc if shape.argc <= SHOWN else SHOWN - 1
    cdef list shown = []
    for i in range(whole):
        length = shape.args[i].length
        if length <= SHOWN_BYTES:
            shown.append(shape.args[i].data[:length])
        else:
            shown.append(shape.args[i].data[:SHOWN_BYTES] +
                         b"... (%d more bytes)" % (length - SHOWN_BYTES))
    if row is None or row.has_secrets:
        shown = list(hide(None if row is None else row.spec, shown))
    if shape.argc > SHOWN:
        shown.append(b"... (%d more arguments)" % (shape.argc - whole))
    return tuple(shown)


# ---- where the arguments and keys lie ---------------------------------------------


cdef int _look(Request request, Command row, Shape* shape) except -1:
    shape.argc = 0
    shape.key_count = 0
    if isinstance(request, Gather):
        return _look_at_parts(<Gather>request, shape)
    if isinstance(request, Block):
        return _look_at_args((<Block>request).args, row, shape)
    return _look_at_frame(request, shape)


cdef int _look_at_frame(Request request, Shape* shape) except -1:
    """Of a request that was forwarded: its own bytes."""
    cdef Py_ssize_t i, at
    _scan(request)
    shape.argc = scanner.count
    for i in range(min(shape.argc, SHOWN)):
        _view(&shape.args[i], request, i)
    shape.key_count = min(found.count, KEYS)
    for i in range(shape.key_count):
        _view(&shape.keys[i], request, found.index[i])
    return 0


cdef int _scan(Request piece) except -1:
    """Find the arguments of a piece, and which of them are keys."""
    scanner.reset()
    scanner.scan(piece.frame, piece.frame_length)
    find_keys(piece.command, piece.frame, scanner.args, scanner.count, found)
    return 0


cdef void _view(View* view, Request piece, Py_ssize_t argument) noexcept:
    view.data = piece.frame + scanner.args[argument].start
    view.length = scanner.args[argument].length


cdef int _look_at_args(list args, Command row, Shape* shape) except -1:
    """Of a request that left the hot road: the arguments that the control plane got."""
    cdef Py_ssize_t i, start = 0
    cdef bytes frame, arg
    shape.argc = len(args)
    for i in range(min(shape.argc, SHOWN)):
        _view_of(&shape.args[i], <bytes>args[i])
    if row is None or row.key_spec_count == 0 or shape.argc > SEARCHED:
        return 0
    # Numbers and words that say where keys stand are short, so cut arguments do to find them.
    frame = b"".join([(<bytes>arg)[:SHOWN_BYTES] for arg in args])
    scanner.reset()
    scanner.grow(shape.argc)
    for i in range(shape.argc):
        scanner.args[i].start = start
        scanner.args[i].length = min(len(<bytes>args[i]), SHOWN_BYTES)
        start += scanner.args[i].length
    find_keys(row, frame, scanner.args, shape.argc, found)
    shape.key_count = min(found.count, KEYS)
    for i in range(shape.key_count):
        _view_of(&shape.keys[i], <bytes>args[found.index[i]])
    return 0


cdef void _view_of(View* view, bytes arg) noexcept:
    view.data = arg
    view.length = len(arg)


cdef int _look_at_parts(Gather whole, Shape* shape) except -1:
    """Of a split request: each part's groups, in the order of the client's keys."""
    cdef Py_ssize_t group, other, i, at, first, step, inside, after
    cdef Py_ssize_t groups = min(whole.group_count, SHOWN)
    cdef Request part
    cdef int keynum_at
    cdef bint is_first = True
    shape.key_count = min(whole.group_count, KEYS)
    for group in range(groups):
        for other in range(group):
            if whole.part_of[other] == whole.part_of[group]:
                break
        else:
            part = whole.parts[whole.part_of[group]]
            _scan(part)
            first = found.index[0]
            step = found.step
            if is_first:
                is_first = False
                after = found.index[found.count - 1] + step
                keynum_at = found.keynum_at
                shape.argc = scanner.count + (whole.group_count - found.count) * step
                for i in range(first):
                    _view(&shape.args[i], part, i)
                if keynum_at >= 0:
                    shape.args[keynum_at].data = shape.number
                    shape.args[keynum_at].length = snprintf(
                        shape.number, sizeof(shape.number), b"%zd", whole.group_count)
                for i in range(after, scanner.count):
                    at = i + (whole.group_count - found.count) * step
                    if at < SHOWN:
                        _view(&shape.args[at], part, i)
            inside = first
            for other in range(group, groups):
                if whole.part_of[other] != whole.part_of[group]:
                    continue
                for i in range(step):
                    if first + other * step + i < SHOWN:
                        _view(&shape.args[first + other * step + i], part, inside + i)
                if other < KEYS:
                    _view(&shape.keys[other], part, inside)
                inside += step
    return 0
