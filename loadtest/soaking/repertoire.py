"""What the clients of a soak ask: scripts of commands whose replies are the same every time.

Strategy: a script uses keys of its own, and leaves them as it found them or as it will find
them next time. So what a standalone server answers once is the right answer for ever,
byte for byte, and checking a reply costs a comparison of bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import chain

from proxy.resp.encode import encode_command

Word = bytes | str | int
Command = tuple[Word, ...]
Piece = tuple[bytes, int]
"""What is sent at once, and how many commands it is."""

KEYS_AT_ONCE = 5
SMALL_BYTES = 300
PATIENCE_S = 30  # longer than a failover
BIG_VALUE = b"x" * (1 << 20)
BIG_KEY = "soak:big"
# Slot 3300, on the first of three shards, where no failover is made. In one, what is published
# may be lost and EXEC gives null to who watches, as on any cluster.
CALM_TAG = "{b}"

_READ_SCRIPT = "return {KEYS[1], redis.call('GET', KEYS[1])}"


def strings(own: str, source: random.Random) -> list[Command]:
    """Plain keys, one at a time."""
    key = f"{own}:s{source.randrange(1000)}"
    value = "v" * source.randrange(SMALL_BYTES)
    return [
        ("SET", key, value),
        ("GET", key),
        ("STRLEN", key),
        ("GETRANGE", key, 1, 5),
        ("EXPIRE", key, 100_000),
        ("GET", f"{own}:absent"),
    ]


def many_keys(own: str, source: random.Random) -> list[Command]:
    """Commands that are split over the shards."""
    keys = [f"{own}:m{source.randrange(10**6)}" for _ in range(KEYS_AT_ONCE)]
    pairs = chain.from_iterable((key, f"w{place}") for place, key in enumerate(keys))
    return [
        ("MSET", *pairs),
        ("MGET", *keys, f"{own}:absent"),
        ("EXISTS", *keys),
        ("GET", keys[0]),
        ("UNLINK", *keys),
    ]


def counters(own: str, source: random.Random) -> list[Command]:
    """A counter, from nothing to nothing."""
    key = f"{own}:n{source.randrange(100)}"
    return [("INCR", key), ("INCRBY", key, 41), ("DECR", key), ("GETDEL", key)]


def structures(own: str, source: random.Random) -> list[Command]:
    """A hash, a list, a sorted set, a set and a stream."""
    number = source.randrange(100)
    hash_, list_, scores, set_, stream = (f"{own}:{kind}{number}" for kind in "hlzex")
    return [
        ("HSET", hash_, "f", "v", "g", "w"),
        ("HMGET", hash_, "g", "f", "absent"),
        ("RPUSH", list_, "a", "b", "c"),
        ("LRANGE", list_, 0, -1),
        ("ZADD", scores, 1, "a", 2, "b"),
        ("ZRANGE", scores, 0, -1, "WITHSCORES"),
        ("SADD", set_, "a"),
        ("SISMEMBER", set_, "a"),
        ("XADD", stream, "1-1", "f", "v"),
        ("XRANGE", stream, "-", "+"),
        ("UNLINK", hash_, list_, scores, set_, stream),
    ]


def transactions(own: str, source: random.Random) -> list[Command]:
    """Transactions that run, that are given up and that are refused; one that watches."""
    tag = f"{{{own}:t{source.randrange(1000)}}}"
    watched = f"{CALM_TAG}{own}:w{source.randrange(100)}"
    return [
        ("MULTI",),
        ("SET", f"{tag}a", "1"),
        ("INCR", f"{tag}a"),
        ("EXEC",),
        ("MULTI",),
        ("SET", f"{tag}a", "9"),
        ("DISCARD",),
        ("GETDEL", f"{tag}a"),
        ("WATCH", watched),
        ("MULTI",),
        ("SET", watched, "v"),
        ("EXEC",),
        ("MULTI",),
        ("GET",),
        ("EXEC",),
    ]


def errors(own: str, source: random.Random) -> list[Command]:
    """What servers and proxy refuse."""
    key = f"{own}:refused{source.randrange(100)}"
    return [
        ("SET", key, "text"),
        ("INCR", key),
        ("LPUSH", key, "a"),
        ("GET",),
        ("EXEC",),
        ("SET", key, "text", "NX", "XX"),
    ]


def sessions(own: str, source: random.Random) -> list[Command]:
    """What has the proxy keep something of the client, for a moment."""
    queue, channel = f"{own}:q{source.randrange(100)}", f"{own}:c{source.randrange(100)}"
    return [
        ("RPUSH", queue, "job"),
        ("BLPOP", queue, f"{own}:empty", PATIENCE_S),
        ("SUBSCRIBE", channel),
        ("UNSUBSCRIBE", channel),
        ("ECHO", own),
    ]


def scripts(own: str, source: random.Random) -> list[Command]:
    """A script."""
    key = f"{own}:k{source.randrange(100)}"
    return [("SET", key, "v"), ("EVAL", _READ_SCRIPT, 1, key), ("PING",)]


def big_values(own: str, source: random.Random) -> list[Command]:
    """A value that no buffer holds as a whole."""
    key = f"{own}:b{source.randrange(10)}"
    return [("SET", key, BIG_VALUE), ("GET", key), ("UNLINK", key)]


Topic = Callable[[str, random.Random], list[Command]]

TOPICS: dict[Topic, int] = {
    strings: 60,
    many_keys: 12,
    counters: 10,
    structures: 12,
    transactions: 2,
    errors: 2,
    sessions: 1,
    scripts: 1,
}
"""What a script is made of, and how often each is taken."""

WHOLE = frozenset({transactions, sessions})
"""Between their commands the proxy holds something for the client."""


def steady_script(own: str, commands: int, depth: int, *, is_big: bool, seed: int) -> list[Piece]:
    """Return what one client sends at once, in order.

    Between two pieces the proxy holds nothing for it: no transaction, no subscription. So a
    topic is never cut, but in a script of single commands, which has only those that may be.

    Args:
        own: What all of its keys begin with.
        commands: At least so many.
        depth: So many at once, or a topic more.
        is_big: Whether there is a big value at the end.
        seed: Makes the choices.
    """
    source = random.Random(seed)
    topics = {topic: weight for topic, weight in TOPICS.items() if depth > 1 or topic not in WHOLE}
    pieces: list[Piece] = []
    script: list[Command] = []
    while sum(count for _, count in pieces) < commands:
        (topic,) = source.choices(list(topics), list(topics.values()))
        script += topic(own, source)
        if depth == 1:
            pieces += [piece_of([command]) for command in script]
            script = []
        elif len(script) >= depth:
            pieces.append(piece_of(script))
            script = []
    if is_big:
        pieces.append(piece_of(big_values(own, source)))
    return pieces


def common_script(seed: int) -> Piece:
    """Return a script that many clients may run at once: its values never change."""
    source = random.Random(seed)
    keys = [f"soak:common:{source.randrange(10_000)}" for _ in range(KEYS_AT_ONCE)]
    values = {key: f"{key}:" + "v" * (sum(key.encode()) % SMALL_BYTES) for key in keys}
    return piece_of(
        [
            ("MSET", *chain.from_iterable(values.items())),
            ("MGET", *keys),
            *(("GET", key) for key in keys),
            ("LPUSH", keys[0], "refused"),
            ("SET", keys[1], values[keys[1]]),
            ("PING",),
        ]
    )


def piece_of(commands: Sequence[Command]) -> Piece:
    """Return these commands as they are sent at once."""
    return b"".join(encode_command(*command) for command in commands), len(commands)
