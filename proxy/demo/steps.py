"""Show what is being done, live on a terminal and line by line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

TITLE_WIDTH = 36
NOTE_WIDTH = 26


class Step:
    """One thing being done; only inside the ``with`` of ``Steps.step``."""

    def __init__(self, progress: Progress | None, title: str, total: int | None) -> None:
        """Show the step as begun."""
        self._progress = progress
        self._done = 0
        self._note = ""
        self._title = title
        if progress is not None:
            self._task = progress.add_task(title, total=total, state="doing", note="")

    def advance(self, by: int = 1) -> None:
        """Say that so much more of the total is done."""
        self.reach(self._done + by)

    def reach(self, done: int) -> None:
        """Say how much of the total is done."""
        self._done = done
        if self._progress is not None:
            self._progress.update(self._task, completed=done)

    def note(self, words: str) -> None:
        """Replace the few words behind the title."""
        self._note = words
        if self._progress is not None:
            self._progress.update(self._task, note=words)

    def end(self, console: Console, *, ok: bool, took_s: float) -> None:
        """Show the step as done or failed."""
        if self._progress is not None:
            self._progress.update(self._task, state="done" if ok else "failed")
            self._progress.stop_task(self._task)
            return
        line = f"{self._title:{TITLE_WIDTH}}  {self._note:{NOTE_WIDTH}}  {took_s:5.1f} s"
        console.print(Text.assemble("  ", mark(console, ok=ok), " ", line), soft_wrap=True)


class Steps:
    """A list of steps that grows downward; a context manager around all of them."""

    def __init__(self, console: Console) -> None:
        """Show on ``console``: live if it is a terminal, one line a finished step if not."""
        self._console = console
        self._cleanup = ExitStack()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress = self._cleanup.enter_context(
                Progress(
                    TextColumn(" "),
                    _Mark(self._console),
                    TextColumn(f"{{task.description:{TITLE_WIDTH}}}"),
                    _BarOrNote(),
                    _Seconds(),
                    console=self._console,
                )
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Step]:
        """Show a step while the block runs; it has failed if the block raises."""
        started = time.monotonic()
        step = Step(self._progress, title, total)
        ok = False
        try:
            yield step
            ok = True
        finally:
            step.end(self._console, ok=ok, took_s=time.monotonic() - started)


def mark(console: Console, *, ok: bool) -> Text:
    """Return the sign of success or failure, in letters where the terminal has no others."""
    signs = ("ok", "--") if console.options.ascii_only else ("✓", "✗")
    return Text(signs[0], "bold green") if ok else Text(signs[1], "bold red")


class _Mark(SpinnerColumn):
    """A spinner while the step runs, then how it ended."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> RenderableType:
        if task.fields["state"] == "doing":
            return super().render(task)
        return mark(self._console, ok=task.fields["state"] == "done")


class _BarOrNote(ProgressColumn):
    """A bar while there is a total to reach; otherwise the note."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = BarColumn(bar_width=NOTE_WIDTH)

    def render(self, task: Task) -> RenderableType:
        if task.fields["state"] == "doing" and task.total is not None:
            return self._bar.render(task)
        return Text(f"{task.fields['note']:{NOTE_WIDTH}}", "dim")


class _Seconds(ProgressColumn):
    """How long the step took, or has taken so far."""

    def render(self, task: Task) -> RenderableType:
        return Text(f"{task.elapsed or 0.0:5.1f} s", "cyan")
