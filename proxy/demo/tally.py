"""Count what a client saw: commands, errors, waits, and answers that were not true.

Strategy: every command of the tour goes through ``Tally.ask``, so that nothing
the client meets is left out of the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import redis

# How the proxy begins the error of a write that may have run.
UNKNOWN_OUTCOME = "IOERR"
COMPLAINTS_KEPT = 5


class NoReply(Enum):
    """Why there is no reply to look at."""

    FAILED = "it failed"
    UNKNOWN = "a write, and nobody knows whether it ran"


@dataclass
class Tally:
    """What one client, or one phase of the tour, has seen so far."""

    phase: str
    """For people: the first column of the table."""
    commands: int = 0
    """Commands sent, those inside pipelines counted one by one."""
    errors: int = 0
    """Error replies and lost connections, without ``unknown_writes``."""
    unknown_writes: int = 0
    """Writes whose error said that the outcome is unknown: honest, not an error."""
    lost_writes: int = 0
    """Acknowledged writes that a crashed server had not copied to its replica yet."""
    wrong_answers: int = 0
    """Replies that cannot be true, whatever happened behind the proxy."""
    longest_wait_s: float = 0.0
    """The longest time between a command and its reply."""
    complaints: list[str] = field(default_factory=list)
    """The first few errors and wrong answers, in words."""

    @property
    def held(self) -> bool:
        """Whether the client met nothing that it would not accept from one good server."""
        return self.errors == 0 and self.wrong_answers == 0

    def ask(
        self, command: Callable[[], object], *, is_write: bool = False, count: int = 1
    ) -> object:
        """Run one command (or one pipeline of ``count``) and return its reply, or a ``NoReply``.

        Any exception out of here that is not redis-py's comes from ``command``.
        """
        started = time.monotonic()
        try:
            return command()
        except redis.RedisError as problem:
            if is_write and str(problem).startswith(UNKNOWN_OUTCOME):
                self.unknown_writes += 1
                return NoReply.UNKNOWN
            self.errors += 1
            self.complain(f"{type(problem).__name__}: {problem}")
            return NoReply.FAILED
        finally:
            self.commands += count
            self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - started)

    def expect(self, reply: object, expected: object, what: str) -> None:
        """Count a wrong answer if there is a reply and it is not the expected one."""
        if not isinstance(reply, NoReply) and reply != expected:
            self.wrong(f"{what}: {_short(reply)} instead of {_short(expected)}")

    def wrong(self, words: str) -> None:
        """Count one wrong answer."""
        self.wrong_answers += 1
        self.complain(words)

    def complain(self, words: str) -> None:
        """Keep ``words`` if there are not enough of them yet."""
        if len(self.complaints) < COMPLAINTS_KEPT:
            self.complaints.append(words)

    def add(self, other: Tally) -> None:
        """Add what another client saw in the same phase."""
        self.commands += other.commands
        self.errors += other.errors
        self.unknown_writes += other.unknown_writes
        self.lost_writes += other.lost_writes
        self.wrong_answers += other.wrong_answers
        self.longest_wait_s = max(self.longest_wait_s, other.longest_wait_s)
        for words in other.complaints:
            self.complain(words)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
