"""Counters that never grow beyond a limit, and say what they left out.

Strategy: *first come* for what there are few of (commands, clients): a name that does not
fit is counted among the others. *Space-Saving* for what there are many of (users, carts):
the rarest makes room, and the newcomer inherits its count as a possible error, so that
whatever has more than 1/limit of the traffic is there, with a count known to be true.

Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements
in data streams" (2005).

Cost: a dict access; a heavy counter looks at all its values when one makes room.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class FirstCome(Generic[Name]):
    """Counts names, as many as fit.

    Attributes:
        others: Counted without a name, because there were too many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[Name, int] = {}
        self.others = 0

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[Name]:
        return iter(self._counts)

    def __getitem__(self, name: Name) -> int:
        return self._counts.get(name, 0)

    def add(self, name: Name, count: int = 1) -> bool:
        """Count a name; False if it is one of the others."""
        if name not in self._counts and len(self._counts) >= self._limit:
            self.others += count
            return False
        self._counts[name] = self._counts.get(name, 0) + count
        return True

    def most(self, limit: int | None = None) -> list[tuple[Name, int]]:
        """Return names and counts, the most frequent first, equal ones as they came."""
        return sorted(self._counts.items(), key=lambda item: -item[1])[:limit]


class Heavy:
    """Finds the values that occur most, among any number (Space-Saving).

    Attributes:
        total: How many were counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[bytes, int] = {}
        self._errors: dict[bytes, int] = {}
        self.total = 0

    def add(self, value: bytes, count: int = 1, error: int = 0) -> None:
        """Count a value."""
        self.total += count
        counts = self._counts
        if value in counts:
            counts[value] += count
            self._errors[value] += error
            return
        if len(counts) >= self._limit:
            rarest = min(counts, key=counts.__getitem__)
            inherited = counts.pop(rarest)
            del self._errors[rarest]
            count += inherited
            error += inherited
        counts[value] = count
        self._errors[value] = error

    def merge(self, other: Heavy) -> None:
        """Take over what another one has counted."""
        total = self.total + other.total
        for value, count in other._counts.items():
            self.add(value, count, other._errors[value])
        self.total = total

    def certain(self) -> dict[bytes, int]:
        """Return how often each value occurred at least."""
        return {value: count - self._errors[value] for value, count in self._counts.items()}
