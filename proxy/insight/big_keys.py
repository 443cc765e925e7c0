"""Which keys have big values, as far as they passed through the proxy.

Strategy: the biggest are kept, a key once, with the biggest size seen of it. A new key
must be bigger than the smallest that is kept, so a flood of big values cannot push out
the biggest.

Cost: a few microseconds for each big value, in which a hundred kilobytes were moved.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

KEPT = 128  # chosen: a page full


@dataclass(slots=True)
class Big:
    """What is known of a key with a big value."""

    key: bytes
    size_bytes: int
    command: bytes
    is_reply: bool
    at: float
    count: int = 1


class BigKeys:
    """The keys with the biggest values.

    Args:
        kept: How many.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._limit = kept
        self._kept: dict[bytes, Big] = {}

    def add(
        self, key: bytes, size_bytes: int, command: bytes, *, is_reply: bool, at: float
    ) -> None:
        """Note a big value of a key, at this unix second."""
        known = self._kept.get(key)
        if known is not None:
            known.count += 1
            known.at = at
            if size_bytes >= known.size_bytes:
                known.size_bytes, known.command, known.is_reply = size_bytes, command, is_reply
            return
        if len(self._kept) >= self._limit:
            smallest = min(self._kept.values(), key=lambda big: big.size_bytes)
            if size_bytes <= smallest.size_bytes:
                return
            del self._kept[smallest.key]
        self._kept[key] = Big(key, size_bytes, command, is_reply, at)

    def top(self, count: int) -> list[Big]:
        """Return the biggest first."""
        return heapq.nlargest(count, self._kept.values(), key=lambda big: big.size_bytes)
