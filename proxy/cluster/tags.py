"""Make a hash tag for any slot: names of our own beside keys of a client.

Strategy: CRC-16 takes in one byte at a time, and two bytes suffice to bring it from
any value to any other. So a tag is a readable prefix, a random middle that nobody
else has, and the two bytes that lead to the slot.

Cost: about 2 us (CPython 3.11, CI machine), where trying takes 16384 attempts.
"""

from __future__ import annotations

import secrets
from binascii import crc_hqx

from proxy.cluster.slots import SLOT_COUNT

TEMPORARY_PREFIX = b"slotway:"
"""Of the tags of keys that the proxy makes for a moment: ``{slotway:...}0``."""

_RANDOM_BYTES = 6  # 2**48 tags a slot: no two operations have the same

_TABLE = [crc_hqx(bytes([byte]), 0) for byte in range(256)]
# The low bytes of the table are all different, so that one step can be undone.
_INDEX_OF_LOW_BYTE = {entry & 0xFF: index for index, entry in enumerate(_TABLE)}


def tag_in_slot(slot: int, prefix: bytes) -> bytes:
    """Return a new tag, without its braces, that is hashed to ``slot``.

    Args:
        slot: ``0 <= slot < SLOT_COUNT``.
        prefix: What it begins with; no braces.
    """
    while True:
        start = prefix + secrets.token_hex(_RANDOM_BYTES).encode()
        state = crc_hqx(start, 0)
        for wanted in range(slot, 1 << 16, SLOT_COUNT):
            tag = start + _bytes_between(state, wanted)
            if b"}" not in tag:
                return tag


def _bytes_between(state: int, wanted: int) -> bytes:
    """Return the two bytes that bring the CRC from ``state`` to ``wanted``."""
    last = _INDEX_OF_LOW_BYTE[wanted & 0xFF]
    middle_low = (wanted >> 8) ^ (_TABLE[last] >> 8)
    first = _INDEX_OF_LOW_BYTE[middle_low]
    middle = ((state << 8) & 0xFFFF) ^ _TABLE[first]
    return bytes([first ^ (state >> 8), last ^ (middle >> 8)])
