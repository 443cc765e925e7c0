"""Both implementations of the key's slot agree with the servers' own."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from proxy.cluster.slots import key_slot
from proxy.dataplane.tables import key_slot as compiled_key_slot
from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, RedisNode

pytestmark = pytest.mark.live

CORNERS = [
    b"",
    b"foo",
    b"user:12345",
    b"123456789",
    b"{foo}",
    b"{foo}bar",
    b"bar{foo}",
    b"a{foo}b{bar}c",
    b"{}",
    b"{}foo",
    b"foo{}",
    b"foo{}{bar}",
    b"{{foo}}",
    b"{{foo}",
    b"foo{{bar}}zap",
    b"foo{bar}{zap}",
    b"{",
    b"}",
    b"}{",
    b"}foo{bar}",
    b"foo{bar",
    b"foo}bar",
    b"foo{bar}}",
    b"{\x00}",
    b"\x00{\x00\xff}\x00",
    b"{ }x",
    b"\r\n{\r\n}\r\n",
    b"k" * 5000,
    b"k" * 5000 + b"{" + b"t" * 5000 + b"}",
]


def random_keys(count: int) -> list[bytes]:
    """Return keys in which braces are frequent and every byte occurs."""
    source = random.Random(16384)
    alphabet = [bytes([byte]) for byte in range(256)] + [b"{"] * 100 + [b"}"] * 100
    return [b"".join(source.choices(alphabet, k=source.randrange(24))) for _ in range(count)]


@pytest.mark.parametrize("ours", [key_slot, compiled_key_slot], ids=["python", "compiled"])
@pytest.mark.parametrize("keys", [CORNERS, random_keys(3000)], ids=["corners", "random"])
def test_a_keys_slot_is_the_servers(
    cluster: EmbeddedCluster, ours: Callable[[bytes], int], keys: list[bytes]
) -> None:
    with cluster.nodes[0].connect() as server:
        expected = server.call_many([("CLUSTER", "KEYSLOT", key) for key in keys])

    assert [ours(key) for key in keys] == expected


def test_the_proxy_tells_the_same_slots(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    questions = [("CLUSTER", "KEYSLOT", key) for key in CORNERS]
    with cluster.nodes[0].connect() as server, NodeConnection(proxy_process.address) as proxy:
        expected = server.call_many(questions)

        assert proxy.call_many(questions) == expected


def test_every_key_is_sent_to_the_node_that_has_it(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    keys = [*CORNERS, *random_keys(500)]
    with NodeConnection(proxy_process.address) as proxy:
        # Other tests have moved slots that the proxy has not met since.
        proxy.call_many([("SET", key, key) for key in keys])
        moved_before = [moved(node) for node in cluster.nodes]

        assert proxy.call_many([("GET", key) for key in keys]) == keys

    assert [moved(node) for node in cluster.nodes] == moved_before


def moved(node: RedisNode) -> str:
    """Return how often a node has answered MOVED."""
    return node.info("errorstats").get("errorstat_MOVED", "never")
