"""The cursor of SCAN: a place in the cluster as one number, and what a node's own cursor means.

Strategy: the proxy keeps no state between two SCANs of a client, so the number
says all: which slots are done, how far the dictionary of the next one is, and
of which server process that dictionary is. Slots and not nodes, because slots
stay when nodes come, go and change roles.

Facts, seen on Valkey 9.1.2 and Redis 7.0.15, single cluster nodes filled with
5,500 keys, 2,000 of them in one slot; tests/live/test_scan.py sees them again:

- Valkey from 8, Redis from 7.4, in cluster mode: one dictionary for each slot.
  The cursor is ``dictionary cursor << 14 | slot``; slots come in ascending
  order; ``SCAN <slot>`` begins there; a slot without keys is skipped; what
  comes back as 0 is the end of the node, not of the cluster. Keys of a slot
  that is just being imported are listed like any others.
- Redis up to 7.2: one dictionary for each node, keys of all slots mixed.
- A dictionary cursor counts buckets with the bits reversed: the highest bit of
  the table's size turns fastest. So clearing high bits goes *back* to a place
  that is before, never after: some keys come twice, none is missed.
- The order depends on a hash seed, which is drawn anew by each server process.
  The cursor of a restarted server, or of the replica that took over, means
  nothing to the other. ``run_id`` in INFO names the process.

Layout, from the lowest bit::

    by slot:     0, slot (14), tag of run_id (14), dictionary cursor (24)
    whole node:  1, slot (14), last slot of the range (14), tag (10), dictionary cursor (24)

At the start of a dictionary only the slot is kept, so 0 is the start of the
scan. By slot stays below 2**53, which clients survive that hold numbers as
doubles (node-redis 4); whole node stays below 2**63. A dictionary of more than
2**24 buckets repeats up to size / 2**24 buckets a step.

Cost: 1 us to write a cursor, 2 us to read one (CPython 3.11, CI machine).
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.commands.glob import EVERY_KEY

DEFAULT_COUNT = 10  # the servers'

_SLOT_BITS = 14
_SLOT_MASK = (1 << _SLOT_BITS) - 1
_DICTIONARY_BITS = 24
_DICTIONARY_MASK = (1 << _DICTIONARY_BITS) - 1
# A restarted server is taken for the old one once in 2**bits.
_TAG_BITS_BY_SLOT = 14
_TAG_BITS_WHOLE_NODE = 10


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A dictionary that is being read: the order of its keys belongs to one server process."""

    is_by_slot: bool
    """It holds the keys of one slot only, not those of the whole node."""
    run_id_hash: int
    """Of the server process; fewer bits of it once it has been in a cursor."""
    cursor: int
    """The server's own, without the slot; not 0."""
    end: int
    """Whole node: the first slot that this pass does not answer for. By slot: not used, 0."""

    def is_of(self, server: Server) -> bool:
        """Return whether ``server`` is still the process that this dictionary is in."""
        if self.is_by_slot != server.has_slot_dicts:
            return False
        mask = (1 << (_TAG_BITS_BY_SLOT if self.is_by_slot else _TAG_BITS_WHOLE_NODE)) - 1
        return (self.run_id_hash ^ server.run_id_hash) & mask == 0


@dataclass(frozen=True, slots=True)
class Position:
    """How far a scan has come."""

    slot: int
    """All keys of the slots before it have been returned."""
    dictionary: Dictionary | None = None
    """Where to go on for ``slot``; None: from the start."""


START = Position(0)


@dataclass(frozen=True, slots=True)
class Server:
    """What a scan must know of the server process that it asks."""

    has_slot_dicts: bool
    run_id_hash: int


def server_of(info: Mapping[bytes, bytes]) -> Server:
    """Return what INFO's section ``server`` says of the process."""
    return Server(has_slot_dicts(info), crc32(info.get(b"run_id", b"")))


def has_slot_dicts(info_server: Mapping[bytes, bytes]) -> bool:
    """Return whether a server in cluster mode keeps one dictionary for each slot.

    Valkey does from 8.0, Redis from 7.4. Valkey says ``redis_version:7.2.4``
    for old clients' sake, so its own version counts.
    """
    own = info_server.get(b"valkey_version")
    if own is not None:
        return _version(own) >= (8, 0)
    return _version(info_server.get(b"redis_version", b"")) >= (7, 4)


def _version(text: bytes) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(rb"\d+", text)[:2])


def encode_cursor(position: Position) -> int:
    """Return the number a client gets; 0 only for START."""
    dictionary = position.dictionary
    cursor = 0 if dictionary is None else dictionary.cursor & _DICTIONARY_MASK
    if dictionary is None or cursor == 0:
        return position.slot << 1
    number = cursor
    if dictionary.is_by_slot:
        number = number << _TAG_BITS_BY_SLOT | _low(dictionary.run_id_hash, _TAG_BITS_BY_SLOT)
    else:
        number = number << _TAG_BITS_WHOLE_NODE | _low(dictionary.run_id_hash, _TAG_BITS_WHOLE_NODE)
        number = number << _SLOT_BITS | dictionary.end - 1
    return (number << _SLOT_BITS | position.slot) << 1 | (not dictionary.is_by_slot)


def decode_cursor(number: int) -> Position | None:
    """Return the place that a client's cursor means, or None if it is none of ours.

    Any number that could be ours is accepted, as a server accepts any number:
    the wrong one begins its slot again.
    """
    is_by_slot, rest = not number & 1, number >> 1
    slot, rest = rest & _SLOT_MASK, rest >> _SLOT_BITS
    if rest == 0:
        return Position(slot) if is_by_slot else None
    end = 0
    if not is_by_slot:
        end, rest = (rest & _SLOT_MASK) + 1, rest >> _SLOT_BITS
    tag_bits = _TAG_BITS_BY_SLOT if is_by_slot else _TAG_BITS_WHOLE_NODE
    tag, cursor = _low(rest, tag_bits), rest >> tag_bits
    if not 0 < cursor <= _DICTIONARY_MASK or (not is_by_slot and end <= slot):
        return None
    return Position(slot, Dictionary(is_by_slot, tag, cursor, end))


def _low(number: int, bits: int) -> int:
    return number & (1 << bits) - 1


def server_cursor(position: Position, *, is_by_slot: bool) -> int:
    """Return the cursor to send to a server of that kind."""
    cursor = 0 if position.dictionary is None else position.dictionary.cursor
    return cursor << _SLOT_BITS | position.slot if is_by_slot else cursor


def split_server_cursor(cursor: int) -> tuple[int, int]:
    """Return (slot, dictionary cursor) of what a server with slot dictionaries answered."""
    return cursor & _SLOT_MASK, cursor >> _SLOT_BITS


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What a client asked for besides the cursor."""

    count: int = DEFAULT_COUNT
    pattern: bytes = EVERY_KEY
    type_name: bytes | None = None
    """Lower case; None: keys of all types."""


# As the servers read an integer: no sign, no leading zero; and small enough for a C long.
_COUNT = re.compile(rb"[1-9]\d{0,17}")


def parse_options(args: Sequence[bytes]) -> ScanOptions | None:
    """Read what follows the cursor; None if a server has to say what is wrong with it."""
    options = ScanOptions()
    if len(args) % 2:
        return None
    for name, value in zip(args[::2], args[1::2], strict=True):
        match name.lower():
            case b"count" if _COUNT.fullmatch(value):
                options = replace(options, count=int(value))
            case b"match":
                options = replace(options, pattern=value)
            case b"type":
                options = replace(options, type_name=value.lower())
            case _:
                return None
    return options
