"""Refusals of limits where something else is going on: MULTI, subscribers, MONITOR, EXPLAIN."""

from __future__ import annotations

import pytest
from broker import Broker, confirmation
from fake_node import Held
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.insight.views_answers import Fate
from proxy.resp import replies_limits as say

LIMIT = 100_000
OOM = say.out_of_memory(LIMIT)


async def fill(served: Served, cluster: FakeCluster) -> Held:
    """Have more held than the limit, until the returned answers are let go."""
    held = cluster.nodes[0].hold(b"SET")
    for _ in range(2):
        writer = await served.connect()
        await writer.ask("SET", cluster.key_of(cluster.nodes[0]), "x" * 60_000)
    await until(lambda: served.engine.memory_bytes > LIMIT)
    return held


async def test_without_memory_a_transaction_is_aborted_and_can_be_ended(
    cluster: FakeCluster,
) -> None:
    key = cluster.key_of(cluster.nodes[1])
    async with serve(cluster, limits={"memory_limit_bytes": LIMIT}) as served:
        client, other = await served.connect(), await served.connect()
        for each in (client, other):
            assert await each.call("MULTI") == b"+OK\r\n"
        held = await fill(served, cluster)

        assert await client.call("SET", key, "v") == OOM
        assert (await client.call("EXEC")).startswith(b"-EXECABORT")
        assert await other.call("DISCARD") == b"+OK\r\n"
        assert await client.call("PROXY", "EXPLAIN", "GET", "a")
        explained = served.proxy.observatory.insight.explain([b"GET", b"a"])
        assert (explained.fate, "limits.memory_limit_bytes" in explained.why) == (
            Fate.REFUSED,
            True,
        )

        held.let_go()
        await until(lambda: served.engine.memory_bytes < LIMIT)
        assert await client.call("SET", key, "v") == b"+OK\r\n"


async def test_a_queue_is_held_until_the_transaction_ends(
    cluster: FakeCluster, served: Served
) -> None:
    client = await served.connect()
    await client.call("PING")
    before = served.engine.memory_bytes

    await client.call("MULTI")
    await client.call("SET", cluster.key_of(cluster.nodes[0]), "x" * 50_000)
    assert before + 50_000 < served.engine.memory_bytes < before + 52_000
    await client.call("DISCARD")

    assert served.engine.memory_bytes < before + 4096


@pytest.mark.parametrize("resp", [2, 3])
async def test_without_memory_a_subscriber_can_leave_and_none_can_come(
    cluster: FakeCluster, resp: int
) -> None:
    Broker(cluster)
    async with serve(cluster, limits={"memory_limit_bytes": LIMIT}) as served:
        client = await (served.connect() if resp == 2 else served.connect_resp3())
        await client.call("SUBSCRIBE", "news")
        held = await fill(served, cluster)

        assert await client.call("SUBSCRIBE", "more") == OOM
        answer = await client.call("UNSUBSCRIBE", "news")

        assert answer == confirmation(b"unsubscribe", b"news", 0, resp)
        held.let_go()


async def test_what_was_refused_is_not_shown_to_who_monitors(cluster: FakeCluster) -> None:
    one, two = cluster.key_of(cluster.nodes[0]), cluster.key_of(cluster.nodes[1])
    async with serve(cluster, limits={"fan_out_limit": 1}) as served:
        monitor, client = await served.connect(), await served.connect()
        await monitor.call("MONITOR")

        await client.call("EXISTS", one, two)
        await client.call("EXISTS", one)

        assert (await monitor.read_reply()).endswith(b'"EXISTS" "%b"\r\n' % one)


async def test_what_a_guard_refused_is_not_shown_either(cluster: FakeCluster) -> None:
    guards = [{"commands": ["set", "flushall"], "action": "confirm"}]
    async with serve(cluster, guard=guards) as served:
        monitor, client = await served.connect(), await served.connect()
        await monitor.call("MONITOR")

        await client.send(b"SET a 1\r\nFLUSHALL\r\nGET a\r\n")
        await client.read_replies(3)

        assert (await monitor.read_reply()).endswith(b'"GET" "a"\r\n')


async def test_the_width_of_what_cannot_be_split_and_of_transactions(cluster: FakeCluster) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    async with serve(
        cluster,
        limits={"fan_out_limit": 2},
        commands={"transactions": "split", "cross_slot": "all"},
    ) as served:
        client = await served.connect()

        assert await client.call("SUNION", *keys) == say.too_wide(b"sunion", slots=3, limit=2)
        await client.call("MULTI")
        assert await client.call("MGET", *keys[:2]) == b"+QUEUED\r\n"
        assert await client.call("MGET", *keys) == say.too_wide(b"mget", slots=3, limit=2)
        assert (await client.call("EXEC")).startswith(b"-EXECABORT")
        explained = served.proxy.observatory.insight.explain([b"MGET", *keys])
        assert (explained.fate, explained.parts) == (Fate.REFUSED, ())
        assert served.engine.meter.limits["fan_out_limit"] == 2
