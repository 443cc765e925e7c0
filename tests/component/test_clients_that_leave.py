"""A client may leave at any moment: nobody else notices, and nothing of it stays."""

from __future__ import annotations

import pytest
import trio
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp.encode import bulk, encode_command

KINDS = pytest.mark.parametrize("is_polite", [True, False], ids=["closes", "vanishes"])


async def leave(client: RawClient, *, is_polite: bool) -> None:
    """Go with a FIN or with a RST."""
    if is_polite:
        await client.close()
    else:
        client.vanish()


@KINDS
async def test_a_client_that_leaves_with_requests_in_flight_shifts_nobodys_replies(
    cluster: FakeCluster, served: Served, is_polite: bool
) -> None:
    node = cluster.nodes[0]
    keys = cluster.keys_of(node, 10)
    cluster.store |= {key: key for key in keys}
    held = node.hold(b"GET")
    leaver, stayer = await served.connect(), await served.connect()
    await leaver.send(*[encode_command("GET", key) for key in keys[:5]])
    await held.arrived()
    await stayer.send(*[encode_command("GET", key) for key in keys[5:]])
    await node.wait_for(b"GET", count=10)

    await leave(leaver, is_polite=is_polite)
    await all_is_quiet()
    held.let_go()

    await stayer.expect(*[bulk(key) for key in keys[5:]])
    await until(lambda: len(served.engine.clients) == 1 and served.engine.in_flight == 0)


@KINDS
async def test_a_client_that_leaves_in_the_middle_of_a_request_leaves_nothing(
    cluster: FakeCluster, served: Served, is_polite: bool
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    frame = encode_command("SET", key, "x" * 1000)
    other = await served.connect()
    for length in (1, 5, 40, len(frame) - 1):
        client = await served.connect()
        await client.send(encode_command("GET", key), frame[:length])
        await client.expect(b"$-1\r\n")

        await leave(client, is_polite=is_polite)

        await until(lambda: len(served.engine.clients) == 1)
        assert await other.call("GET", key) == b"$-1\r\n"
    assert cluster.nodes[0].seen(b"SET") == []


@KINDS
async def test_a_client_that_leaves_while_the_proxy_asks_for_it_is_forgotten(
    cluster: FakeCluster, served: Served, is_polite: bool
) -> None:
    held = cluster.nodes[1].hold(b"DBSIZE")
    client, other = await served.connect(), await served.connect()
    await client.ask("DBSIZE")
    await held.arrived()

    await leave(client, is_polite=is_polite)
    await all_is_quiet()
    held.let_go()

    assert await other.call("DBSIZE") == b":0\r\n"
    await until(lambda: len(served.engine.clients) == 1)


@KINDS
async def test_a_client_that_leaves_with_held_requests_is_forgotten(
    cluster: FakeCluster, served: Served, is_polite: bool
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.always(b"SET", answer=b"-LOADING Redis is loading the dataset in memory\r\n")
    client, other = await served.connect(), await served.connect()
    await client.send(encode_command("SET", key, 1) * 3)
    await node.wait_for(b"SET", count=5)

    await leave(client, is_polite=is_polite)
    node.forget_script()

    assert await other.call("SET", key, 2) == b"+OK\r\n"


async def test_a_client_that_vanishes_while_it_is_not_read_is_noticed(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    held = cluster.nodes[0].hold(b"GET")
    async with serve(cluster, limits={"client_in_flight_limit": 1}) as served:
        client = await served.connect()
        await client.send(encode_command("GET", key) * 100)
        await held.arrived()

        client.vanish()

        await until(lambda: not served.engine.clients and served.engine.in_flight == 0)
        held.let_go()


async def test_a_client_that_vanishes_while_it_reads_nothing_is_noticed(
    cluster: FakeCluster,
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = b"x" * 100_000
    async with serve(cluster, limits={"client_output_soft_bytes": 100_000}) as served:
        client = await served.connect(receive_buffer_bytes=4096)
        await client.send(encode_command("GET", key) * 100)
        await until(lambda: any(c.output_bytes for c in served.engine.clients.values()))

        client.vanish()

        await until(lambda: not served.engine.clients)


@pytest.mark.parametrize("last", [b"", b"*2\r\n$3\r\nGE", b"PIN"], ids=["whole", "cut", "inline"])
async def test_a_client_that_closes_its_sending_side_gets_what_it_asked_for(
    cluster: FakeCluster, served: Served, last: bytes
) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    held = [node.hold(b"SET") for node in cluster.nodes]
    client = await served.connect()

    await client.send(*[encode_command("SET", key, key) for key in keys])
    await client.send(encode_command("DBSIZE"), encode_command("MGET", *keys), last)
    await client.finish_sending()
    await all_is_quiet()
    for each in reversed(held):
        each.let_go()

    await client.expect(b"+OK\r\n" * 3, b":3\r\n*3\r\n", *[bulk(key) for key in keys])
    await client.expect_end()


async def test_quit_is_answered_after_earlier_requests_and_before_the_end(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    client = await served.connect()

    await client.send(encode_command("SET", key, 1), b"QUIT\r\n", encode_command("SET", key, 2))

    await client.expect(b"+OK\r\n+OK\r\n")
    await client.expect_end()
    assert cluster.store == {key: b"1"}


async def test_a_proxy_that_drains_finishes_what_is_in_flight_and_takes_nothing_more(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"SET")
    idle, busy = await served.connect(), await served.connect()
    await busy.ask("SET", key, 1)
    await held.arrived()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.proxy.drain)
        await idle.expect_end()
        with pytest.raises(OSError, match="refused"):
            await served.connect()
        await busy.ask("SET", key, 2)
        await all_is_quiet()
        held.let_go()
        await busy.expect(b"+OK\r\n")
        await busy.expect_end()

    assert cluster.store == {key: b"1"}


async def test_a_drain_waits_no_longer_than_it_may_for_what_is_in_flight(
    cluster: FakeCluster,
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    async with serve(cluster, listen={"drain_s": 0.05}) as served:
        held = node.hold(b"SET")
        busy = await served.connect()
        await busy.ask("SET", key, 1)
        await held.arrived()

        with trio.fail_after(2):
            await served.proxy.drain()

        assert len(served.engine.clients) == 1
        held.let_go()


async def test_a_killed_client_is_closed_at_once_and_its_replies_are_dropped(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key, other_key = cluster.keys_of(node, 2)
    held = node.hold(b"GET", key)
    victim, killer = await served.connect(), await served.connect()
    number = int((await victim.call("CLIENT", "ID"))[1:])
    await victim.send(encode_command("GET", key), encode_command("GET", key)[:10])
    await held.arrived()

    assert await killer.call("CLIENT", "KILL", "ID", number) == b":1\r\n"
    await killer.ask("SET", other_key, 1)
    held.let_go()

    await victim.expect_end()
    await killer.expect(b"+OK\r\n")
