"""Law 8: every limit holds at n and refuses n + 1 with its own text."""

from __future__ import annotations

import pytest
import trio
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies, replies_protocol
from proxy.resp.encode import bulk, encode_command

KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20


async def refused(served: Served, request: bytes, error: bytes) -> None:
    """Assert that a request is answered once, with this error, and the client closed."""
    client = await served.connect()
    await client.send(b"PING\r\n", request, b"PING\r\n")
    await client.expect(b"+PONG\r\n", error)
    await client.expect_end()


async def test_max_clients(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={"max_clients": 2}) as served:
        one, two = await served.connect(), await served.connect()
        assert await one.call("PING") == await two.call("PING") == b"+PONG\r\n"

        three = await served.connect()
        await three.expect(replies.max_clients())
        await three.expect_end()
        assert await one.call("PING") == b"+PONG\r\n"
        await two.close()
        await until(lambda: len(served.engine.clients) == 1)

        assert await (await served.connect()).call("PING") == b"+PONG\r\n"
        assert served.engine.refused_clients == 1


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_requests_in_flight_of_one_client(cluster: FakeCluster, limit: int) -> None:
    node = cluster.nodes[0]
    keys = cluster.keys_of(node, 20)
    async with serve(cluster, limits={"client_in_flight_limit": limit}) as served:
        held = node.hold(b"SET", keys[0])
        client, other = await served.connect(), await served.connect()

        await client.send(*[encode_command("SET", key, "v") for key in keys])
        await held.arrived()
        await all_is_quiet()

        assert len(node.seen(b"SET")) == limit
        assert await other.call("GET", cluster.key_of(cluster.nodes[1])) == b"$-1\r\n"
        held.let_go()
        await client.expect(b"+OK\r\n" * 20)
        assert [args[1] for args in node.requests] == keys


async def test_the_number_of_arguments(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    async with serve(cluster, limits={"argument_limit": 5}) as served:
        client = await served.connect()
        assert await client.call("EXISTS", *[key] * 4) == b":0\r\n"

        await refused(
            served, encode_command("EXISTS", *[key] * 5), replies_protocol.too_many_arguments(5)
        )
        await refused(served, b"*6\r\n", replies_protocol.too_many_arguments(5))


async def test_the_number_of_arguments_of_an_inline_command(cluster: FakeCluster) -> None:
    async with serve(cluster, limits={"argument_limit": 3}) as served:
        client = await served.connect()
        await client.send(b"EXISTS a a\r\n")
        await client.expect(b":0\r\n")

        await refused(served, b"EXISTS a a a\r\n", replies_protocol.too_many_arguments(3))


async def test_the_size_of_an_argument(cluster: FakeCluster) -> None:
    async with serve(cluster, limits={"argument_limit_bytes": 100}) as served:
        client = await served.connect()
        assert await client.call("SET", "key", "x" * 100) == b"+OK\r\n"

        await refused(
            served, encode_command("SET", "key", "x" * 101), replies_protocol.argument_too_big(100)
        )


async def test_the_size_of_an_argument_is_redis_own_by_default(served: Served) -> None:
    await refused(
        served, b"*2\r\n$3\r\nGET\r\n$536870913\r\n", replies_protocol.invalid_bulk_length()
    )


async def test_the_size_of_a_request_without_its_last_line_end(cluster: FakeCluster) -> None:
    limit = 200
    head = len(encode_command("SET", "key", "x" * 100)) - 102
    async with serve(cluster, limits={"request_limit_bytes": limit}) as served:
        client = await served.connect()
        assert await client.call("SET", "key", "x" * (limit - head)) == b"+OK\r\n"
        assert await client.call("STRLEN", "key") == b":%d\r\n" % (limit - head)

        await refused(
            served,
            encode_command("SET", "key", "x" * (limit - head + 1)),
            replies_protocol.request_too_big(limit),
        )
        await refused(
            served, encode_command("DEL", *"a" * 40), replies_protocol.request_too_big(limit)
        )


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
async def test_the_size_of_an_inline_command(cluster: FakeCluster, end: bytes) -> None:
    limit = 100
    longest = b"ECHO " + b"x" * (limit - 5 - len(end)) + end
    async with serve(cluster, limits={"inline_limit_bytes": limit}) as served:
        client = await served.connect()
        await client.send(longest)
        await client.expect(bulk(longest[5 : -len(end)]))

        await refused(served, b"ECHO x" + longest[5:], replies_protocol.inline_too_big(limit))


async def test_an_inline_command_without_end(served: Served) -> None:
    limit = replies_protocol.REDIS_INLINE_LIMIT_BYTES
    client = await served.connect()

    await client.send(b"x" * (limit + 1))

    await client.expect(replies_protocol.inline_too_big(limit))
    await client.expect_end()


@pytest.mark.parametrize(
    ("request_bytes", "error"),
    [
        (b"*1x\r\n", replies_protocol.invalid_multibulk_length()),
        (b"*+1\r\n", replies_protocol.invalid_multibulk_length()),
        (b"*1\r\n$x\r\n", replies_protocol.invalid_bulk_length()),
        (b"*1\r\n$-1\r\n", replies_protocol.invalid_bulk_length()),
        (b"*1\r\n:1\r\n", replies_protocol.expected_bulk(b":")),
        (b"*1\r\n$4\r\nPINGxx", replies_protocol.invalid_line_end()),
        (b"*" + b"1" * 70_000, replies_protocol.multibulk_count_too_long()),
        (b"*1\r\n$" + b"1" * 70_000, replies_protocol.bulk_count_too_long()),
        (b"ECHO 'x\r\n", replies_protocol.unbalanced_quotes()),
    ],
)
async def test_bytes_that_are_not_resp_are_answered_once_and_the_client_is_closed(
    served: Served, request_bytes: bytes, error: bytes
) -> None:
    client = await served.connect()

    await client.send(b"PING\r\n", request_bytes, b"PING\r\n" * 10)

    await client.expect(b"+PONG\r\n", error)
    await client.expect_end()


async def test_a_protocol_error_waits_for_earlier_replies(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    held = cluster.nodes[0].hold(b"GET")
    client = await served.connect()
    await client.send(encode_command("GET", key), b"*x\r\n")
    await held.arrived()
    await all_is_quiet()
    assert not client.has_replies

    held.let_go()

    await client.expect(b"$-1\r\n", replies_protocol.invalid_multibulk_length())
    await client.expect_end()


# ---- replies ------------------------------------------------------------------------


def frame_of(length: int) -> bytes:
    """Return a bulk string whose whole frame is so long."""
    for digits in range(1, 10):
        frame = bulk(b"x" * (length - 5 - digits))
        if len(frame) == length:
            return frame
    raise ValueError(length)


@pytest.mark.parametrize("limit", [100, 200_000])
async def test_the_size_of_a_reply(cluster: FakeCluster, limit: int) -> None:
    node = cluster.nodes[0]
    fits, too_long, other = cluster.keys_of(node, 3)
    node.always(b"GET", fits, answer=frame_of(limit))
    node.always(b"GET", too_long, answer=frame_of(limit + 1))
    async with serve(cluster, limits={"reply_limit_bytes": limit}) as served:
        client = await served.connect()

        for _ in range(3):
            await client.send(*[encode_command("GET", key) for key in (fits, too_long, other)])
            await client.expect(
                frame_of(limit), replies.reply_too_big(str(node.address), limit), b"$-1\r\n"
            )

        assert len({seen.connection for seen in node.seen(b"GET")}) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"*100000\r\n" + b":1\r\n" * 100_000,
        b"*2\r\n:1\r\n" + bulk(b"x" * 300_000),
        b"*3\r\n" + bulk(b"x" * 150_000) * 3,
    ],
    ids=["many values", "one long value", "long values"],
)
async def test_a_reply_over_the_limit_is_dropped_however_it_is_made(
    cluster: FakeCluster, reply: bytes
) -> None:
    node = cluster.nodes[0]
    key, other = cluster.keys_of(node, 2)
    limit = 90_000
    async with serve(cluster, limits={"reply_limit_bytes": limit}) as served:
        held = node.hold(b"GET", key)
        client = await served.connect()
        await client.send(encode_command("GET", key), encode_command("GET", other))
        connection = (await held.arrived()).connection

        for at in range(0, len(reply), 5000):
            await connection.send(reply[at : at + 5000])
            await trio.lowlevel.checkpoint()
        held.answer(b"")

        await client.expect(replies.reply_too_big(str(node.address), limit), b"$-1\r\n")


async def test_a_line_without_end_costs_the_node_its_connection(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.once(b"GET", key, answer=b"+" + b"x" * (4 * MEBIBYTE))
    async with serve(cluster, limits={"reply_limit_bytes": MEBIBYTE}) as served:
        client = await served.connect()

        assert await client.call("GET", key) == b"$-1\r\n"


async def test_a_client_whose_unread_replies_pass_the_limit_is_closed(
    cluster: FakeCluster,
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = b"x" * 200_000
    limits = {
        "reply_limit_bytes": 300_000,
        "client_output_soft_bytes": 400_000,
        "client_output_limit_bytes": 2_000_000,
    }
    async with serve(cluster, limits=limits) as served:
        lazy, other = await served.connect(receive_buffer_bytes=4096), await served.connect()

        await lazy.send(encode_command("GET", key) * 100)
        await until(lambda: len(served.engine.clients) == 1)

        assert await other.call("GET", key) == bulk(cluster.store[key])


async def test_a_client_whose_unread_replies_pass_the_soft_limit_is_read_no_further(
    cluster: FakeCluster,
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    value = b"x" * 100_000
    cluster.store[key] = value
    limits = {"client_output_soft_bytes": 500_000, "client_in_flight_limit": 4}
    async with serve(cluster, limits=limits) as served:
        lazy = await served.connect(receive_buffer_bytes=65536)
        await lazy.send(encode_command("GET", key) * 300)
        client = next(iter(served.engine.clients.values()))
        await until(lambda: client.output_bytes > 500_000)
        await all_is_quiet()

        # What was in flight when the limit was passed comes on top.
        assert client.output_bytes < 500_000 + 5 * 100_020

        for _ in range(300):
            await lazy.expect(bulk(value))


async def test_requests_that_wait_for_one_node(cluster: FakeCluster) -> None:
    dead, lively = cluster.nodes[:2]
    keys = cluster.keys_of(dead, 40)
    soft = 10 * KIBIBYTE
    await dead.crash()
    async with serve(cluster, limits={"node_queue_soft_bytes": soft}) as served:
        clients = [await served.connect() for _ in keys]
        for client, key in zip(clients, keys, strict=True):
            await client.ask("SET", key, "x" * KIBIBYTE)
        other = await served.connect()
        assert await other.call("SET", cluster.key_of(lively), 1) == b"+OK\r\n"
        lane = served.proxy.pools.lane_for(2)
        number = served.proxy.routes.number(dead.address)
        assert soft < lane.pipeline_to(number).unsent_bytes <= soft + 1200

        await cluster.restart(dead)

        for client in clients:
            await client.expect(b"+OK\r\n")


async def test_a_full_queue_of_expired_requests_makes_room_for_others(
    cluster: FakeCluster,
) -> None:
    dead = cluster.nodes[0]
    keys = cluster.keys_of(dead, 20)
    await dead.crash()
    async with serve(
        cluster,
        cluster={"request_timeout_s": 0.2},
        limits={"node_queue_soft_bytes": 10 * KIBIBYTE},
    ) as served:
        clients = [await served.connect() for _ in keys]
        for client, key in zip(clients, keys, strict=True):
            await client.ask("SET", key, "x" * KIBIBYTE)

        for client, key in zip(clients, keys, strict=True):
            await client.expect(replies.never_sent(key_slot(key), 0.2))
        lane = served.proxy.pools.lane_for(2)
        pipeline = lane.pipeline_to(served.proxy.routes.number(dead.address))
        await until(lambda: pipeline.unsent_bytes == 0)


async def test_an_idle_client_is_closed_after_its_time_although_nobody_else_does_anything(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, clients={"idle_timeout_s": 0.2}) as served:
        client = await served.connect()

        assert await client.call("PING") == b"+PONG\r\n"
        await client.expect_end()


async def test_memory_at_rest_does_not_remember_a_burst_of_cut_requests(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    frame = encode_command("EXISTS", *[key] * 1000)
    before = served.engine.memory_bytes
    clients = [await served.connect() for _ in range(300)]
    for client in clients:
        await client.send(frame[:-1])
    await until(lambda: served.engine.memory_bytes > before + 300 * len(frame))

    for client in clients:
        await client.send(frame[-1:])
        await client.expect(b":0\r\n")

    # As many as may be spare have room for 1,024 arguments each.
    assert served.engine.memory_bytes - before < 2 * MEBIBYTE


async def test_memory_at_rest_holds_no_buffers_of_a_burst(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    client = await served.connect()
    value = b"x" * (2 * MEBIBYTE)
    await client.send(*[encode_command("SET", key, value), encode_command("GET", key)] * 5)
    await client.expect(*[b"+OK\r\n", bulk(value)] * 5)

    seen = next(iter(served.engine.clients.values()))

    assert (seen.query_buffer_bytes, seen.output_bytes, seen.in_flight) == (0, 0, 0)
