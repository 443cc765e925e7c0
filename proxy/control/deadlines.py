"""What has to be answered in time and has no task of its own to see to it.

Strategy: all wait equally long, so the first that was added is the first that is due,
and a look costs nothing while nothing is.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Deadlines:
    """Things that wait, and what to do when they have waited too long.

    Args:
        timeout_s: How long each may wait.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._waiting: dict[object, tuple[float, Callable[[], object]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, what: object, on_late: Callable[[], object]) -> None:
        """Begin to wait; ``on_late`` is called if ``remove`` does not come first."""
        self._waiting[what] = (trio.current_time() + self.timeout_s, on_late)

    def remove(self, what: object) -> None:
        """Wait no more; nothing happens if it does not."""
        self._waiting.pop(what, None)

    def look(self) -> None:
        """Give up what has waited too long."""
        now = trio.current_time()
        while self._waiting:
            what, (deadline, on_late) = next(iter(self._waiting.items()))
            if deadline > now:
                return
            del self._waiting[what]
            on_late()
