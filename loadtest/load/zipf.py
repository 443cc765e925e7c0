"""Numbers as caches see them: few are asked for often, most hardly ever.

Rank r is drawn with probability r^-s / sum(k^-s). The exponent 0.99 is that
of YCSB's "zipfian" request distribution.

Cost: a table of one float for each number; a draw is one binary search.
"""

from itertools import accumulate
from random import Random

EXPONENT = 0.99


class Zipf:
    """Draws numbers from 0, the favourite, to ``count`` - 1."""

    def __init__(
        self, count: int, exponent: float = EXPONENT, random: Random | None = None
    ) -> None:
        """Make the table.

        Args:
            count: How many numbers there are, at least 1.
            exponent: 0 makes all equally likely.
            random: Where chance comes from; None takes a source of its own.
        """
        self._random = random or Random()
        self._numbers = range(count)
        self._bounds = list(accumulate((rank + 1) ** -exponent for rank in self._numbers))

    def draw(self) -> int:
        """Return one number."""
        return self._random.choices(self._numbers, cum_weights=self._bounds)[0]

    def share(self, number: int) -> float:
        """Return the probability of a number."""
        below = self._bounds[number - 1] if number else 0.0
        return (self._bounds[number] - below) / self._bounds[-1]
