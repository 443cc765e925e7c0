"""Law 6: requests wait instead of failing; a deadline abandons one place and shifts nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies
from proxy.resp.encode import encode_command

REFUSALS = {
    "READONLY": b"-READONLY You can't write against a read only replica.\r\n",
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "CLUSTERDOWN": b"-CLUSTERDOWN The cluster is down\r\n",
    "CLUSTERDOWN slot": b"-CLUSTERDOWN Hash slot not served\r\n",
    "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is no.\r\n",
    "TRYAGAIN": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
}
MEBIBYTE = 1 << 20
HASTY_S = 0.5


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("times", [1, 4])
async def test_what_a_node_refused_to_run_waits_and_succeeds(
    cluster: FakeCluster, served: Served, refusal: bytes, times: int
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.once(b"SET", key, answer=refusal, times=times)
    node.once(b"GET", key, answer=refusal, times=times)
    client = await served.connect()

    await client.send(encode_command("SET", key, 1), encode_command("GET", key))

    await client.expect(b"+OK\r\n", b"$1\r\n1\r\n")
    assert len(node.seen(b"SET", key)) == len(node.seen(b"GET", key)) == times + 1


async def test_a_demoted_primary_is_left_for_its_successor(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key = cluster.key_of(old)
    old.always(b"SET", answer=REFUSALS["READONLY"])
    client = await served.connect()
    await client.ask("SET", key, 1)
    await old.wait_for(b"SET")

    cluster.give_all(old, new)

    await client.expect(b"+OK\r\n")
    assert new.requests == [[b"SET", key, b"1"]]


async def test_requests_for_a_crashed_primary_wait_for_its_successor(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key, sent = cluster.keys_of(old, 2)
    client, reader, writer = [await served.connect() for _ in range(3)]
    held = old.hold(b"GET", sent)
    await reader.ask("GET", sent)
    await held.arrived()

    await old.crash()
    await client.send(encode_command("SET", key, 1), encode_command("GET", key))
    await writer.ask("MSET", key, 1, cluster.key_of(new), 2)
    await until(lambda: served.proxy.pools.failed_dials > 2)
    cluster.give_all(old, new)

    await client.expect(b"+OK\r\n", b"$1\r\n1\r\n")
    await reader.expect(b"$-1\r\n")
    await writer.expect(b"+OK\r\n")


async def test_a_frozen_primary_that_was_replaced_is_let_go_and_its_reads_go_to_the_successor(
    cluster: FakeCluster,
) -> None:
    old, new = cluster.nodes[:2]
    key, other = cluster.keys_of(old, 2)
    async with serve(cluster, cluster={"silence_timeout_s": 0.2}) as served:
        reader, writer, late = [await served.connect() for _ in range(3)]
        assert await writer.call("SET", key, 1) == b"+OK\r\n"
        old.freeze()
        await reader.ask("GET", key)
        await writer.ask("SET", key, 2)
        await all_is_quiet()

        cluster.give_all(old, new)

        await reader.expect(b"$1\r\n1\r\n")
        await writer.expect(replies.lost_write(str(old.address)))
        assert await late.call("SET", other, 3) == b"+OK\r\n"
        old.thaw()


async def test_a_slow_node_that_is_still_in_charge_is_waited_for(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"SET")
    async with serve(cluster, cluster={"silence_timeout_s": 0.05}) as served:
        client = await served.connect()
        await client.ask("SET", key, 1)
        await held.arrived()
        refreshes = served.proxy.watcher.refreshes
        await until(lambda: served.proxy.watcher.refreshes > refreshes + 1)

        held.let_go()

        await client.expect(b"+OK\r\n")


async def test_a_slot_without_owner_is_waited_for(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    key, far = cluster.key_of(node), cluster.key_of(cluster.nodes[1])
    whole = cluster.nodes_text(node)
    hole = b"\n".join(
        line.rpartition(b" ")[0] if line.startswith(node.id.encode()) else line
        for line in whole.splitlines()
    )
    for each in cluster.nodes:
        each.view = hole
    async with serve(cluster) as served:
        assert served.engine.slot_map.owner_of(key_slot(key)) is None
        client, other = await served.connect(), await served.connect()
        await client.send(encode_command("SET", key, 1), encode_command("MGET", far, key))
        assert await other.call("SET", far, 2) == b"+OK\r\n"
        assert not client.has_replies

        for each in cluster.nodes:
            each.view = None

        await client.expect(b"+OK\r\n", b"*2\r\n$1\r\n2\r\n$1\r\n1\r\n")


# ---- deadlines ----------------------------------------------------------------------


@pytest.fixture
async def hasty(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy that gives up after half a second."""
    async with serve(cluster, cluster={"request_timeout_s": HASTY_S}) as served:
        yield served


async def test_a_read_without_reply_is_given_up_and_its_late_reply_is_dropped(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key, other = cluster.keys_of(node, 2)
    cluster.store |= {key: b"late", other: b"right"}
    held = node.hold(b"GET", key)
    client, neighbour = await hasty.connect(), await hasty.connect()

    assert await client.call("GET", key) == replies.no_reply_to_read(str(node.address), HASTY_S)
    await neighbour.ask("GET", other)
    await client.ask("GET", other)
    await node.wait_for(b"GET", other, count=2)
    held.let_go()

    await neighbour.expect(b"$5\r\nright\r\n")
    await client.expect(b"$5\r\nright\r\n")
    assert len({seen.connection for seen in node.seen(b"GET")}) == 1
    assert hasty.engine.expired == 1


async def test_a_write_without_reply_is_given_up_with_its_outcome_unknown(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"SET")
    client = await hasty.connect()

    assert await client.call("SET", key, 1) == replies.no_reply_to_write(str(node.address), HASTY_S)
    held.let_go()

    assert await client.call("GET", key) == b"$1\r\n1\r\n"
    assert hasty.engine.outcome_unknown == 1


async def test_a_late_refusal_of_a_given_up_request_is_dropped(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"SET")
    client = await hasty.connect()

    assert (await client.call("SET", key, 1)).startswith(b"-IOERR ")
    held.answer(cluster.nodes[1].moved(key_slot(key)))

    assert await client.call("GET", key) == b"$-1\r\n"
    assert cluster.store == {}


async def test_a_deadline_abandons_one_place_only(cluster: FakeCluster, hasty: Served) -> None:
    slow, fast = cluster.nodes[:2]
    key, other = cluster.key_of(slow), cluster.key_of(fast)
    held = slow.hold(b"GET")
    client = await hasty.connect()

    await client.send(
        encode_command("SET", other, 1),
        encode_command("GET", key),
        encode_command("GET", other),
        b"PING\r\n",
    )

    late = replies.no_reply_to_read(str(slow.address), HASTY_S)
    await client.expect(b"+OK\r\n", late, b"$1\r\n1\r\n", b"+PONG\r\n")
    held.let_go()
    assert await client.call("SET", key, 2) == b"+OK\r\n"


async def test_requests_that_expire_together_are_given_up_together(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.freeze()
    client = await hasty.connect()
    began = trio.current_time()

    await client.send((encode_command("GET", key) + b"PING\r\n") * 50)

    late = replies.no_reply_to_read(str(node.address), HASTY_S)
    await client.expect((late + b"+PONG\r\n") * 50)
    assert trio.current_time() - began < 1.0
    node.thaw()


async def test_an_expired_request_that_was_never_sent_is_never_sent_later(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key, other = cluster.keys_of(node, 2)
    await node.crash()
    client = await hasty.connect()

    assert await client.call("SET", key, 1) == replies.never_sent(key_slot(key), HASTY_S)
    await cluster.restart(node)
    assert await client.call("SET", other, 2) == b"+OK\r\n"

    assert node.requests == [[b"SET", other, b"2"]]


async def test_an_expired_request_behind_a_full_socket_is_never_sent_later() -> None:
    async with (
        FakeCluster().running(receive_buffer_bytes=65536) as cluster,
        serve(cluster, cluster={"request_timeout_s": 0.3}) as served,
    ):
        node = cluster.nodes[0]
        keys = cluster.keys_of(node, 3)
        big, small = await served.connect(), await served.connect()
        assert await big.call("GET", keys[0]) == b"$-1\r\n"
        number = served.proxy.routes.number(node.address)
        pipeline = served.proxy.pools.lane_for(2).pipeline_to(number)
        written = pipeline.bytes_out
        node.freeze()
        await big.ask("SET", keys[0], b"x" * (16 * MEBIBYTE))
        await until(lambda: pipeline.bytes_out > written)
        await small.ask("SET", keys[1], 1)

        # It was begun: the node will have all of it in the end.
        await big.expect(replies.no_reply_to_write(str(node.address), 0.3))
        await small.expect(replies.never_sent(key_slot(keys[1]), 0.3))
        node.thaw()
        await node.wait_for(b"SET", keys[0])
        assert await small.call("SET", keys[2], 3) == b"+OK\r\n"

        assert [args[:2] for args in node.requests if args[0] == b"SET"] == [
            [b"SET", keys[0]],
            [b"SET", keys[2]],
        ]


async def test_a_held_request_is_given_up_at_its_deadline(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key, other = cluster.keys_of(node, 2)
    node.always(b"SET", key, answer=REFUSALS["CLUSTERDOWN"])
    client = await hasty.connect()

    await client.send(encode_command("SET", key, 1), encode_command("GET", other))

    await client.expect(replies.never_sent(key_slot(key), HASTY_S), b"$-1\r\n")


async def test_an_expired_call_of_the_proxy_itself_is_never_sent_later(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    await node.crash()
    client = await hasty.connect()

    assert (await client.call("DBSIZE")).startswith(b"-")
    await cluster.restart(node)
    assert await client.call("SET", cluster.key_of(node), 1) == b"+OK\r\n"

    assert node.seen(b"DBSIZE") == []


async def test_a_call_of_the_proxy_itself_that_gets_no_reply_is_given_up(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    held = node.hold(b"DBSIZE")
    client, other = await hasty.connect(), await hasty.connect()

    reply = await client.call("DBSIZE")
    await other.ask("GET", cluster.key_of(node))
    held.let_go()

    assert reply.startswith(b"-IOERR ")
    await other.expect(b"$-1\r\n")
    assert await client.call("DBSIZE") == b":0\r\n"


async def test_before_the_cluster_was_ever_reached_nobody_listens(cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.freeze()
    with trio.move_on_after(0.3) as waited:
        async with serve(cluster, cluster={"connect_timeout_s": 0.1}):
            pass
    assert waited.cancelled_caught
