"""A node that does not speak RESP loses its connection; clients of other nodes notice nothing."""

from __future__ import annotations

import pytest
import trio
from fake_node import PATIENCE_S
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp import replies
from proxy.resp.encode import encode_command

MALFORMED = {
    "no type": b"hello\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no length": b"$x\r\n",
    "length over any limit": b"$99999999999999999999\r\n",
    "negative length": b"$-2\r\n",
    "negative count": b"*-2\r\n",
    "count with a plus": b"*+1\r\n:1\r\n",
    "lf alone": b"+OK\n",
    "header without end": b"*" + b"1" * 100,
    "streamed string": b"$?\r\n;0\r\n",
    "streamed array": b"*?\r\n.\r\n",
    "too many nested values": b"*999999999999\r\n" * 3,
    "unknown type inside": b"*2\r\n:1\r\n@2\r\n",
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_reply_closes_the_connection_and_a_read_is_sent_again(
    cluster: FakeCluster, served: Served, malformed: bytes
) -> None:
    node, elsewhere = cluster.nodes[:2]
    key, other_key = cluster.key_of(node), cluster.key_of(elsewhere)
    held = elsewhere.hold(b"SET")
    client, other = await served.connect(), await served.connect()
    await other.ask("SET", other_key, 1)
    await held.arrived()

    node.once(b"GET", key, answer=malformed)
    assert await client.call("GET", key) == b"$-1\r\n"
    node.once(b"SET", key, answer=malformed)
    assert await client.call("SET", key, 1) == replies.lost_write(str(node.address))
    held.let_go()

    await other.expect(b"+OK\r\n")
    assert len(elsewhere.seen(b"SET")) == 1
    assert len(await node.wait_for(b"GET")) == 2
    assert len({seen.connection for seen in node.seen(b"GET")}) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"*1000000\r\n", id="does not end and swallows"),
        pytest.param(b"", id="never comes and shifts"),
    ],
)
async def test_a_reply_that_spoils_those_behind_it_does_so_no_longer_than_the_timeout(
    cluster: FakeCluster, answer: bytes
) -> None:
    async with serve(cluster, cluster={"request_timeout_s": 0.5}) as served:
        node = cluster.nodes[0]
        key = cluster.key_of(node)
        client = await served.connect()
        node.once(b"GET", key, answer=answer)
        assert (await client.call("GET", key)).startswith(b"-IOERR ")

        async def is_served() -> bool:
            return await client.call("SET", key, 1) == b"+OK\r\n"

        with trio.fail_after(PATIENCE_S):
            while not await is_served():
                pass

        assert node.seen(b"GET")[0].connection is not node.seen(b"SET")[-1].connection


async def test_replies_before_a_malformed_one_are_delivered(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    one, two = cluster.keys_of(node, 2)
    held = node.hold(b"SET", one)
    client, other = await served.connect(), await served.connect()
    await client.ask("SET", one, 1)
    await held.arrived()
    await other.ask("SET", two, 2)
    await node.wait_for(b"SET", count=2)

    held.answer(b"+OK\r\n?\r\n")

    await client.expect(b"+OK\r\n")
    await other.expect(replies.lost_write(str(node.address)))


async def test_a_reply_that_nobody_waits_for_closes_the_connection(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await served.connect()
    assert await client.call("SET", key, 1) == b"+OK\r\n"
    connection = node.seen(b"SET")[0].connection

    await connection.send(b"+surplus\r\n")
    await until(lambda: not connection.is_open)

    assert await client.call("GET", key) == b"$1\r\n1\r\n"


@pytest.mark.parametrize("resp", [2, 3])
async def test_a_push_that_nobody_asked_for_is_dropped(
    cluster: FakeCluster, served: Served, resp: int
) -> None:
    push = b">3\r\n+message\r\n$1\r\nc\r\n*1\r\n:1\r\n"
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await (served.connect_resp3() if resp == 3 else served.connect())
    assert await client.call("SET", key, 1) == b"+OK\r\n"
    connection = node.seen(b"SET")[0].connection

    await connection.send(push)
    await all_is_quiet()
    node.once(b"GET", answer=push + b"$1\r\n1\r\n" + push)

    assert await client.call("GET", key) == b"$1\r\n1\r\n"
    assert await client.call("STRLEN", key) == b":1\r\n"
    assert served.engine.pushes_dropped == 3
    assert connection.is_open


@pytest.mark.parametrize(
    "greeting", [b"-NOPROTO unsupported protocol version\r\n", b"HTTP/1.1 400\r\n", b"*-3\r\n"]
)
async def test_a_node_without_resp3_fails_only_resp3_clients(
    cluster: FakeCluster, greeting: bytes
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    for node in cluster.nodes:
        node.always(b"HELLO", answer=greeting)
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        new, old = await served.connect_resp3(), await served.connect()
        await new.ask("SET", key, 1)

        assert await old.call("SET", key, 2) == b"+OK\r\n"

        assert (await new.read_reply()).startswith(b"-CLUSTERDOWN ")
        assert await old.call("GET", key) == b"$1\r\n2\r\n"


@pytest.mark.parametrize(
    ("limit", "push"),
    [
        (100_000, b">2\r\n+message\r\n$300000\r\n%b\r\n" % (b"x" * 300_000)),
        (100_000, b">50000\r\n" + b":1\r\n" * 50_000),
        (100, b">2\r\n+message\r\n$300\r\n%b\r\n" % (b"x" * 300)),
    ],
    ids=["long value", "many values", "short enough to come at once"],
)
async def test_a_push_over_the_limit_takes_nobodys_place(
    cluster: FakeCluster, limit: int, push: bytes
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    async with serve(cluster, limits={"reply_limit_bytes": limit}) as served:
        client = await served.connect_resp3()
        node.once(b"GET", answer=push + b"$1\r\n1\r\n")

        await client.send(encode_command("GET", key), encode_command("STRLEN", key))

        first, second = await client.read_replies(2)
        assert first in {b"$1\r\n1\r\n", b"_\r\n"}
        assert second == b":0\r\n"


@pytest.mark.parametrize("answer", [b"%0\r\n", b"|1\r\n+a\r\n:1\r\n:5\r\n", b":x\r\n", b"+5\r\n"])
async def test_a_number_that_is_none_is_the_nodes_fault(
    cluster: FakeCluster, capfd: pytest.CaptureFixture[str], answer: bytes
) -> None:
    source, target = (cluster.key_of(node) for node in cluster.nodes[:2])
    cluster.nodes[0].always(b"MEMORY", answer=answer)
    async with serve(cluster, commands={"cross_slot": "all"}) as served:
        client = await served.connect()

        assert await client.call("RENAME", source, target) == replies.internal_error()

    said = "".join(capfd.readouterr())
    assert "answer cannot be read" in said
    assert "bug" not in said
