"""How far a long work is: a bar on a terminal, lines in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from proxy.manage import OnProgress, Progress

LINE_EVERY_S = 5.0


@contextmanager
def bar(console: Console) -> Iterator[OnProgress]:
    """Show a bar that is gone at the end."""
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task("", total=None)

        def tell(stand: Progress) -> None:
            words = f"{stand.words}, {stand.keys:,} keys" if stand.keys else stand.words
            bars.update(task, description=words, completed=stand.done, total=stand.total or None)

        yield tell


class Lines:
    """A line for each new work, and one now and then while works last, several at once or not."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write with ``say``; ``clock`` returns seconds."""
        self._say = say
        self._clock = clock
        self._begun: set[str] = set()
        self._said_at = 0.0

    def tell(self, stand: Progress) -> None:
        """Write where the work stands, if that is news."""
        now = self._clock()
        if stand.words in self._begun and now < self._said_at + LINE_EVERY_S:
            return
        share = f" ({stand.done} of {stand.total})" if stand.total else ""
        self._say(f"... {stand.words}{share}")
        self._begun.add(stand.words)
        self._said_at = now
