"""Client-side caching through the proxy, against real servers.

Dialogues of several clients are compared with a standalone server; what only a
cluster can do to a cache (failovers, moving slots) is tried on a cluster of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import redis
from parties import Cache, Line, Party, compare
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from tracking_dialogues import DIALOGUES

from proxy.embedded import ProxyProcess, StandaloneServer, wait_for

pytestmark = pytest.mark.live


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_clients_are_told_what_one_server_tells(
    dialogue: list[Line], standalone: StandaloneServer, proxy_process: ProxyProcess
) -> None:
    compare(standalone.address, proxy_process.address, dialogue)


def test_redis_pys_cache_is_kept_right(
    engine: str, proxy_process: ProxyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # redis-py knows this of Redis since 7.4 only; tracking itself is older, and Valkey's too.
    monkeypatch.setattr(CacheProxyConnection, "DEFAULT_SERVER_NAME", engine)
    monkeypatch.setattr(CacheProxyConnection, "MIN_ALLOWED_VERSION", "7.0.0")
    with (
        redis.Redis(port=proxy_process.port, protocol=3, cache_config=CacheConfig()) as cached,
        redis.Redis(port=proxy_process.port) as writer,
    ):
        writer.mset({f"key:{number}": "old" for number in range(20)})
        keys = [f"key:{number}" for number in range(20)]
        assert {cached.get(key) for key in keys} == {b"old"}
        assert cached.get_cache().size == 20

        writer.mset(dict.fromkeys(keys, "new"))

        wait_for(lambda: {cached.get(key) for key in keys} == {b"new"}, 5.0, "invalidations")


@pytest.fixture
def parties(proxy_process: ProxyProcess) -> Iterator[tuple[Party, Party]]:
    """Return a client that tracks, and one that writes."""
    with Party(proxy_process.address) as reader, Party(proxy_process.address) as writer:
        reader.say("HELLO 3")
        yield reader, writer


@pytest.mark.parametrize("options", ["", " BCAST", " OPTOUT NOLOOP"])
def test_a_cache_that_is_told_of_changes_is_never_stale(
    parties: tuple[Party, Party], options: str
) -> None:
    reader, writer = parties
    chance = random.Random(3)
    reader.say("CLIENT TRACKING ON" + options)
    cache = Cache(reader)

    for number in range(400):
        keys = [b"k%d" % chance.randrange(40) for _ in range(chance.randrange(1, 6))]
        if chance.random() < 0.5:
            writer.say(f"SET k{chance.randrange(40)} {number}")
        cache.read(keys)

    cache.hear_all()
    assert cache.values
    for key, value in cache.values.items():
        assert writer.say(f"GET {key.decode()}") == value.replace(b"_\r\n", b"$-1\r\n"), key


@pytest.mark.parametrize("options", ["", " OPTIN"])
@pytest.mark.parametrize(
    ("reads", "write"),
    [
        (["MULTI", "GET k", "EXEC"], "SET k 2"),
        (["WATCH k", "MULTI", "GET k", "EXEC"], "SET k 2"),
        (["SUNION s t"], "SADD t 2"),
        (["XREAD COUNT 5 BLOCK 20 STREAMS x 0"], "XADD x * f v"),
        (["EVAL_RO return{redis.call('GET',KEYS[1])} 1 k"], "SET k 2"),
        (["LRANGE l 0 -1"], "LPOP l"),
    ],
    ids=lambda words: words[0].partition(" ")[0] if isinstance(words, list) else "",
)
def test_whatever_way_it_was_read_it_is_called_off(
    parties: tuple[Party, Party], reads: list[str], write: str, options: str
) -> None:
    """By an invalidation, or by a flush right behind the reply if others have read for it."""
    reader, writer = parties
    for line in ("SET k 1", "SADD s 1", "SADD t 1", "XADD x 1-1 f v", "RPUSH l 2 1"):
        writer.say(line)
    reader.say("CLIENT TRACKING ON" + options)
    if options:
        reader.say("CLIENT CACHING YES")
    for line in reads:
        assert not reader.say(line).startswith(b"-")

    writer.say(write)

    reader.hear(1)


def test_who_is_told_of_some_keys_can_ask_to_be_told_of_all(parties: tuple[Party, Party]) -> None:
    """A server takes it, after prefixes that it would not take together with it."""
    reader, writer = parties
    reader.say("CLIENT TRACKING ON BCAST PREFIX user:")

    assert reader.say("CLIENT TRACKING ON BCAST") == b"+OK\r\n"

    writer.say("SET other 1")
    told = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nother\r\n"
    while told not in reader.unasked:  # behind a flush, for its connections are new ones
        reader.hear(len(reader.unasked) + 1)
    assert reader.say("GET other") == b"$1\r\n1\r\n"
