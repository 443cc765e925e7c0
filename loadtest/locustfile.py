"""Load through the proxy from an ordinary client: redis-py's plain Redis.

Run: ``locust -f loadtest/locustfile.py --headless -u 50 -r 50 -t 30s
--host redis://127.0.0.1:6379`` (or REDIS_URL in the environment instead of
``--host``). Users write only keys below ``locust:``, which expire.

Strategy: the client class reports each command to locust under the
command's name, so tasks read like application code. A value that is not the
one just written is reported as a failed request, too: a proxy may be fast
and wrong. Retries of the library are off, or it would hide what failed.

Cost: locust and redis-py need far more CPU for a command than a proxy does, so
this finds errors and pauses, not limits; for speed see compare.py.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from locust import User, between, task
from locust.env import Environment
from locust.exception import RescheduleTask
from redis.backoff import NoBackoff
from redis.retry import Retry

SHARED_KEYS = 1_000
EXPIRE_S = 600
PIPELINE_LENGTH = 20
_TIMEOUT_S = 10.0


class WrongValue(Exception):
    """A read did not give what this user, the only writer of the key, had written."""


class ReportingRedis(redis.Redis):
    """A plain ``redis.Redis`` that tells locust about every command.

    Raises:
        RescheduleTask: Instead of redis-py's error, which was reported: the
            user goes on with its next task.
    """

    environment: Environment

    def execute_command(self, *args: object, **options: object) -> object:
        """Send one command, as ``redis.Redis`` does, and report it."""
        with self.reporting(str(args[0])) as sizes:
            reply = super().execute_command(*args, **options)
            sizes.append(size_of(reply))
        return reply

    def run_pipeline(self, commands: list[tuple[object, ...]]) -> list[object]:
        """Send the commands in one go and report them as one request."""
        with self.reporting(f"pipeline of {len(commands)}") as sizes:
            pipeline = self.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            replies = pipeline.execute()
            sizes.append(size_of(replies))
        return replies

    def expect(self, name: str, got: object, wanted: object) -> None:
        """Report a failed request if a reply is not the one that must come."""
        if got != wanted:
            with self.reporting(f"{name} (wrong value)"):
                raise WrongValue(f"{got!r}, not {wanted!r}"[:200])

    @contextmanager
    def reporting(self, name: str) -> Iterator[list[int]]:
        """Report the time, size and error of what the block does."""
        sizes: list[int] = []
        failure: Exception | None = None
        start = time.perf_counter()
        try:
            yield sizes
        except (redis.RedisError, WrongValue) as error:
            failure = error
        self.environment.events.request.fire(
            request_type="redis",
            name=name,
            response_time=(time.perf_counter() - start) * 1000,
            response_length=sum(sizes),
            exception=failure,
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


class RedisUser(User):
    """An application's connection: mostly reads, some writes, keys all over the cluster."""

    wait_time = between(0.0, 0.01)
    host = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

    def on_start(self) -> None:
        """Make the client, which connects at its first command."""
        self.redis = ReportingRedis.from_url(
            self.host,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self.redis.environment = self.environment
        self.name = f"locust:{random.randbytes(8).hex()}"
        self.counted: int | None = None  # unknown, until the first INCRBY is answered

    def on_stop(self) -> None:
        """Disconnect."""
        self.redis.close()

    @task(20)
    def read_one(self) -> None:
        self.redis.get(shared_key())

    @task(6)
    def write_one(self) -> None:
        self.redis.set(shared_key(), random.randbytes(random.randrange(1, 512)), ex=EXPIRE_S)

    @task(4)
    def read_own_write(self) -> None:
        key, value = f"{self.name}:own", random.randbytes(32)
        self.redis.set(key, value, ex=EXPIRE_S)
        self.redis.expect("GET", self.redis.get(key), value)

    @task(3)
    def count(self) -> None:
        key = f"{self.name}:counter"
        before, self.counted = self.counted, None  # a failed INCRBY may have run
        self.counted = self.redis.incr(key)
        if before is not None:
            self.redis.expect("INCRBY", self.counted, before + 1)
        self.redis.expire(key, EXPIRE_S)

    @task(3)
    def read_and_write_many(self) -> None:
        pairs = {f"{self.name}:many:{n}": b"%d" % random.getrandbits(32) for n in range(10)}
        self.redis.mset(pairs)
        self.redis.expect("MGET", self.redis.mget(list(pairs)), list(pairs.values()))
        self.redis.unlink(*pairs)

    @task(2)
    def use_a_hash(self) -> None:
        key = f"{self.name}:hash"
        self.redis.hset(key, mapping={"name": "ada", "visits": str(self.counted)})
        self.redis.expire(key, EXPIRE_S)
        self.redis.hgetall(key)

    @task(1)
    def pipeline_reads(self) -> None:
        self.redis.run_pipeline([("GET", shared_key()) for _ in range(PIPELINE_LENGTH)])


def shared_key() -> str:
    """Return a key that all users read and write."""
    return f"locust:shared:{random.randrange(SHARED_KEYS)}"
