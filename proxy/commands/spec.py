"""What the proxy knows about one command: its keys, and the road it takes.

Strategy: plain immutable values, nothing else. ``table.py`` fills them from
what the servers say, the data plane compiles them into C structs once per
table, and the control plane reads the same values when a command is punted
to it. So there is one description of a command in the whole project.

Cost: a few hundred small objects per table; none of them is touched while a
request is on the hot road.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Road(IntEnum):
    """How a command reaches its answer. The numbers are the data plane's."""

    FORWARD = 0
    """To the node of its keys' one slot; to any primary when it has no key.

    Keys in more than one slot: CROSSSLOT, even if one node has all of them.
    """
    SPLIT = 1
    """As FORWARD while the keys share a slot, else one part per slot.

    The command has exactly one key spec. A *group* is a key and the
    arguments up to the next key (``key_step`` or ``step`` arguments). A part
    is: the arguments before the first key, its groups in the client's order,
    the arguments after the last group; a numkeys argument is rewritten to
    the number of groups in the part. Not split, but CROSSSLOT, if an argument
    after the last group is one of ``unsplittable_if``. A last group that is
    cut short is the client's error (wrong number of arguments).
    """
    FAN_OUT = 2
    """To several nodes, by ``request_policy``; the replies become one."""
    LOCAL = 3
    """The proxy answers; no server is asked on the client's behalf."""
    SESSION = 4
    """Needs the client's own connection or task: MULTI, BLPOP, SUBSCRIBE."""
    DENIED = 5
    """Refused by name: dangerous, or without meaning behind a shared port."""
    ASK_SERVER = 6
    """Only the server's ``COMMAND GETKEYS`` knows where the keys stand."""


class Merge(IntEnum):
    """How the replies to the parts of a command become one reply.

    Whatever the policy, an error reply among the parts makes the whole an
    error, except for ONE_OK. Source: Redis documentation, "Command tips",
    ``response_policy``.
    """

    NONE = 0
    """There is never more than one reply (FORWARD, LOCAL, and so on)."""
    ARRAY = 1
    """One array: by the key's position (SPLIT), or one after the other (FAN_OUT)."""
    SUM = 2
    """Sum of integers."""
    ALL_OK = 3
    """The first reply, if every part succeeded."""
    AND = 4
    """Logical and of integers; of arrays of integers, place by place."""
    MIN = 5
    """Smallest integer; of arrays of integers, place by place."""
    MAX = 6
    """Largest integer; of arrays of integers, place by place."""
    OR = 7
    """Logical or of integers; of arrays of integers, place by place."""
    ONE_OK = 8
    """The first reply that is not an error; an error only if all are."""
    SPECIAL = 9
    """The command has its own code in the control plane."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Where some keys of a command stand among its arguments.

    Flat, so that it compiles to a C struct. Arguments are counted from 0,
    the command's name; ``argc`` is their number. A subcommand's spec counts
    from the container's name too (``OBJECT ENCODING key``: index 2).

    Evaluation has two steps, *begin* and *find*.

    Begin: ``first``.
        ``begin_index > 0``: ``first = begin_index``.
        ``begin_index == 0``: search for ``keyword``, compared without regard
        to ASCII case, among whole arguments. ``start_from > 0``: at
        start_from, start_from + 1, ... up to argc - 1. ``start_from < 0``: at
        argc + start_from, and downwards to 1. The first hit counts, and
        ``first`` is the index after it. No hit: this spec has no keys, which
        is not an error.

    Find: range (``is_keynum`` false). Keys are ``first``, ``first + step``,
    ... up to and including ``last`` (a smaller ``last`` means no keys):
        ``last_key >= 0``: ``last = first + last_key``.
        ``last_key < 0``, ``limit <= 1``: ``last = argc + last_key``: -1 is
        the last argument, -2 the one before it.
        ``last_key < 0``, ``limit > 1``: only the first 1/limit of what is
        left holds keys: ``last = first + (argc - first) // limit + last_key``
        (``XREAD STREAMS k1 k2 id1 id2``: limit 2, last_key -1). Servers use
        -1 only.

    Find: keynum (``is_keynum`` true). ``n`` is the decimal integer at
    ``first + keynum_index``; keys are ``first + first_key``, and every
    ``key_step`` arguments after it, ``n`` of them.
        If that argument is missing, is not an integer as Redis writes it
        (``-``, digits without a leading zero), is negative, or asks for more
        keys than arguments are left, then the *whole command* has no keys,
        whatever its other specs found: the command is an error, and any
        server says so. (Redis itself reads ``01`` leniently here, so it may
        answer MOVED first; the redirect then ends at the same error.)

    Indexes at or beyond ``argc`` are skipped: too few arguments, and the
    server says so. The keys of a command are those of all its specs, in
    order; the same index may come twice and does no harm.

    Source: Redis documentation, "Command key specifications"; compared with
    ``COMMAND GETKEYS`` of both engines in tests/live.
    """

    begin_index: int
    """Index of the first key or of numkeys' frame; 0 means: search ``keyword``."""
    keyword: bytes
    """Word before the keys, as the server spells it; ``b""`` with an index."""
    start_from: int
    """Where the search for ``keyword`` begins; negative: from the end, backwards."""
    is_keynum: bool
    """True: keynum_index, first_key and key_step count; False: last_key, step, limit."""
    last_key: int
    step: int
    """Arguments from one key to the next, in a range; at least 1."""
    limit: int
    keynum_index: int
    first_key: int
    key_step: int
    """Arguments from one key to the next, after a numkeys; at least 1."""
    flags: frozenset[bytes] = frozenset()
    """What becomes of these keys, in the server's words: ``RO`` (read), ``RW`` (changed),
    ``OW`` (overwritten), ``RM`` (removed), and finer ones. Empty: the server does not say."""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One row of the command table.

    A subcommand has a row of its own. A request whose first word names a
    container uses the row of its second word, ``b"config|get"``; if there is
    no second word or no such row, the container's own, whose road is then
    the one on which the client gets the server's error.
    """

    name: bytes
    """Lower case; ``b"config|get"`` for a subcommand."""
    arity: int
    """Arguments with the name: exactly so many, or at least ``-arity``."""
    is_write: bool
    """True unless the server says it only reads. What is unknown is a write:
    it goes to a primary and is never resent when it may have run."""
    is_container: bool
    """It has subcommands, each with a row of its own."""
    blocking_keyword: bytes
    """``b"BLOCK"`` if this word, in any case and before the word ``STREAMS``,
    turns the command into a blocking one (Road.SESSION); else ``b""``."""
    unsplittable_if: tuple[bytes, ...]
    """Words (upper case) after the last key that forbid to split the command."""
    key_specs: tuple[KeySpec, ...]
    """Empty: no keys. With Road.SPLIT exactly one, with ASK_SERVER of no use."""
    road: Road
    request_policy: bytes
    """For FAN_OUT: ``b"all_nodes"``, ``b"all_shards"`` (every primary) or
    ``b"special"``. ``b"multi_shard"`` for SPLIT; else ``b""``."""
    merge: Merge
    flags: frozenset[bytes]
    """The server's own flags, ``b"movablekeys"`` and the like."""
    family: str = "other"
    """What it is counted as: one of ``families.FAMILIES``."""

    def takes(self, argc: int) -> bool:
        """Return whether ``argc`` arguments, with the name, are neither too few nor too many."""
        return argc == self.arity if self.arity >= 0 else argc >= -self.arity
