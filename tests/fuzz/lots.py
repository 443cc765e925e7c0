"""Decisions drawn from bytes: the same bytes, the same case.

Strategy: whoever makes a case asks for numbers and choices, and each takes its bytes from the
front of the input. So hypothesis and a coverage-guided fuzzer drive the same cases, a crash is
its input, and a byte changed somewhere changes one decision. What is asked for after the
end is always the first choice, so that every case ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

Kind = TypeVar("Kind")


class Lots:
    """The input of one case."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether anything is left to decide with."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return the next byte; 0 after the end."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, end: int) -> int:
        """Return a number from 0 to ``end - 1``."""
        return self.byte() % end if end <= 256 else (self.byte() << 8 | self.byte()) % end

    def choice(self, things: Sequence[Kind]) -> Kind:
        """Return one of them."""
        return things[self.below(len(things))]

    def flag(self) -> bool:
        """Return True half the times."""
        return self.byte() % 2 == 1

    def rarely(self) -> bool:
        """Return True once in sixteen times."""
        return self.byte() % 16 == 15

    def take(self, length: int) -> bytes:
        """Return the next bytes as they are; fewer at the end."""
        taken = self._data[self._at : self._at + length]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data))

    def cut(self, wire: bytes) -> list[bytes]:
        """Return ``wire`` in one to four pieces."""
        places = sorted(self.below(len(wire) + 1) for _ in range(self.below(4)))
        edges = [0, *places, len(wire)]
        return [wire[start:end] for start, end in itertools.pairwise(edges)]
