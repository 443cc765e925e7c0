"""Keys of every type, with and without TTL, and what they must read as wherever they have moved.

Strategy: written through the proxy, read back through the proxy, and compared value by value
in a form that does not depend on how a server stores them.
"""

from __future__ import annotations

from collections.abc import Callable

import redis

TTL_TOLERANCE_MS = 2_000  # MIGRATE sends what is left of a TTL, and takes its time


class StoredTypes:
    """A few thousand keys that nobody changes; ``differences`` says what has become of them."""

    def __init__(self, client: redis.Redis, count: int = 2_000) -> None:
        """Write the keys.

        Args:
            client: Of the proxy.
            count: How many; a third of them get a TTL.
        """
        self._client = client
        writers: list[Callable[[str, int], None]] = [
            self._string,
            self._list,
            self._hash,
            self._set,
            self._sorted_set,
            self._stream,
        ]
        self.keys = [f"kept:{number}" for number in range(count)]
        for number, key in enumerate(self.keys):
            writers[number % len(writers)](key, number)
            if number % 3 == 0:
                client.pexpire(key, 3_600_000 + number)
        self._before = self._read()

    def look_through(self, client: redis.Redis) -> None:
        """Read the keys by another client from now on."""
        self._client = client

    def differences(self) -> list[str]:
        """Return the keys that are not what they were; empty if all are."""
        now = self._read()
        found = []
        for key, (value, expires_at) in self._before.items():
            value_now, expires_now = now[key]
            if value_now != value:
                found.append(f"{key}: {value!r} is {value_now!r} now")
            elif (expires_at < 0) != (expires_now < 0):
                found.append(f"{key}: expires at {expires_now}, not at {expires_at}")
            elif abs(expires_now - expires_at) > TTL_TOLERANCE_MS:
                found.append(f"{key}: its TTL moved by {expires_now - expires_at} ms")
        return found

    def _read(self) -> dict[str, tuple[object, int]]:
        pipe = self._client.pipeline(transaction=False)
        for key in self.keys:
            pipe.type(key)
            pipe.execute_command("PEXPIRETIME", key)
        answers = pipe.execute()
        kinds, times = answers[::2], answers[1::2]
        for key, kind in zip(self.keys, kinds, strict=True):
            _READERS.get(kind, lambda pipe, key: pipe.exists(key))(pipe, key)
        values = pipe.execute()
        return {
            key: ((kind, value), time)
            for key, kind, value, time in zip(self.keys, kinds, values, times, strict=True)
        }

    def _string(self, key: str, number: int) -> None:
        self._client.set(key, bytes([number % 256]) * (number % 50 + 1))

    def _list(self, key: str, number: int) -> None:
        self._client.rpush(key, *range(number % 20 + 1))

    def _hash(self, key: str, number: int) -> None:
        self._client.hset(key, mapping={f"f{i}": number for i in range(number % 20 + 1)})

    def _set(self, key: str, number: int) -> None:
        self._client.sadd(key, *(f"m{i}" for i in range(number % 20 + 1)))

    def _sorted_set(self, key: str, number: int) -> None:
        self._client.zadd(key, {f"m{i}": i * 1.5 for i in range(number % 20 + 1)})

    def _stream(self, key: str, number: int) -> None:
        self._client.xadd(key, {"n": number}, id=f"{number + 1}-1")
        self._client.xgroup_create(key, "g", "0")


_READERS: dict[bytes, Callable[..., object]] = {
    b"string": lambda pipe, key: pipe.get(key),
    b"list": lambda pipe, key: pipe.lrange(key, 0, -1),
    b"hash": lambda pipe, key: pipe.hgetall(key),
    b"set": lambda pipe, key: pipe.smembers(key),
    b"zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
    b"stream": lambda pipe, key: pipe.xrange(key),
}
