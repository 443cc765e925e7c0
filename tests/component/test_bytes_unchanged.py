"""Law 2: what is not merged leaves as the bytes the server wrote; keys and values are bytes."""

from __future__ import annotations

import random

import pytest
from scripted_cluster import FakeCluster
from served import Served

from proxy.resp.encode import encode_command

EVERY_BYTE = bytes(range(256))

RESP2_REPLIES = {
    "simple string": b"+OK\r\n",
    "empty simple string": b"+\r\n",
    "error": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "error that is no redirect": b"-MOVEDX 1 127.0.0.1:1\r\n",
    "error that only quotes a redirect": b"-ERR MOVED 1 127.0.0.1:1\r\n",
    "negative integer": b":-9223372036854775808\r\n",
    "bulk string": b"$5\r\nhello\r\n",
    "bulk string of every byte": b"$256\r\n%b\r\n" % EVERY_BYTE,
    "bulk string that looks like replies": b"$12\r\n+OK\r\n$-1\r\n\r\n\r\n",
    "empty bulk string": b"$0\r\n\r\n",
    "null bulk string": b"$-1\r\n",
    "null array": b"*-1\r\n",
    "empty array": b"*0\r\n",
    "nested array": b"*3\r\n*2\r\n:1\r\n*1\r\n$-1\r\n-ERR inside\r\n*0\r\n",
    "long bulk string": b"$300000\r\n%b\r\n" % (b"\r\n+" * 100000),
}
RESP3_REPLIES = {
    "null": b"_\r\n",
    "true": b"#t\r\n",
    "double": b",-1.5e10\r\n",
    "infinity": b",inf\r\n",
    "big number": b"(3492890328409238509324850943850943825024385\r\n",
    "blob error": b"!8\r\nERR a\r\nb\r\n",
    "verbatim string": b"=8\r\ntxt:a\r\nb\r\n",
    "map": b"%2\r\n+a\r\n*1\r\n:1\r\n$1\r\nb\r\n%0\r\n",
    "set": b"~3\r\n:1\r\n#f\r\n_\r\n",
    "attribute before a value": b"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n",
    "attribute inside an array": b"*2\r\n|1\r\n+a\r\n:1\r\n:2\r\n:3\r\n",
    "long array": b"*20000\r\n" + b"$4\r\nitem\r\n" * 20000,
}


@pytest.mark.parametrize("reply", RESP2_REPLIES.values(), ids=RESP2_REPLIES.keys())
async def test_a_reply_leaves_as_the_bytes_it_came_in(
    cluster: FakeCluster, served: Served, reply: bytes
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.nodes[0].always(b"GET", key, answer=reply)
    client = await served.connect()

    await client.send(encode_command("GET", key) * 3)

    await client.expect(reply * 3)


@pytest.mark.parametrize(
    "reply",
    [*RESP2_REPLIES.values(), *RESP3_REPLIES.values()],
    ids=[*RESP2_REPLIES.keys(), *RESP3_REPLIES.keys()],
)
async def test_a_resp3_client_gets_the_bytes_of_a_resp3_connection(
    cluster: FakeCluster, served: Served, reply: bytes
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.always(b"GET", key, answer=reply)
    client = await served.connect_resp3()

    await client.send(encode_command("GET", key) * 3)

    await client.expect(reply * 3)
    assert {seen.connection.resp for seen in node.seen(b"GET")} == {3}


async def test_clients_of_both_protocols_are_served_side_by_side(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    old, new = await served.connect(), await served.connect_resp3()

    await old.ask("GET", key)
    await new.ask("GET", key)

    await old.expect(b"$-1\r\n")
    await new.expect(b"_\r\n")


async def test_a_client_may_change_its_protocol_between_two_requests(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    client = await served.connect()

    await client.send(
        encode_command("GET", key),
        encode_command("HELLO", 3),
        encode_command("GET", key),
        encode_command("HELLO", 2),
        encode_command("GET", key),
    )
    replies = await client.read_replies(5)

    assert [replies[each] for each in (0, 2, 4)] == [b"$-1\r\n", b"_\r\n", b"$-1\r\n"]
    assert (replies[1][:3], replies[3][:4]) == (b"%7\r", b"*14\r")


async def test_a_merged_reply_holds_the_bytes_of_its_parts(
    cluster: FakeCluster, served: Served
) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    values = [b"", EVERY_BYTE, b"*3\r\n"]
    client = await served.connect()
    for key, value in zip(keys, values, strict=True):
        assert await client.call("SET", key, value) == b"+OK\r\n"

    await client.ask("MGET", *keys, "nothing", *reversed(keys))

    wanted = [b"$%d\r\n%b\r\n" % (len(value), value) for value in values]
    await client.expect(b"*7\r\n", *wanted, b"$-1\r\n", *reversed(wanted))


@pytest.mark.parametrize("value", [b"", b"\r\n", b"{", EVERY_BYTE * 300], ids=repr)
async def test_a_request_reaches_the_node_as_the_bytes_the_client_sent(
    cluster: FakeCluster, served: Served, value: bytes
) -> None:
    node = cluster.nodes[2]
    key = cluster.key_of(node, prefix=EVERY_BYTE.replace(b"{", b""))
    frame = encode_command("SeT", key, value)
    client = await served.connect()

    await client.send(frame)
    await client.expect(b"+OK\r\n")

    # What the proxy itself has asked may be in front of it.
    assert bytes(node.seen(b"SET")[0].connection.received).endswith(frame)
    assert cluster.store == {key: value}


async def test_requests_fed_one_byte_at_a_time_are_served(
    cluster: FakeCluster, served: Served
) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    requests = [
        encode_command("SET", keys[0], "1"),
        b"PING\r\n",
        encode_command("MSET", keys[1], "2", keys[2], "3"),
        b'  set %b "\\x41 b"  \n' % keys[0],
        b"*0\r\n\r\n",
        encode_command("MGET", *keys),
        encode_command("GET", b"k" * 300),
    ]
    clients = [await served.connect() for _ in range(3)]

    for at in range(len(b"".join(requests))):
        for client in clients:
            await client.send(b"".join(requests)[at : at + 1])

    for client in clients:
        await client.expect(b"+OK\r\n+PONG\r\n+OK\r\n+OK\r\n")
        await client.expect(b"*3\r\n$3\r\nA b\r\n$1\r\n2\r\n$1\r\n3\r\n$-1\r\n")


async def test_replies_of_a_node_that_sends_one_byte_at_a_time_are_served(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    stream = b"".join(reply for reply in RESP2_REPLIES.values() if len(reply) < 1000)
    held = node.hold(b"GET", key)
    client = await served.connect()
    count = sum(len(reply) < 1000 for reply in RESP2_REPLIES.values())
    await client.send(encode_command("GET", key) * count)
    connection = (await held.arrived()).connection
    await node.wait_for(b"GET", count=count)

    for at in range(len(stream)):
        await connection.send(stream[at : at + 1])

    await client.expect(stream)


@pytest.mark.parametrize("seed", range(3))
async def test_big_requests_and_replies_cut_anywhere_are_served(
    cluster: FakeCluster, served: Served, seed: int
) -> None:
    lots = random.Random(seed)
    values = [lots.randbytes(lots.choice([10, 4095, 4097, 70_000, 2_000_000])) for _ in range(20)]
    client = await served.connect()

    for number, value in enumerate(values):
        await client.ask("SET", b"key:%d" % number, value)
        await client.ask("GET", b"key:%d" % number)

    for value in values:
        await client.expect(b"+OK\r\n", b"$%d\r\n%b\r\n" % (len(value), value))
