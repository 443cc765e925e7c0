# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The two tables of the hot road: commands, and the slots' owners.

Strategy: both are made by the control plane from immutable values and never
change once they are in use; a new table replaces the old one whole. What a row
means is said in ``proxy/commands/spec.py``; the struct here is its C form.

Cost: a name is found by one FNV-1a hash over its lower-cased bytes and, as the
table is at most half full, little more than one comparison. A slot's owner is
one array access.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

from proxy.commands.families import FAMILIES
from proxy.commands.kinds import (
    CARRY_A_SCRIPT, IN_PLACE, MAY_WRITE, NAME_A_SCRIPT, RUN_BY_SHA, reads_anywhere)
from proxy.commands.patience import PATIENCES, patience_of
from proxy.commands.secrets import has_secrets
from proxy.dataplane.frames cimport read_number

cdef uint16_t CRC16[256]


cdef void _fill_crc16() noexcept:
    """CRC-16/XMODEM, polynomial 0x1021; Redis Cluster specification, "Keys distribution model"."""
    cdef int byte, bit
    cdef unsigned int crc
    for byte in range(256):
        crc = <unsigned int>byte << 8
        for bit in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else (crc << 1) & 0xFFFF
        CRC16[byte] = crc


_fill_crc16()


cdef int slot_of(const char* key, Py_ssize_t length) noexcept nogil:
    """Return the slot of a key: of its hash tag when it has one that is not empty."""
    cdef const char* opening = <const char*>memchr(key, b"{", length)
    cdef const char* closing
    cdef uint16_t crc = 0
    cdef Py_ssize_t i
    if opening != NULL:
        closing = <const char*>memchr(opening + 1, b"}", length - (opening - key) - 1)
        if closing != NULL and closing != opening + 1:
            key = opening + 1
            length = closing - key
    for i in range(length):
        crc = <uint16_t>(crc << 8) ^ CRC16[(crc >> 8) ^ <unsigned char>key[i]]
    return crc & (SLOT_COUNT - 1)


cdef inline char _lower(char c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef bint _same_word(const char* text, const char* word, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length):
        if _lower(text[i]) != _lower(word[i]):
            return False
    return True


cdef bint has_word(const char* frame, const Arg* args, Py_ssize_t start, Py_ssize_t argc,
                   bytes word, bytes before) noexcept:
    """Say whether ``word`` is an argument from ``start`` on, before the word ``before``."""
    cdef Py_ssize_t i
    cdef Py_ssize_t word_length = len(word), before_length = len(before)
    cdef const char* word_text = word
    cdef const char* before_text = before
    for i in range(start, argc):
        if before_length and args[i].length == before_length and \
                _same_word(frame + args[i].start, before_text, before_length):
            return False
        if args[i].length == word_length and \
                _same_word(frame + args[i].start, word_text, word_length):
            return True
    return False


cdef class Command:
    """One row of the command table, compiled from a ``CommandSpec``."""

    def __cinit__(self, spec):
        cdef CKeySpec* c
        cdef int i
        self.spec = spec
        self.name = spec.name
        self.road = self.plain_road = spec.road
        self.merge = spec.merge
        self.arity = spec.arity
        self.is_write = spec.is_write
        self.reads_anywhere = reads_anywhere(spec)
        self.is_container = spec.is_container
        self.is_subcommand = b"|" in spec.name
        self.in_place = spec.name in IN_PLACE
        self.blocking_keyword = spec.blocking_keyword
        self.unsplittable_if = spec.unsplittable_if
        self.carries_script = spec.name in CARRY_A_SCRIPT
        self.names_script = spec.name in NAME_A_SCRIPT
        self.runs_by_sha = spec.name in RUN_BY_SHA
        self.looks = LOOK_INSIDE if (
            spec.blocking_keyword or self.carries_script or self.runs_by_sha) else 0
        self.is_paused_as_write = b"write" in spec.flags or spec.name in MAY_WRITE
        # Any node would do; at this one every proxy has its subscription, so it counts them.
        self.goes_by_channel = spec.name == b"publish"
        self.family = FAMILIES.index(spec.family)
        self.patience = PATIENCES.index(patience_of(spec))
        self.may_wait = spec.family == "blocking" or bool(spec.blocking_keyword)
        self.is_login = spec.name in (b"auth", b"hello")
        self.has_secrets = has_secrets(spec)
        self.key_spec_count = len(spec.key_specs)
        self.key_specs = <CKeySpec*>malloc(max(self.key_spec_count, 1) * sizeof(CKeySpec))
        if self.key_specs == NULL:
            raise MemoryError
        for i, key_spec in enumerate(spec.key_specs):
            c = &self.key_specs[i]
            c.begin_index = key_spec.begin_index
            keyword = key_spec.keyword[:NAME_LIMIT]
            c.keyword_length = len(keyword)
            memcpy(c.keyword, <const char*>keyword, c.keyword_length)
            c.start_from = key_spec.start_from
            c.is_keynum = key_spec.is_keynum
            c.last_key = key_spec.last_key
            c.step = max(key_spec.step, 1)
            c.limit = key_spec.limit
            c.keynum_index = key_spec.keynum_index
            c.first_key = key_spec.first_key
            c.key_step = max(key_spec.key_step, 1)

    def __dealloc__(self):
        free(self.key_specs)

    @property
    def is_diverted(self):
        """Whether ``divert`` has taken its requests off the hot road."""
        return self.road != <Road><int>self.spec.road

    def divert(self, bint is_diverted):
        """Send requests off the hot road, as of Road.SESSION, or on their own road again."""
        self.road = SESSION if is_diverted else <Road><int>self.spec.road

    @property
    def call_count(self):
        """Requests for this command since the table was made."""
        return self.calls

    def __repr__(self):
        return f"<Command {self.name.decode()}>"


cdef class KeyList:
    def __dealloc__(self):
        free(self.index)

    cdef void add(self, int index) except *:
        cdef int* grown
        if self.count == self.capacity:
            self.capacity = max(16, 2 * self.capacity)
            grown = <int*>realloc(self.index, self.capacity * sizeof(int))
            if grown == NULL:
                raise MemoryError
            self.index = grown
        self.index[self.count] = index
        self.count += 1


cdef void find_keys(Command command, const char* frame, const Arg* args, Py_ssize_t argc,
                    KeyList keys) except *:
    """Fill ``keys`` with the indexes of the key arguments; rules in ``spec.KeySpec``."""
    cdef const CKeySpec* spec
    cdef Py_ssize_t first, last, step, at, number
    cdef bint valid
    cdef int i
    keys.count = 0
    keys.keynum_at = -1
    for i in range(command.key_spec_count):
        spec = &command.key_specs[i]
        first = spec.begin_index if spec.begin_index else _after_keyword(spec, frame, args, argc)
        if first < 0:
            continue
        if spec.is_keynum:
            at = first + spec.keynum_index
            if at >= argc:
                keys.count = 0
                return
            number = read_number(frame + args[at].start, args[at].length, &valid)
            first += spec.first_key
            step = spec.key_step
            if not valid or number < 0 or number > argc or first + (number - 1) * step >= argc:
                keys.count = 0
                return
            last = first + (number - 1) * step
            keys.keynum_at = <int>at
        else:
            step = spec.step
            if spec.last_key >= 0:
                last = first + spec.last_key
            elif spec.limit <= 1:
                last = argc + spec.last_key
            else:
                last = first + (argc - first) // spec.limit + spec.last_key
        keys.step = <int>step
        while first <= last and first < argc:
            keys.add(<int>first)
            first += step


cdef Py_ssize_t _after_keyword(const CKeySpec* spec, const char* frame, const Arg* args,
                               Py_ssize_t argc) noexcept:
    """Return the index after the spec's keyword, or -1."""
    cdef Py_ssize_t at, step
    if spec.start_from > 0:
        at = spec.start_from
        step = 1
    else:
        at = argc + spec.start_from
        step = -1
    while 1 <= at < argc:
        if args[at].length == spec.keyword_length and \
                _same_word(frame + args[at].start, spec.keyword, spec.keyword_length):
            return at + 1
        at += step
    return -1


cdef class CommandTable:
    """All commands of the connected servers, found by name."""

    def __init__(self, specs):
        cdef Command command
        rows = [Command(spec) for spec in specs]
        size = 64
        while size < 2 * len(rows):
            size *= 2
        self._mask = size - 1
        self._buckets = [None] * size
        self._by_name = {}
        for command in rows:
            if len(command.name) > NAME_LIMIT:
                continue
            self._by_name[command.name] = command
            at = _hash(command.name, len(command.name)) & self._mask
            while self._buckets[at] is not None:
                at = (at + 1) & self._mask
            self._buckets[at] = command

    def __len__(self):
        return len(self._by_name)

    def __iter__(self):
        return iter(self._by_name.values())

    def get(self, name):
        """Return the row of ``name`` (lower case), or None."""
        return self._by_name.get(name)

    def pin(self, leaving):
        """Have every request with keys looked at for pinned ones; before the table is in use.

        Args:
            leaving: Commands that the hot road cannot serve then: their replies name
                keys, or their requests do by other words than key arguments.
        """
        cdef Command command
        # Where there are no pins they cost nothing: no row ever has the road PINNED, and
        # the hot road asks no more of a row than it did (``road >= 2``).
        for command in self._by_name.values():
            if command.road != FORWARD and command.road != SPLIT:
                continue
            if command.name in leaving or command.blocking_keyword:
                command.road = SESSION
            elif command.key_spec_count and b"pubsub" not in command.spec.flags:
                command.road = PINNED

    cdef Command find(self, const char* frame, const Arg* args, Py_ssize_t count):
        """Return the row for a request: of its subcommand where there is one, or None."""
        cdef char name[NAME_LIMIT]
        cdef Py_ssize_t i, length = args[0].length, sub
        cdef const char* text = frame + args[0].start
        cdef Command command, subcommand
        if length > NAME_LIMIT or length == 0:
            return None
        for i in range(length):
            name[i] = _lower(text[i])
        command = self._probe(name, length)
        if command is None or command.is_subcommand:  # "config|get" is no word
            return None
        if not command.is_container or count < 2:
            return command
        sub = args[1].length
        if length + 1 + sub > NAME_LIMIT:
            return command
        name[length] = b"|"
        text = frame + args[1].start
        for i in range(sub):
            name[length + 1 + i] = _lower(text[i])
        subcommand = self._probe(name, length + 1 + sub)
        return command if subcommand is None else subcommand

    cdef Command _probe(self, const char* name, Py_ssize_t length):
        cdef uint64_t at = _hash(name, length) & self._mask
        cdef Command command
        while True:
            row = (<list>self._buckets)[at]
            if row is None:
                return None
            command = <Command>row
            if len(command.name) == length and \
                    memcmp(<const char*>command.name, name, length) == 0:
                return command
            at = (at + 1) & self._mask

    def keys_of(self, *args):
        """Return (row, keys) of a request, as the hot road finds them."""
        command, places = self.key_places(*args)
        return command, [args[place] for place in places]

    def key_places(self, *args):
        """Return (row, which arguments are keys) of a request, as the hot road finds them."""
        cdef KeyList keys = KeyList()
        cdef Command command
        cdef Arg* places = <Arg*>malloc(len(args) * sizeof(Arg))
        cdef bytes frame = b"".join(args)
        cdef Py_ssize_t i, start = 0
        if places == NULL:
            raise MemoryError
        try:
            for i in range(len(args)):
                places[i].start = start
                places[i].length = len(args[i])
                start += places[i].length
            command = self.find(frame, places, len(args))
            if command is None:
                return None, []
            find_keys(command, frame, places, len(args), keys)
            return command, [keys.index[i] for i in range(keys.count)]
        finally:
            free(places)


cdef uint64_t _hash(const char* name, Py_ssize_t length) noexcept:
    cdef uint64_t value = 0xCBF29CE484222325ULL
    cdef Py_ssize_t i
    for i in range(length):
        value = (value ^ <unsigned char>name[i]) * 0x100000001B3ULL
    return value ^ (value >> 32)


cdef class SlotMap:
    """Which node serves each slot: an immutable value, replaced whole.

    Args:
        owners: For each of the 16384 slots a node's index, or None.
        generation: Higher than that of the map it replaces.
    """

    def __cinit__(self, owners, uint64_t generation):
        cdef int slot
        self.generation = generation
        self.covered = 0
        if owners is None:
            return
        if len(owners) != SLOT_COUNT:
            raise ValueError("a slot map has 16384 owners")
        for slot in range(SLOT_COUNT):
            owner = owners[slot]
            self.owner[slot] = NO_NODE if owner is None else owner
            self.covered += owner is not None
        self.primaries = tuple(sorted({owner for owner in owners if owner is not None}))

    def with_owner(self, int slot, int node):
        """Return the next map: this one, with one slot given to another node."""
        cdef SlotMap patched = SlotMap.__new__(SlotMap, None, self.generation + 1)
        memcpy(patched.owner, self.owner, sizeof(self.owner))
        patched.covered = self.covered + (self.owner[slot] == NO_NODE)
        patched.owner[slot] = node
        patched.primaries = tuple(sorted({*self.primaries, node}))
        return patched

    def owner_of(self, int slot):
        """Return the index of the slot's node, or None."""
        if not 0 <= slot < SLOT_COUNT:
            raise IndexError(slot)
        return None if self.owner[slot] == NO_NODE else self.owner[slot]


def key_slot(bytes key):
    """Return the slot of ``key``: the hot road's own computation, for tests."""
    return slot_of(key, len(key))
