# cython: language_level=3
"""C face of tables.pyx: what the hot road looks up."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from proxy.dataplane.frames cimport Arg


cdef enum:
    SLOT_COUNT = 16384
    NO_NODE = 0xFFFF
    NO_SLOT = -1
    NAME_LIMIT = 64     # longest "container|subcommand" that can be a command


cdef enum Road:
    FORWARD = 0
    SPLIT = 1
    FAN_OUT = 2
    LOCAL = 3
    SESSION = 4
    DENIED = 5
    ASK_SERVER = 6
    PINNED = 7          # FORWARD or SPLIT while pins exist: its keys may be stored by other names


cdef enum Merge:
    MERGE_ARRAY = 1
    MERGE_SUM = 2
    MERGE_ALL_OK = 3
    MERGE_AND = 4
    MERGE_MIN = 5
    MERGE_MAX = 6
    MERGE_OR = 7


cdef enum Look:
    LOOK_INSIDE = 1     # for its blocking keyword, or its script
    LOOK_GUARD = 2      # whether its user may have it


cdef struct CKeySpec:
    int begin_index
    char keyword[NAME_LIMIT]
    Py_ssize_t keyword_length
    int start_from
    bint is_keynum
    int last_key
    int step
    int limit
    int keynum_index
    int first_key
    int key_step


cdef class Command:
    cdef readonly object spec        # the CommandSpec this row was compiled from
    cdef readonly bytes name
    cdef Road road
    cdef Road plain_road             # ``road``, were there no pins
    cdef Merge merge
    cdef int arity
    cdef bint is_write
    cdef bint reads_anywhere         # a replica may answer it, if the client wants that
    cdef bint is_container
    cdef bint is_subcommand
    cdef bint in_place               # a local answer that need not wait for earlier replies
    cdef bytes blocking_keyword
    cdef bint carries_script         # its first argument is a script's body
    cdef bint runs_by_sha            # its first argument is a script's SHA1
    cdef bint names_script           # it runs what the node must have already
    cdef int looks                   # Look bits: what the hot road looks into first
    cdef bint goes_by_channel        # to the node where the hub subscribes it
    cdef bint is_paused_as_write     # CLIENT PAUSE ... WRITE stops it
    cdef uint8_t family              # index in FAMILIES
    cdef uint8_t patience            # index in PATIENCES: how long it may wait
    cdef bint may_wait               # it blocks, always or by a word: its time is not the servers'
    cdef bint is_login               # AUTH or HELLO: never sampled
    cdef bint has_secrets            # some of its arguments are nobody's to read
    cdef tuple unsplittable_if
    cdef CKeySpec* key_specs
    cdef int key_spec_count
    cdef uint64_t calls              # requests since the table was made


cdef class KeyList:
    """Indexes of the key arguments of one request; reused from request to request."""
    cdef int* index
    cdef Py_ssize_t capacity
    cdef Py_ssize_t count
    cdef int step                    # arguments from one key to the next, of the last spec
    cdef int keynum_at               # index of the numkeys argument, or -1

    cdef void add(self, int index) except *


cdef class CommandTable:
    cdef object _buckets             # list of Command or None, a power of two long
    cdef uint64_t _mask
    cdef dict _by_name

    cdef Command find(self, const char* frame, const Arg* args, Py_ssize_t count)
    cdef Command _probe(self, const char* name, Py_ssize_t length)


cdef class SlotMap:
    cdef uint16_t owner[SLOT_COUNT]
    cdef readonly uint64_t generation
    cdef readonly tuple primaries    # node indexes
    cdef readonly int covered


cdef void find_keys(Command command, const char* frame, const Arg* args, Py_ssize_t argc,
                    KeyList keys) except *
cdef bint has_word(const char* frame, const Arg* args, Py_ssize_t start, Py_ssize_t argc,
                   bytes word, bytes before) noexcept
cdef int slot_of(const char* key, Py_ssize_t length) noexcept nogil
