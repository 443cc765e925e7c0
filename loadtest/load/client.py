"""redis-py's plain client, telling locust about every command.

Strategy: the client reports each command under its own name, so tasks read
like application code. A value that is not the one that must come is reported
as a failed request, too: a proxy may be fast and wrong. Retries of the
library are off, or it would hide what failed.

Cost: locust and redis-py need some 0.2 ms of CPU for a command, twenty times what
a proxy needs: this finds errors and pauses, not limits; for speed see compare.py.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Self

import redis
from locust.env import Environment
from locust.exception import RescheduleTask
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_S = 10.0
TOLD_VALUES = 50  # wrong values shown by each process: each would be a line of its own

_wrong_values = count()


class WrongValue(Exception):
    """A read did not give what must be there."""


@dataclass(slots=True)
class Request:
    """What is being measured; the block that does it may know better.

    Attributes:
        start_s: When it began, by ``time.perf_counter``.
        size_bytes: Of its reply.
    """

    start_s: float
    size_bytes: int = 0


class ReportingRedis(redis.Redis):
    """A plain ``redis.Redis`` that tells locust about every command.

    Raises:
        RescheduleTask: Instead of redis-py's error, which was reported: the
            user goes on with its next task.
    """

    environment: Environment

    @classmethod
    def connect(cls, url: str, environment: Environment) -> Self:
        """Make the client; it connects at its first command."""
        client = cls.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        client.environment = environment
        return client

    def execute_command(self, *args: object, **options: object) -> object:
        """Send one command, as ``redis.Redis`` does, and report it."""
        with self.reporting(str(args[0])) as request:
            reply = super().execute_command(*args, **options)
            request.size_bytes = size_of(reply)
        return reply

    def execute_quietly(self, *args: object, **options: object) -> object:
        """Send one command and leave it to the caller to report it.

        Raises:
            redis.RedisError: As ``redis.Redis`` does.
        """
        return super().execute_command(*args, **options)

    def run_together(
        self, name: str, commands: Sequence[tuple[object, ...]], *, transaction: bool = False
    ) -> list[object]:
        """Send commands in one go, in MULTI ... EXEC or not, and report them as one request."""
        with self.reporting(name) as request:
            pipeline = self.pipeline(transaction=transaction)
            for command in commands:
                pipeline.execute_command(*command)
            replies = pipeline.execute()
            request.size_bytes = size_of(replies)
        return replies

    def expect(self, name: str, got: object, wanted: object) -> None:
        """Report a failed request if a reply is not the one that must come."""
        if got != wanted:
            self.report_wrong(name, f"{got!r}, not {wanted!r}")

    def report_wrong(self, name: str, words: str) -> None:
        """Report a failed request under ``name (wrong value)``.

        Raises:
            RescheduleTask: Always.
        """
        with self.reporting(f"{name} (wrong value)"):
            is_told = next(_wrong_values) < TOLD_VALUES
            raise WrongValue(words[:200] if is_told else "more of them")

    @contextmanager
    def reporting(self, name: str) -> Iterator[Request]:
        """Report the time, size and error of what the block does.

        Raises:
            RescheduleTask: The block raised redis-py's error or ``WrongValue``.
        """
        request = Request(time.perf_counter())
        failure: Exception | None = None
        try:
            yield request
        except (redis.RedisError, WrongValue) as error:
            failure = error
        self.environment.events.request.fire(
            request_type="redis",
            name=name,
            response_time=(time.perf_counter() - request.start_s) * 1000,
            response_length=request.size_bytes,
            # In words: redis-py's errors leave them out of their repr, which locust would show.
            exception=failure and f"{type(failure).__name__}: {failure}",
            context={},
        )
        if failure is not None:
            raise RescheduleTask from failure


def size_of(reply: object) -> int:
    """Return the bytes of a reply's strings, nested ones included."""
    if isinstance(reply, bytes):
        return len(reply)
    if isinstance(reply, list | set | tuple):
        return sum(size_of(item) for item in reply)
    if isinstance(reply, dict):
        return sum(size_of(key) + size_of(value) for key, value in reply.items())
    return 0
