"""Whether anybody looks: work that is done for people alone is not done for nobody.

Strategy: a look counts for ``LASTS_S``, so whoever looks again and again is never kept waiting.
"""

from __future__ import annotations

import math

import trio

LASTS_S = 60.0


class Interest:
    """Of whoever looks at something."""

    def __init__(self) -> None:
        self._until = -math.inf
        self._begun = trio.Event()

    @property
    def is_over(self) -> bool:
        """Whether nobody has looked for a while."""
        return trio.current_time() > self._until

    def note(self) -> None:
        """Note that somebody looks."""
        self._until = trio.current_time() + LASTS_S
        self._begun.set()

    async def wait(self) -> None:
        """Wait until somebody looks again."""
        self._begun = trio.Event()
        await self._begun.wait()
