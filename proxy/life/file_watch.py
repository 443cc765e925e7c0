"""Notice that files have changed, once they have come to rest.

Strategy: look at each file's ``stat`` now and then, links followed. Nothing is watched by the
kernel, because a change there has many faces: a file written in place, one put in its place,
or, as Kubernetes does it for mounted settings and secrets, a link two directories above that
points elsewhere from now on; and some file systems tell of none. A change is told when two
looks in a row have found the same: whoever writes several files, or one in pieces, is not
interrupted.

Cost: a system call for each file and look.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

# How long it takes until a watch that was off notices that it is on.
IDLE_S = 1.0

Signature = tuple[int, int, int, int] | None
"""What differs once a file has changed; None: it cannot be looked at."""


class FileWatch:
    """What some files are, as last told.

    Args:
        find: Returns the files; asked at every look.
        find_interval_s: Returns how long to wait between two looks; 0: not at all.
    """

    def __init__(
        self, find: Callable[[], Iterable[Path]], find_interval_s: Callable[[], float]
    ) -> None:
        self._find = find
        self._find_interval_s = find_interval_s
        self._known = self._seen = self._look()

    def note(self) -> None:
        """Take what the files are now for known: somebody has just read them."""
        self._known = self._seen = self._look()

    def has_changed(self) -> bool:
        """Look, and return whether the files differ from what is known, and are at rest.

        What is told once is known.
        """
        before, self._seen = self._seen, self._look()
        if all(self._known.get(path, found) == found for path, found in self._seen.items()):
            self._known = self._seen  # a file that is new here has just been read
            return False
        if self._seen != before:
            return False
        self._known = self._seen
        return True

    async def run(self, on_change: Callable[[], object]) -> None:
        """Call ``on_change`` after each change, for ever; its exceptions pass through."""
        while True:
            interval_s = self._find_interval_s()
            await trio.sleep(interval_s or IDLE_S)
            if interval_s and self.has_changed():
                on_change()

    def _look(self) -> dict[Path, Signature]:
        return {path: _signature(path) for path in self._find()}


def _signature(path: Path) -> Signature:
    # Not the time of the last write, which who copies a file may set as it was before.
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)
