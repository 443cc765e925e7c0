"""Each message once, while two nodes bring the same ones: pure bookkeeping.

Cost: the hash of a message, and a dictionary entry for each that comes while it lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

Place = TypeVar("Place")


class Overlap(Generic[Place]):
    """Lets each message through once while two nodes bring the same ones.

    Messages have no numbers, so they are counted: what one place has brought as
    often as another was delivered already.

    Once the old place is silent, the new one may still be behind: what the old one
    brought after the new one was live (``mark``), and the new one has not, is to come
    once more and was delivered.

    Args:
        limit: Different messages to remember; beyond it everything passes.
        delivered: Hashes of messages that have passed before it began: they may still be on
            their way to the new place.
        by: The places that have brought them.
    """

    def __init__(
        self, limit: int = 10_000, delivered: Iterable[int] = (), by: Collection[Place] = ()
    ) -> None:
        self._limit = limit
        # By the messages' hashes: they may be long, and a node may be waited for a while.
        self._brought: dict[int, dict[Place, int]] = {
            mark: dict.fromkeys(by, count) for mark, count in Counter(delivered).items()
        }
        self._marked: dict[int, dict[Place, int]] | None = None
        self._to_come: dict[int, int] | None = None

    @property
    def is_closing(self) -> bool:
        """Whether only one place brings messages, and may be behind."""
        return self._to_come is not None

    def is_new(self, place: Place, frame: bytes) -> bool:
        """Note that a place has brought a message; return whether it has to be delivered."""
        mark = hash(frame)
        if self._to_come is not None:
            left = self._to_come.get(mark, 0)
            if left > 0:
                self._to_come[mark] = left - 1
            return left == 0
        brought = self._brought.get(mark)
        if brought is None:
            if len(self._brought) >= self._limit:
                return True
            brought = self._brought[mark] = {}
        delivered = max(brought.values(), default=0)
        brought[place] = brought.get(place, 0) + 1
        if self._marked is not None:
            late = self._marked.setdefault(mark, {})
            late[place] = late.get(place, 0) + 1
        return brought[place] > delivered

    def mark(self) -> None:
        """Note that the new place is live."""
        self._marked = {}

    def close(self, place: Place) -> None:
        """Note that the old place brings nothing any more."""
        self._to_come = {}
        for mark, late in (self._marked or {}).items():
            brought = self._brought[mark]
            others = max((count for at, count in brought.items() if at != place), default=0)
            ahead = min(late.get(place, 0), brought.get(place, 0) - others)
            if ahead > 0:
                self._to_come[mark] = ahead
