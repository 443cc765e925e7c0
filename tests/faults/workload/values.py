"""Values that say whose they are, and keys that lie where they are wanted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator

from proxy.cluster.slots import SLOT_COUNT, key_slot

ALL_SLOTS = range(SLOT_COUNT)
_VALUE = re.compile(rb"([^:]+):(\d+)")


def value_of(client: str, number: int) -> bytes:
    """Return what a client writes with its request of this number: ``client:number``."""
    return b"%b:%d" % (client.encode(), number)


def writer_of(value: object) -> tuple[str, int] | None:
    """Return who wrote a value, and with which request; None: nobody of ours."""
    found = _VALUE.fullmatch(value) if isinstance(value, bytes) else None
    return None if found is None else (found[1].decode(), int(found[2]))


def keys_in(slots: Container[int], prefix: str) -> Iterator[bytes]:
    """Return keys without end that lie in these slots.

    Each is its own hash tag, so that ``key + anything`` lies in the same slot.
    """
    candidates = (b"{%b-%d}" % (prefix.encode(), number) for number in itertools.count())
    return (key for key in candidates if key_slot(key) in slots)
