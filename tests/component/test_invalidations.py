"""Client-side caching: what a tracking client is told, when, and over which connections."""

from __future__ import annotations

import pytest
from fake_node import FakeConnection, FakeNode, Fate
from raw_client import RawClient
from scripted_cluster import OK, FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp.encode import bulk

FLUSH = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
ON = ("CLIENT", "TRACKING", "ON")


def invalidation(*keys: bytes) -> bytes:
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n" % len(keys) + b"".join(map(bulk, keys))


async def tracking_client(served: Served, *options: str) -> RawClient:
    client = await served.connect_resp3()
    assert await client.call(*ON, *options) == OK
    return client


def tracked(node: FakeNode) -> list[FakeConnection]:
    """Return the open connections that were told to track."""
    return [
        seen.connection for seen in node.seen(b"CLIENT", b"TRACKING") if seen.connection.is_open
    ]


# ---- where requests of a tracking client go -----------------------------------------------


async def test_every_connection_tracks_before_it_reads(
    cluster: FakeCluster, served: Served
) -> None:
    client = await tracking_client(served, "OPTOUT", "NOLOOP")

    for node in cluster.nodes:
        await client.call("GET", cluster.key_of(node))

        (seen,) = node.seen(b"GET")
        (told,) = [each for each in node.seen(b"CLIENT") if each.connection is seen.connection]
        assert told.args == [b"CLIENT", b"TRACKING", b"ON", b"OPTOUT", b"NOLOOP"]
        assert node.log.index(told) < node.log.index(seen)


async def test_nobody_else_has_these_connections(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    clients = [await tracking_client(served) for _ in range(2)]
    clients += [await served.connect_resp3()]

    for client in clients:
        await client.call("GET", cluster.key_of(node))

    assert len({seen.connection for seen in node.seen(b"GET")}) == 3


@pytest.mark.parametrize("end", ["leave", "off", "reset", "hello"])
async def test_they_are_closed_with_the_tracking(
    cluster: FakeCluster, served: Served, end: str
) -> None:
    client = await tracking_client(served)
    for node in cluster.nodes:
        await client.call("GET", cluster.key_of(node))
    assert all(tracked(node) for node in cluster.nodes)

    match end:
        case "leave":
            client.vanish()
        case "off":
            assert await client.call("CLIENT", "TRACKING", "OFF") == OK
        case "reset":
            assert await client.call("RESET") == b"+RESET\r\n"
        case "hello":  # RESP2 and no REDIRECT: nobody could be told
            await client.call("HELLO", 2)

    await until(lambda: not any(tracked(node) for node in cluster.nodes))
    assert all(lane.key.is_own for lane in served.proxy.pools.lanes)


async def test_one_tracking_client_too_many_is_told_so(cluster: FakeCluster) -> None:
    async with serve(cluster, limits={"lane_limit": 1}) as served:
        one, other = await tracking_client(served), await served.connect_resp3()

        assert await other.call(*ON) == b"-ERR limit reached: limits.lane_limit = 1\r\n"
        assert b"$3\r\noff" in await other.call("CLIENT", "TRACKINGINFO")

        one.vanish()
        await until(lambda: len(served.engine.clients) == 1)
        assert await other.call(*ON) == OK


# ---- what it is told --------------------------------------------------------------------


async def test_an_invalidation_arrives_as_the_node_wrote_it(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    client = await tracking_client(served)
    await client.call("GET", cluster.key_of(node))

    await node.seen(b"GET")[0].connection.send(invalidation(b"a", b"\xff\r\n"))

    await client.expect(invalidation(b"a", b"\xff\r\n"))


async def test_an_invalidation_does_not_overtake_the_reply_that_it_is_about(
    cluster: FakeCluster, served: Served
) -> None:
    slow, quick = cluster.nodes[0], cluster.nodes[1]
    key = cluster.key_of(quick)
    client = await tracking_client(served)
    for node in (slow, quick):
        await client.call("GET", cluster.key_of(node))

    held = slow.hold(b"GET")
    await client.ask("GET", cluster.key_of(slow))
    await client.ask("GET", key)
    await client.ask("GET", key)
    await held.arrived()
    await quick.wait_for(b"GET", count=3)
    await all_is_quiet()
    await quick.seen(b"GET")[-1].connection.send(invalidation(key))
    await all_is_quiet()
    assert not client.has_replies
    held.let_go()

    await client.expect(b"$-1\r\n".replace(b"$-1", b"_") * 3, invalidation(key))


async def test_nor_the_split_command_of_which_a_part_has_come(
    cluster: FakeCluster, served: Served
) -> None:
    slow, quick = cluster.nodes[0], cluster.nodes[1]
    keys = cluster.key_of(slow), cluster.key_of(quick)
    cluster.store.update(dict.fromkeys(keys, b"old"))
    client = await tracking_client(served)
    await client.call("MGET", *keys)

    held = slow.hold(b"MGET")
    await client.ask("MGET", *keys)
    await held.arrived()
    (connection,) = {seen.connection for seen in await quick.wait_for(b"MGET", count=2)}
    await all_is_quiet()
    await connection.send(invalidation(keys[1]))
    await all_is_quiet()
    held.let_go()

    await client.expect(b"*2\r\n$3\r\nold\r\n$3\r\nold\r\n", invalidation(keys[1]))


async def test_a_lost_connection_is_a_flush_and_tracking_goes_on(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await tracking_client(served)
    await client.call("GET", key)

    node.lose_connections(Fate.RESET)

    await client.expect(FLUSH)
    assert await client.call("GET", key) == b"_\r\n"
    (again,) = tracked(node)
    await again.send(invalidation(key))
    await client.expect(invalidation(key))


async def test_slots_that_move_are_a_flush_for_whoever_tracks(
    cluster: FakeCluster, served: Served
) -> None:
    first, other = cluster.nodes[0], cluster.nodes[1]
    key = cluster.key_of(first)
    client, bystander = await tracking_client(served), await served.connect_resp3()
    await client.call("GET", key)

    cluster.give(key_slot(key), other)
    assert await bystander.call("GET", key) == b"_\r\n"

    await client.expect(FLUSH)
    await all_is_quiet()
    assert not bystander.has_replies


# ---- BCAST ------------------------------------------------------------------------------


async def test_bcast_is_on_at_every_primary_before_it_is_said_to_be(
    cluster: FakeCluster, served: Served
) -> None:
    await tracking_client(served, "BCAST", "PREFIX", "a", "PREFIX", "b")

    for node in cluster.nodes:
        (seen,) = node.seen(b"CLIENT", b"TRACKING")
        assert seen.args[3:] == [b"BCAST", b"PREFIX", b"a", b"PREFIX", b"b"]


async def test_bcast_comes_back_by_itself_and_flushes_again(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    client = await tracking_client(served, "BCAST")

    node.lose_connections(Fate.RESET)

    await client.expect(FLUSH, FLUSH)
    (again,) = tracked(node)
    await again.send(invalidation(b"x"))
    await client.expect(invalidation(b"x"))


# ---- OPTIN and OPTOUT -------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "word"), [("OPTIN", "YES"), ("OPTOUT", "NO")])
async def test_caching_goes_directly_before_the_next_command(
    cluster: FakeCluster, served: Served, mode: str, word: str
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await tracking_client(served, mode)

    assert await client.call("CLIENT", "CACHING", word) == OK
    assert await client.call("CLIENT", "ID") != OK
    assert await client.call("GET", key) == b"_\r\n"
    assert await client.call("GET", key) == b"_\r\n"

    first, second = node.seen(b"GET")
    own = [seen.args[0] for seen in node.log if seen.connection is first.connection]
    assert own[-3:] == [b"CLIENT", b"GET", b"GET"]
    assert second.connection is first.connection


async def test_caching_goes_before_each_part_of_a_command(
    cluster: FakeCluster, served: Served
) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    cluster.store.update({key: b"of " + key for key in keys})
    client = await tracking_client(served, "OPTIN")

    await client.call("CLIENT", "CACHING", "YES")
    reply = await client.call("MGET", *keys)

    assert reply == b"*3\r\n" + b"".join(bulk(b"of " + key) for key in keys)
    for node in cluster.nodes:
        (seen,) = node.seen(b"MGET")
        log = [each for each in node.log if each.connection is seen.connection]
        assert log[log.index(seen) - 1].args == [b"CLIENT", b"CACHING", b"YES"]


async def test_a_write_uses_the_word_up(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await tracking_client(served, "OPTIN")

    await client.call("CLIENT", "CACHING", "YES")
    assert await client.call("SET", key, "v") == OK
    await client.call("GET", key)

    assert not node.seen(b"CLIENT", b"CACHING")
    assert b"caching-yes" not in await client.call("CLIENT", "TRACKINGINFO")


# ---- REDIRECT ---------------------------------------------------------------------------


async def test_resp2_is_told_through_another_client(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    target, client = await served.connect_resp3(), await served.connect()
    number = int((await target.call("CLIENT", "ID"))[1:])

    assert await client.call(*ON, "REDIRECT", number) == OK
    assert await client.call("GET", key) == b"$-1\r\n"

    (reader,) = tracked(node)
    ear = node.connections[int(node.seen(b"CLIENT", b"TRACKING")[-1].args[4]) - 1]
    assert (reader.resp, ear.resp) == (2, 3)
    await ear.send(invalidation(key))
    await target.expect(invalidation(key))


async def test_the_two_connections_live_and_die_together(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    target, client = await served.connect_resp3(), await served.connect()
    number = int((await target.call("CLIENT", "ID"))[1:])
    await client.call(*ON, "REDIRECT", number)
    await client.call("GET", key)

    node.connections[int(node.seen(b"CLIENT", b"TRACKING")[-1].args[4]) - 1].end(Fate.RESET)

    await target.expect(FLUSH)
    await until(lambda: not tracked(node))
    assert await client.call("GET", key) == b"$-1\r\n"
    assert len(tracked(node)) == 1


async def test_a_target_that_has_gone_is_reported(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    target, client = await served.connect(), await served.connect_resp3()
    number = int((await target.call("CLIENT", "ID"))[1:])
    await client.call(*ON, "REDIRECT", number)
    await client.call("GET", cluster.key_of(node))

    await target.close()
    await until(lambda: len(served.engine.clients) == 1)
    await tracked(node)[0].send(invalidation(b"x"))

    await client.expect(b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % number)
    assert b"broken_redirect" in await client.call("CLIENT", "TRACKINGINFO")


async def test_tracking_in_resp2_begins_with_hello_3_and_a_flush(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    client = await served.connect()
    assert await client.call(*ON) == OK
    await client.call("GET", cluster.key_of(node))
    assert not tracked(node)

    assert (await client.call("HELLO", 3)).startswith(b"%7\r\n")

    await client.expect(FLUSH)
    await client.call("GET", cluster.key_of(node))
    assert len(tracked(node)) == 1
