"""What only a cluster can do to a client's cache: failovers, slots that move; and what is left.

One cluster for the file; every test leaves it whole.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from parties import FLUSHES, Cache, Party

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def shards(engine: str) -> Iterator[EmbeddedCluster]:
    """A cluster of this file's own, which its tests may break and must heal."""
    with EmbeddedCluster(engine) as cluster:
        yield cluster


@pytest.fixture
def before_shards(shards: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    shards.flush()
    return make_proxy(shards.addresses)


@pytest.mark.parametrize("options", ["", " BCAST"])
def test_a_failover_is_a_flush_and_tracking_goes_on_at_the_new_primary(
    shards: EmbeddedCluster, before_shards: ProxyProcess, options: str
) -> None:
    primary = shards.primary_for(b"k")
    with Party(before_shards.address) as reader, Party(before_shards.address) as writer:
        reader.say("HELLO 3")
        reader.say("CLIENT TRACKING ON" + options)
        writer.say("SET k old")
        reader.say("GET k")
        reader.hear_all()
        reader.unasked.clear()

        primary.kill()
        shards.wait_until_agreed()
        assert writer.say("SET k new") == b"+OK\r\n"
        assert reader.say("GET k") == b"$3\r\nnew\r\n"
        reader.hear_all(1.0)
        assert FLUSHES[0] in reader.unasked
        reader.unasked.clear()

        writer.say("SET k newer")
        reader.hear(1)
        assert reader.unasked == [b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"]
    primary.start()
    shards.wait_until_agreed()
    shards.wait_until_in_sync()


def test_a_slot_that_moves_calls_off_what_was_read_of_it(
    shards: EmbeddedCluster, before_shards: ProxyProcess
) -> None:
    source = shards.primary_for(b"k")
    target = next(node for node in shards.primaries() if node is not source)
    with Party(before_shards.address) as reader, Party(before_shards.address) as writer:
        reader.say("HELLO 3")
        reader.say("CLIENT TRACKING ON")
        writer.say("SET k old")
        cache = Cache(reader)
        cache.read([b"k", b"{k}absent"])

        shards.move_slots([key_slot(b"k")], source, target)
        writer.say("SET {k}absent there")

        wait_for(lambda: cache.hear_all() or not cache.values, 10.0, "both to be called off")
        cache.read([b"k", b"{k}absent"])
        writer.say("SET {k}absent again")
        cache.hear_all()
        assert cache.values == {b"k": b"$3\r\nold\r\n"}


def test_nothing_is_left_of_clients_that_tracked(
    shards: EmbeddedCluster, before_shards: ProxyProcess
) -> None:
    """Law 9: hundreds that track somehow, and vanish or stop."""
    chance = random.Random(5)
    with Party(before_shards.address) as target:
        for _ in range(60):
            with Party(before_shards.address) as party:
                party.say(chance.choice(["HELLO 2", "HELLO 3"]))
                party.say(
                    chance.choice(["CLIENT TRACKING ON ", "CLIENT TRACKING ON REDIRECT $t "])
                    + chance.choice(["OPTIN", "OPTOUT", "BCAST", "NOLOOP"]),
                    {b"$t": target.number},
                )
                for word in chance.sample(
                    ["GET a", "MGET a b c", "CLIENT CACHING YES", "MULTI", "SET b 1", "RESET"], 3
                ):
                    party.say(word)

        wait_for(lambda: not _tracking_connections(shards), 5.0, "them to be closed")


def _tracking_connections(cluster: EmbeddedCluster) -> list[str]:
    return [
        line
        for node in cluster.primaries()
        for line in node.call_text("CLIENT", "LIST").decode().splitlines()
        if " redir=-1 " not in line
    ]
