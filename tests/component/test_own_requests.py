"""Requests of the proxy's own: over the clients' road, in blocks, on private connections."""

from __future__ import annotations

import pytest
import trio
from fake_node import HOUSEKEEPING, Fate
from scripted_cluster import OK, FakeCluster
from served import Served, all_is_quiet, until

from proxy.cluster.slots import key_slot
from proxy.errors import BackendUnavailable, LimitReached
from proxy.resp import replies
from proxy.resp.encode import array, error, integer, simple

QUEUED = simple(b"QUEUED")
ABORTED = error(b"EXECABORT Transaction discarded because of previous errors.")
KEY = b"{k}"
SLOT = key_slot(KEY)
BLOCK = [(b"MULTI",), (b"INCR", KEY), (b"EXEC",)]


async def test_it_follows_a_redirect_like_a_clients(cluster: FakeCluster, served: Served) -> None:
    lane = served.proxy.pools.lane_for(2)
    cluster.store[KEY] = b"v"
    cluster.give(SLOT, cluster.nodes[(cluster.owners[SLOT].index + 1) % 3])

    reply = await served.proxy.calls.ask(lane, SLOT, b"GET", KEY, is_write=False)

    assert reply == b"$1\r\nv\r\n"


async def test_a_lost_reply_to_its_write_is_an_error_that_says_so(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"INCR", answer=Fate.CLOSE)

    reply = await served.proxy.calls.ask(served.proxy.pools.lane_for(2), SLOT, b"INCR", KEY)

    assert reply == replies.lost_write(str(node.address))
    assert len(node.seen(b"INCR")) == 1


async def test_nobody_waits_for_it_any_more_once_it_is_forgotten(
    cluster: FakeCluster, served: Served
) -> None:
    held = cluster.owners[SLOT].hold(b"GET")
    lane = served.proxy.pools.lane_for(2)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.proxy.calls.ask, lane, SLOT, b"GET", KEY)
            await held.arrived()
            scope.cancel()
    held.let_go()
    client = await served.connect()

    assert await client.call("SET", KEY, "later") == OK
    assert served.engine.in_flight == 0


async def test_a_block_brings_every_reply(cluster: FakeCluster, served: Served) -> None:
    node = cluster.owners[SLOT]
    node.once(b"MULTI", answer=OK)
    node.once(b"INCR", answer=QUEUED)
    node.once(b"EXEC", answer=array([integer(1)]))

    frames = await served.proxy.calls.ask_block(served.proxy.pools.lane_for(2), SLOT, BLOCK)

    assert frames == [OK, QUEUED, array([integer(1)])]


@pytest.mark.parametrize("refusal", ["moved", "ask", "tryagain"])
async def test_a_block_of_which_a_command_was_refused_is_sent_again_as_a_whole(
    cluster: FakeCluster, served: Served, refusal: str
) -> None:
    first, second = cluster.owners[SLOT], cluster.nodes[(cluster.owners[SLOT].index + 1) % 3]
    runs = second if refusal == "moved" else first
    frames = {
        "moved": second.moved(SLOT),
        "ask": second.ask(SLOT),
        "tryagain": error(b"TRYAGAIN Multiple keys request during rehashing of slot"),
    }
    for node in (first, second):
        node.always(b"MULTI", answer=OK)
    first.once(b"INCR", answer=frames[refusal])
    first.once(b"EXEC", answer=ABORTED)
    if refusal == "moved":
        cluster.give(SLOT, second)
    runs.once(b"INCR", answer=QUEUED)
    runs.once(b"EXEC", answer=array([integer(1)]))

    got = await served.proxy.calls.ask_block(served.proxy.pools.lane_for(2), SLOT, BLOCK)

    assert got == [OK, QUEUED, array([integer(1)])]
    names = [seen.args[0] for seen in runs.log if seen.args[0] not in HOUSEKEEPING]
    assert names[-3:] == [b"MULTI", b"INCR", b"EXEC"]


async def test_a_block_whose_last_reply_is_lost_is_never_sent_again(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"MULTI", answer=OK)
    node.once(b"INCR", answer=QUEUED)
    node.once(b"EXEC", answer=Fate.CLOSE)

    frames = await served.proxy.calls.ask_block(served.proxy.pools.lane_for(2), SLOT, BLOCK)

    assert frames == [replies.lost_write(str(node.address))]
    assert len(node.seen(b"EXEC")) == 1


async def test_other_clients_replies_stay_in_place_around_a_block(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    cluster.store[KEY] = b"v"
    node.always(b"MULTI", answer=OK)
    node.always(b"EXEC", answer=array([]))
    client = await served.connect()
    lane = served.proxy.pools.lane_for(2)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(served.proxy.calls.ask_block, lane, SLOT, [BLOCK[0], BLOCK[2]])
            await client.ask("GET", KEY)

    assert await client.read_replies(20) == [b"$1\r\nv\r\n"] * 20


async def test_a_pushed_frame_comes_behind_the_replies_given(served: Served) -> None:
    client = await served.connect()
    assert await client.call("PING") == simple(b"PONG")

    for inside in served.engine.clients.values():
        served.engine.push(inside, b">1\r\n+news\r\n")

    await client.expect(b">1\r\n+news\r\n")
    assert await client.call("PING") == simple(b"PONG")


async def test_a_private_connection_that_was_kept_is_used_again(
    cluster: FakeCluster, served: Served
) -> None:
    node, lane = served.topology.nodes[0], served.proxy.pools.lane_for(2)
    dials = served.proxy.pools.dials

    for _ in range(2):
        async with served.proxy.pools.lease(node, lane) as private:
            assert await private.ask(b"PING") == simple(b"PONG")
            private.keep()

    assert served.proxy.pools.dials == dials + 1
    assert (served.proxy.pools.private.in_use, served.proxy.pools.private.idle) == (0, 1)


async def test_a_private_connection_that_nobody_calls_clean_is_closed(
    cluster: FakeCluster, served: Served
) -> None:
    node, lane = served.topology.nodes[0], served.proxy.pools.lane_for(2)

    async with served.proxy.pools.lease(node, lane) as private:
        await private.ask(b"PING")

    connection = cluster.nodes[0].connections[-1]
    await until(lambda: not connection.is_open)
    assert served.proxy.pools.private.idle == 0


async def test_a_private_connection_with_an_open_reply_is_closed_when_its_user_goes(
    cluster: FakeCluster, served: Served
) -> None:
    node, lane = served.topology.nodes[0], served.proxy.pools.lane_for(2)
    held = cluster.nodes[0].hold(b"BLPOP")

    async def wait_for_ever() -> None:
        async with served.proxy.pools.lease(node, lane) as private:
            try:
                await private.ask(b"BLPOP", b"list", b"0")
            finally:
                private.keep()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_ever)
        seen = await held.arrived()
        nursery.cancel_scope.cancel()

    await until(lambda: not seen.connection.is_open)
    assert served.proxy.pools.private.idle == 0


async def test_a_private_connection_ends_with_its_node_and_says_that_it_may_have_acted(
    cluster: FakeCluster, served: Served
) -> None:
    node, lane = served.topology.nodes[0], served.proxy.pools.lane_for(2)
    cluster.nodes[0].once(b"BLPOP", answer=Fate.RESET)

    async with served.proxy.pools.lease(node, lane) as private:
        with pytest.raises(BackendUnavailable) as caught:
            await private.ask(b"BLPOP", b"list", b"0")

        assert caught.value.sent
        assert private.is_lost


async def test_one_private_connection_over_the_limit_is_refused(
    cluster: FakeCluster, served: Served
) -> None:
    pools, node = served.proxy.pools, served.topology.nodes[0]
    lane = pools.lane_for(2)
    pools.private.limit = 1

    async with pools.lease(node, lane):
        with pytest.raises(LimitReached, match="private_connection_limit = 1"):
            async with pools.lease(node, lane):
                pass
    async with pools.lease(node, lane) as private:
        assert await private.ask(b"PING") == simple(b"PONG")


async def test_a_lane_that_is_closed_leaves_no_connection(
    cluster: FakeCluster, served: Served
) -> None:
    pools = served.proxy.pools
    lane = pools.open_lane(pools.lane_for(3).key)
    await served.proxy.calls.ask(lane, SLOT, b"GET", KEY, is_write=False)
    connection = cluster.owners[SLOT].connections[-1]

    pools.close_lane(lane)

    await until(lambda: not connection.is_open)
    await all_is_quiet()
