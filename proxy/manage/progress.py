"""How far a long work has come: told through a callback, shown by whoever wants to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a work stands."""

    words: str
    """What is being done now, for people."""
    done: int = 0
    """Of ``total``: commands, slots or nodes, as the work says."""
    total: int = 0
    """0 while nobody knows."""
    keys: int = 0
    """Keys moved so far, where keys move."""
    step: str = ""
    """The part of it that begins, in a word; changes quickly."""


OnProgress = Callable[[Progress], None]
"""Called in the thread of the work, before each step. What it raises ends the work there."""


def ignore(_progress: Progress) -> None:
    """Show nothing."""
