"""The kinds of users: what applications do with Redis, one class for each habit.

Every user checks what it reads: its own keys must hold what it wrote last,
and what all users share says in its value which key it belongs to. After a
failover a wrong value can be true without any fault of the proxy:
replication is asynchronous, and a replica may be promoted without the last writes.

Keys begin with ``locust:`` and expire. A class's ``weight`` is its share of the
users unless ``--mix`` says otherwise.
"""

import json
import os
import random
import time
from contextlib import suppress

import gevent
import redis
from locust import User, task
from locust.exception import RescheduleTask

from load.client import ReportingRedis
from load.zipf import Zipf

EXPIRE_S = 600
CACHED_KEYS = 10_000
SESSIONS = 20  # of each user
KEYS_TOGETHER = 10
PIPELINE_LENGTH = 100
TASKS_AT_ONCE = 5
BLOCKED_S = 0.02
DELIVERY_LIMIT_S = 5.0

_cached = Zipf(CACHED_KEYS)


class RedisUser(User):
    """An application's connection; between two tasks it thinks ``--think-ms`` on average."""

    abstract = True
    host = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

    def on_start(self) -> None:
        """Make the client, which connects at its first command."""
        self.redis = ReportingRedis.connect(self.host, self.environment)
        self.name = f"locust:{random.randbytes(8).hex()}"

    def on_stop(self) -> None:
        """Disconnect."""
        self.redis.close()

    def wait_time(self) -> float:
        """Return how long to think, in seconds: anything from nothing to twice the average."""
        return random.uniform(0, 2 * self.environment.parsed_options.think_ms / 1000)


class CacheUser(RedisUser):
    """A cache: nine GETs to one SET with a time to live, keys by Zipf's law, shared by all."""

    weight = 8

    @task(9)
    def read(self) -> None:
        key = cached_key()
        value = self.redis.get(key)
        if value is not None and not value.startswith(b"%s=" % key.encode()):
            self.redis.report_wrong("GET", f"{value!r} of {key}")

    @task(1)
    def write(self) -> None:
        key = cached_key()
        padding = random.randbytes(random.randrange(16, 512))
        self.redis.set(key, b"%s=%s" % (key.encode(), padding), ex=EXPIRE_S)


def cached_key() -> str:
    """Return a key that all cache users read and write."""
    return f"locust:cache:{_cached.draw()}"


class SessionUser(RedisUser):
    """A session store: a hash for each session, read and renewed at every request."""

    weight = 4

    def on_start(self) -> None:
        """Begin without sessions."""
        super().on_start()
        self.sessions: dict[str, dict[bytes, bytes]] = {}

    @task(8)
    def visit(self) -> None:
        if not self.sessions:
            self.log_in()
        key = random.choice(list(self.sessions))
        self.redis.expect("HGETALL", self.redis.hgetall(key), self.sessions[key])
        self._write(key, {b"seen": b"%d" % time.time_ns()})

    @task(2)
    def log_in(self) -> None:
        if len(self.sessions) >= SESSIONS:
            self.log_out()
        key = f"{self.name}:session:{random.getrandbits(64):x}"
        self._write(key, {b"user": key.encode(), b"cart": b"[]", b"csrf": random.randbytes(32)})

    @task(1)
    def log_out(self) -> None:
        if self.sessions:
            key = random.choice(list(self.sessions))
            del self.sessions[key]
            self.redis.delete(key)

    def _write(self, key: str, fields: dict[bytes, bytes]) -> None:
        before = self.sessions.pop(key, {})  # unknown, if this fails half-way
        self.redis.hset(key, mapping=fields)
        self.redis.expire(key, EXPIRE_S)
        self.sessions[key] = before | fields


class QueueUser(RedisUser):
    """A task queue as Celery uses one: JSON messages, LPUSH, and BRPOP over two queues."""

    weight = 3

    def on_start(self) -> None:
        """Name the queues, which lie in different slots."""
        super().on_start()
        self.urgent, self.normal = f"{self.name}:urgent", f"{self.name}:normal"
        self.number = 0

    @task(2)
    def work_off(self) -> None:
        messages = [self._message() for _ in range(random.randint(1, TASKS_AT_ONCE))]
        for message in messages:
            self.redis.lpush(self.normal, message)
        for message in messages:
            reply = self.redis.brpop([self.urgent, self.normal], timeout=DELIVERY_LIMIT_S)
            self._check("BRPOP", reply, self.normal, message)

    @task(1)
    def wait_for_work(self) -> None:
        message, sent_s = self._message(), []
        pusher = gevent.spawn_later(BLOCKED_S, self._push, message, sent_s)
        name = "BRPOP (from push to wake-up)"
        try:
            with self.redis.reporting(name) as request:
                queues = (self.urgent, self.normal)
                reply = self.redis.execute_quietly("BRPOP", *queues, DELIVERY_LIMIT_S)
                request.start_s = sent_s[0] if sent_s else request.start_s
                request.size_bytes = len(message)
            pusher.join()
        finally:
            pusher.kill()  # if the user was stopped meanwhile; its client is closed next
        self._check(name, reply, self.urgent, message)

    def _push(self, message: bytes, sent_s: list[float]) -> None:
        sent_s.append(time.perf_counter())
        with suppress(RescheduleTask):  # reported; it is the other greenlet's task
            self.redis.lpush(self.urgent, message)

    def _message(self) -> bytes:
        self.number += 1
        body = {"id": f"{self.name}/{self.number}", "task": "mail.send", "args": ["x" * 300]}
        return json.dumps(body).encode()

    def _check(self, name: str, reply: object, queue: str, message: bytes) -> None:
        wanted = [queue.encode(), message]
        if reply is None or list(reply) != wanted:
            self.urgent, self.normal = self.urgent + "'", self.normal + "'"  # begin anew
            self.redis.expect(name, reply, wanted)


class PubSubUser(RedisUser):
    """A publisher and its subscriber: is every message delivered, and how soon?"""

    weight = 2

    def on_start(self) -> None:
        """Begin without a subscription."""
        super().on_start()
        self.subscriber: redis.client.PubSub | None = None
        self.number = 0

    def on_stop(self) -> None:
        """Disconnect both."""
        if self.subscriber is not None:
            self.subscriber.close()
        super().on_stop()

    @task
    def publish(self) -> None:
        subscriber = self.subscriber or self._subscribe()
        self.subscriber = None  # a new one next time, if this fails half-way
        self.number += 1
        message = b"%s/%d" % (self.name.encode(), self.number)
        start = time.perf_counter()
        self.redis.publish(f"{self.name}:news", message)
        with self.redis.reporting("message (from PUBLISH to delivery)") as request:
            request.start_s, request.size_bytes = start, len(message)
            got = subscriber.get_message(ignore_subscribe_messages=True, timeout=DELIVERY_LIMIT_S)
            if got is None:
                raise redis.TimeoutError(f"not delivered within {DELIVERY_LIMIT_S:g} s")
        self.redis.expect("message", got["data"], message)
        self.subscriber = subscriber

    def _subscribe(self) -> redis.client.PubSub:
        subscriber = self.redis.pubsub()
        with self.redis.reporting("SUBSCRIBE"):
            subscriber.subscribe(f"{self.name}:news")
            subscriber.get_message(timeout=DELIVERY_LIMIT_S)
        return subscriber


class PipelineUser(RedisUser):
    """Batches: a hundred commands in one go, over keys all over the cluster."""

    weight = 1

    @task
    def write_and_read(self) -> None:
        pairs = [
            (f"{self.name}:batch:{n}", b"%d" % random.getrandbits(32))
            for n in range(PIPELINE_LENGTH // 2)
        ]
        commands: list[tuple[object, ...]] = []
        for key, value in pairs:
            commands += [("SET", key, value, "EX", EXPIRE_S), ("GET", key)]
        replies = self.redis.run_together(f"pipeline of {len(commands)}", commands)
        wanted = [reply for _, value in pairs for reply in (True, value)]
        self.redis.expect("pipeline", replies, wanted)


class MultiKeyUser(RedisUser):
    """Commands over several keys, and so over several slots: for a cluster, to be split."""

    weight = 2

    @task
    def write_and_read(self) -> None:
        pairs = {
            f"{self.name}:many:{n}": b"%d" % random.getrandbits(32) for n in range(KEYS_TOGETHER)
        }
        self.redis.mset(pairs)
        self.redis.expect("MGET", self.redis.mget(list(pairs)), list(pairs.values()))
        self.redis.expect("UNLINK", self.redis.unlink(*pairs), len(pairs))


class TransactionUser(RedisUser):
    """MULTI ... EXEC over two keys of one slot: their sum must stay zero."""

    weight = 2

    @task
    def transfer(self) -> None:
        amount = random.randint(1, 100)
        purse, bank = (f"{{{self.name}}}:{name}" for name in ("purse", "bank"))
        commands: list[tuple[object, ...]] = [
            ("INCRBY", purse, amount),
            ("DECRBY", bank, amount),
            ("EXPIRE", purse, EXPIRE_S),
            ("EXPIRE", bank, EXPIRE_S),
        ]
        replies = self.redis.run_together("MULTI EXEC of 4", commands, transaction=True)
        self.redis.expect("EXEC", sum(replies[:2]), 0)


# The names that ``--mix`` knows.
USERS: dict[str, type[RedisUser]] = {
    "cache": CacheUser,
    "session": SessionUser,
    "queue": QueueUser,
    "pubsub": PubSubUser,
    "pipeline": PipelineUser,
    "multikey": MultiKeyUser,
    "transaction": TransactionUser,
}
