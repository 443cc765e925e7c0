"""PROXY EXPLAIN says what then happens, without doing it."""

from __future__ import annotations

import pytest
from fake_node import FakeNode
from proxy_words import ask
from scripted_cluster import FakeCluster
from served import Served, serve

from proxy.cluster.slots import key_slot

EXPLAINED = {
    "one key": ("GET", "k"),
    "several keys, one slot": ("MGET", "{a}1", "{a}2"),
    "split": ("MGET", "a", "b", "c", "a"),
    "split with values": ("MSET", "a", "1", "b", "2", "a", "3"),
    "split, sums": ("DEL", "a", "b", "c"),
    "a value is missing": ("MSET", "a", "1", "b"),
    "across, not allowed": ("RENAME", "a", "b"),
    "never across": ("EVAL", "return 1", "2", "a", "b"),
    "no key": ("PUBLISH", "news", "x"),
    "any node": ("COMMAND", "GETKEYSANDFLAGS", "GET", "k"),
    "all primaries": ("DBSIZE",),
    "the proxy": ("ECHO", "x"),
    "denied": ("DEBUG", "SLEEP", "0"),
    "of one node": ("SWAPDB", "0", "1"),
    "cluster": ("CLUSTER", "NODES"),
    "arity": ("GET",),
    "watch over slots": ("WATCH", "a", "b"),
    "a move that may not be": ("BLMOVE", "a", "b", "LEFT", "LEFT", "0"),
}


@pytest.mark.parametrize("command", EXPLAINED.values(), ids=EXPLAINED.keys())
async def test_what_is_explained_is_what_happens(
    cluster: FakeCluster, served: Served, command: tuple[str, ...]
) -> None:
    client = await served.connect_resp3()
    told = await ask(client, "EXPLAIN", *command)
    assert all(node.requests == [] for node in cluster.nodes)

    reply = await client.call(*command)

    if told[b"fate"] == b"refused":
        assert told[b"parts"] == []
        assert reply == b"-%b\r\n" % told[b"refusal"]
        assert sent_to(cluster.nodes) == []
        return
    assert told[b"refusal"] is None
    parts = [(part[b"node"], part[b"args"]) for part in told[b"parts"]]
    sent = sent_to(cluster.nodes)
    if told[b"fate"] == b"answered":
        assert sent == []
    elif parts and parts[0][0] is None:
        assert [args for _, args in sent] == [args for _, args in parts]
    else:
        assert sorted(sent) == sorted(parts)


@pytest.mark.parametrize("rule", ["strict", "split"])
@pytest.mark.parametrize("command", EXPLAINED.values(), ids=EXPLAINED.keys())
async def test_what_is_explained_of_a_transaction_is_what_is_said_there(
    cluster: FakeCluster, command: tuple[str, ...], rule: str
) -> None:
    async with serve(cluster, commands={"transactions": rule}) as served:
        client = await served.connect_resp3()
        told = (await ask(client, "EXPLAIN", *command))[b"in_transaction"]
        await client.call("MULTI")

        reply = await client.call(*command)

    if told.startswith(b"Refused: "):
        assert reply == b"-%b\r\n" % told.removeprefix(b"Refused: ")
    else:
        assert told.startswith(b"Queued")
        assert reply == b"+QUEUED\r\n"


def sent_to(nodes: list[FakeNode]) -> list[tuple[bytes, list[bytes]]]:
    """Return (node, request) of all that clients' requests have brought to nodes."""
    return [(str(node.address).encode(), request) for node in nodes for request in node.requests]


async def test_explain_knows_pins_and_tells_both_names(cluster: FakeCluster) -> None:
    async with serve(cluster, pin=[{"prefix": "bull:", "tag": "bull"}]) as served:
        client = await served.connect_resp3()

        told = await ask(client, "EXPLAIN", "MGET", "bull:a", "bull:b")

    assert told[b"fate"] == b"forwarded"
    assert [(key[b"key"], key[b"stored"], key[b"hash_tag"]) for key in told[b"keys"]] == [
        (b"bull:a", b"{bull}bull:a", b"bull"),
        (b"bull:b", b"{bull}bull:b", b"bull"),
    ]


async def test_explain_tells_that_a_slot_is_on_the_move(
    cluster: FakeCluster, served: Served
) -> None:
    client = await served.connect_resp3()
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    served.proxy.observatory.chronicle.asked(key_slot(key), source.address, target.address)

    told = await ask(client, "EXPLAIN", "GET", key)

    assert told[b"keys"][0][b"moving_to"] == str(target.address).encode()
