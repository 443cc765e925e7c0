"""Clients that wait, and what goes wrong around them: hung nodes, limits, several streams."""

from __future__ import annotations

from collections import deque

import pytest
from fake_node import Fate
from queue_cluster import Queues
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp import replies, replies_blocking
from proxy.resp.encode import array, bulk, error, integer

NIL = b"*-1\r\n"


def popped(key: bytes, element: bytes) -> bytes:
    return array([bulk(key), bulk(element)])


def entries(key: bytes, entry_id: bytes) -> bytes:
    """Return what a stream has for XREAD: its name, and one entry."""
    return array([bulk(key), array([array([bulk(entry_id), array([bulk(b"f"), bulk(b"v")])])])])


@pytest.fixture
def keys(cluster: FakeCluster) -> list[bytes]:
    """A key of each node."""
    return [cluster.key_of(node) for node in cluster.nodes]


async def test_a_node_that_hangs_is_noticed_by_who_only_waits(
    cluster: FakeCluster, keys: list[bytes]
) -> None:
    queues = Queues(cluster)
    old, new = cluster.nodes[:2]
    # The map is asked for only when something is suspected.
    settings = {"refresh_interval_s": 60.0, "silence_timeout_s": 0.1}
    async with serve(cluster, cluster=settings) as served:
        client = await served.connect()
        await client.ask("BLPOP", keys[0], 0)
        await queues.wait_blocked()

        old.freeze()
        cluster.give_all(old, new)
        await queues.wait_blocked(2)
        await queues.push(keys[0], b"x")

        await client.expect(popped(keys[0], b"x"))
        old.thaw()


async def test_a_pop_whose_reply_breaks_off_is_not_sent_again(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    """The server has popped, so a second pop would be one too many."""
    queues = Queues(cluster)
    client = await served.connect()
    await client.ask("BLPOP", keys[0], 0)
    (blocked,) = await queues.wait_blocked()

    await blocked.seen.connection.send(popped(keys[0], b"x" * 1000)[:500])
    queues.end(blocked, Fate.CLOSE)

    assert await client.read_reply() == replies.lost_write(str(blocked.seen.node.address))
    assert queues.blocked == []
    assert await client.call("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("words", ["BLPOP {0} 0", "XREAD BLOCK 0 STREAMS {0} {1} 0 0"])
async def test_over_the_limit_of_connections_there_is_an_error(
    cluster: FakeCluster, keys: list[bytes], words: str
) -> None:
    queues = Queues(cluster)
    for node in cluster.nodes:
        node.always(b"XREAD", answer=NIL)
    async with serve(cluster, limits={"private_connection_limit": 1}) as served:
        first, second = await served.connect(), await served.connect()
        await first.ask("BLPOP", keys[2], 0)
        await queues.wait_blocked()

        named = words.format(*(key.decode() for key in keys))
        answer = await second.call(*named.split())

        assert answer == replies.limit_reached(b"limits.private_connection_limit", 1)
        first.vanish()
        await until(lambda: served.proxy.blocking.is_quiet)


async def test_a_user_who_may_not_ask_for_its_number_is_let_go_by_closing(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    node = cluster.nodes[0]
    node.always(b"CLIENT", b"ID", answer=error(b"NOPERM this user has no permissions"))
    queues = Queues(cluster)
    client = await served.connect()
    await client.ask("BLPOP", keys[0], 0)
    (blocked,) = await queues.wait_blocked()

    client.vanish()
    await until(lambda: served.proxy.blocking.is_quiet)
    await until(lambda: not blocked.seen.connection.is_open)

    assert node.seen(b"CLIENT", b"UNBLOCK") == []


# ---- streams in several slots --------------------------------------------------------------


async def test_the_first_entries_are_the_reply_and_the_other_waits_end(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    for node in cluster.nodes:
        node.once(b"XREAD", answer=NIL)  # the look before the wait
        node.always(b"CLIENT", b"ID", answer=integer(node.index + 1))
        node.always(b"CLIENT", b"UNBLOCK", answer=integer(1))
    held = [node.hold(b"XREAD", b"BLOCK") for node in cluster.nodes]
    client = await served.connect()
    await client.ask("XREAD", "BLOCK", 0, "STREAMS", *keys, 0, 0, 0)
    for each in held:
        await each.arrived()

    held[1].answer(array([entries(keys[1], b"1-1")]))
    for node in (cluster.nodes[0], cluster.nodes[2]):
        await node.wait_for(b"CLIENT", b"UNBLOCK")
    held[0].answer(NIL)
    held[2].answer(array([entries(keys[2], b"3-1")]))

    await client.expect(array([entries(keys[1], b"1-1"), entries(keys[2], b"3-1")]))


async def test_newest_means_newest_when_the_read_began(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    for node, last in zip(cluster.nodes, (b"5-1", b"0-0", b"7-7"), strict=True):
        there = [array([bulk(last), array([])])] if last != b"0-0" else []
        node.always(b"XREVRANGE", answer=array(there))
        node.always(b"XREAD", answer=NIL)
        node.always(b"CLIENT", answer=integer(1))
    client = await served.connect()

    assert await client.call("XREAD", "BLOCK", 10, "STREAMS", *keys, "$", "$", "$") == NIL

    asked = [node.seen(b"XREAD")[-1].args[-1] for node in cluster.nodes]
    assert asked == [b"5-1", b"0-0", b"7-7"]


async def test_a_missing_group_is_the_whole_reply_and_nothing_is_delivered(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    missing = b"-NOGROUP No such key or consumer group\r\n"
    for node in cluster.nodes[:2]:
        node.always(b"XPENDING", answer=array([integer(0), b"$-1\r\n", b"$-1\r\n", NIL]))
        node.always(b"XREADGROUP", answer=array([entries(keys[node.index], b"1-1")]))
    cluster.nodes[2].always(b"XPENDING", answer=missing)
    cluster.nodes[2].always(b"XREADGROUP", answer=missing)
    client = await served.connect()
    words = ("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", *keys, ">", ">", ">")

    assert await client.call(*words) == missing

    assert [len(node.seen(b"XREADGROUP")) for node in cluster.nodes] == [0, 0, 1]


# ---- WAIT --------------------------------------------------------------------------------------


def info(offset: int, *replicas: int) -> bytes:
    lines = [
        f"slave{i}:ip=10.0.0.{i},port=1,state=online,offset={at},lag=0"
        for i, at in enumerate(replicas)
    ]
    text = "\r\n".join(["role:master", *lines, f"master_repl_offset:{offset}", ""])
    return bulk(text.encode())


async def test_wait_is_the_least_of_all_primaries(cluster: FakeCluster, served: Served) -> None:
    replicas = deque([(10, 10, 10), (10, 10, 9), (20, 20, 20, 20)])
    for node in cluster.nodes:
        node.always(b"INFO", b"replication", answer=info(*replicas.popleft()))
        node.always(b"WAIT", answer=integer(0))
    client = await served.connect()

    assert await client.call("WAIT", 1, 1000) == integer(1)
    assert await client.call("WAIT", 2, 10) == integer(1)


async def test_wait_ends_with_the_replicas_word(cluster: FakeCluster, served: Served) -> None:
    lagging = cluster.nodes[0]
    for node in cluster.nodes[1:]:
        node.always(b"INFO", b"replication", answer=info(1, 1))
    lagging.once(b"INFO", b"replication", answer=info(8, 5))
    lagging.once(b"INFO", b"replication", answer=info(9, 7))
    lagging.once(b"INFO", b"replication", answer=info(9, 8))
    lagging.always(b"WAIT", answer=integer(0))
    client = await served.connect()

    assert await client.call("WAIT", 1, 0) == integer(1)
    assert len(lagging.seen(b"WAIT")) == 2


async def test_a_primary_lost_during_wait_is_an_error(cluster: FakeCluster, served: Served) -> None:
    lagging = cluster.nodes[0]
    for node in cluster.nodes:
        node.always(b"INFO", b"replication", answer=info(8, 8 if node.index else 5))
    held = lagging.hold(b"WAIT")
    client = await served.connect()
    await client.ask("WAIT", 1, 0)
    await held.arrived()

    await lagging.crash()

    await client.expect(replies_blocking.acknowledgement_lost(b"wait", str(lagging.address)))
    await all_is_quiet()
