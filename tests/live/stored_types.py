"""Keys of every type, with and without TTL, and what they must read as wherever they have moved.

Strategy: written through the proxy, read back through the proxy, and compared value by value
in a form that does not depend on how a server stores them. Of each key only a checksum is kept,
so that there may be hundreds of thousands.

Cost: 0.1 ms a key to write and as much to read (2 cores).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

import redis
from redis.client import Pipeline

T = TypeVar("T")
AT_ONCE = 500  # keys in one pipeline
TTL_TOLERANCE_MS = 2_000  # MIGRATE sends what is left of a TTL, and takes its time


@dataclass(frozen=True, slots=True)
class Kept:
    """What a key is."""

    kind: bytes
    checksum: bytes
    expires_at_ms: float
    """On this machine's clock; 0 for never."""


class StoredTypes:
    """Keys that nobody changes; ``differences`` says what has become of them."""

    def __init__(self, client: redis.Redis, count: int = 2_000) -> None:
        """Write the keys.

        Args:
            client: Of the proxy.
            count: How many; a third of them get a TTL.
        """
        self._client = client
        self.keys = [f"kept:{number}" for number in range(count)]
        for part in _parts(range(count)):
            pipe = client.pipeline(transaction=False)
            for number in part:
                _WRITERS[number % len(_WRITERS)](pipe, self.keys[number], number)
                if number % 3 == 0:
                    pipe.pexpire(self.keys[number], 3_600_000 + number)
            pipe.execute()
        self._before = self._read()

    def look_through(self, client: redis.Redis) -> None:
        """Read the keys by another client from now on."""
        self._client = client

    def differences(self) -> list[str]:
        """Return the keys that are not what they were; empty if all are."""
        now = self._read()
        found = []
        for key, before in self._before.items():
            after = now[key]
            if (after.kind, after.checksum) != (before.kind, before.checksum):
                found.append(f"{key}: was a {before.kind!r}, is {after.kind!r} or another value")
            elif bool(before.expires_at_ms) != bool(after.expires_at_ms):
                found.append(f"{key}: expires at {after.expires_at_ms}, not {before.expires_at_ms}")
            elif abs(after.expires_at_ms - before.expires_at_ms) > TTL_TOLERANCE_MS:
                moved = after.expires_at_ms - before.expires_at_ms
                found.append(f"{key}: its TTL moved by {moved:.0f} ms")
        return found

    def _read(self) -> dict[str, Kept]:
        return {key: kept for part in _parts(self.keys) for key, kept in self._read_part(part)}

    def _read_part(self, keys: Sequence[str]) -> Iterator[tuple[str, Kept]]:
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key)
            pipe.pttl(key)
        answers = pipe.execute()
        now_ms = time.time() * 1000
        kinds, ttls = answers[::2], answers[1::2]
        for key, kind in zip(keys, kinds, strict=True):
            _READERS[kind](pipe, key)
        for key, kind, ttl, value in zip(keys, kinds, ttls, pipe.execute(), strict=True):
            checksum = blake2b(repr(_plain(value)).encode(), digest_size=16).digest()
            yield key, Kept(kind, checksum, now_ms + ttl if ttl >= 0 else 0)


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


def _plain(value: object) -> object:
    """Return a reply in an order of its own: fields and members come in the server's."""
    match value:
        case dict():
            return sorted((k, _plain(v)) for k, v in value.items() if k not in _OF_THE_SERVER)
        case list():
            return [_plain(each) for each in value]
        case set():
            return sorted(value)
    return value


# How a server stores a stream; and what replicas are not told, so that it changes in a failover:
# when a consumer was seen, and with Redis 7.0 how many entries its group has read.
_OF_THE_SERVER = {
    *("radix-tree-keys", "radix-tree-nodes", "entries-read", "lag"),
    *(b"seen-time", b"active-time"),
}


def _stream(pipe: Pipeline, key: str, number: int) -> None:
    for entry in range(number % 4 + 1):
        pipe.xadd(key, {"n": number}, id=f"{number + 1}-{entry + 1}")
    pipe.xgroup_create(key, "workers", "0")
    # One entry is taken and not acknowledged.
    pipe.xreadgroup("workers", "ada", {key: ">"}, count=1)


_WRITERS: tuple[Callable[[Pipeline, str, int], object], ...] = (
    lambda pipe, key, number: pipe.set(key, bytes([number % 256]) * (number % 50 + 1)),
    lambda pipe, key, number: pipe.rpush(key, *range(number % 20 + 1)),
    lambda pipe, key, number: pipe.hset(
        key, mapping={f"f{field}": number for field in range(number % 20 + 1)}
    ),
    lambda pipe, key, number: pipe.sadd(key, *(f"m{member}" for member in range(number % 20 + 1))),
    lambda pipe, key, number: pipe.zadd(
        key, {f"m{member}": member * 1.5 for member in range(number % 20 + 1)}
    ),
    _stream,
)

_READERS: dict[bytes, Callable[[Pipeline, str], object]] = {
    b"none": lambda pipe, key: pipe.exists(key),
    b"string": lambda pipe, key: pipe.get(key),
    b"list": lambda pipe, key: pipe.lrange(key, 0, -1),
    b"hash": lambda pipe, key: pipe.hgetall(key),
    b"set": lambda pipe, key: pipe.smembers(key),
    b"zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
    b"stream": lambda pipe, key: pipe.xinfo_stream(key, full=True),
}
