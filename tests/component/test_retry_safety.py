"""Law 4: only reads and what provably did not run are sent again; a write never in silence."""

from __future__ import annotations

import pytest
import trio
from fake_node import Fate
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.dataplane.lane import Pipeline
from proxy.resp import replies
from proxy.resp.encode import encode_command

MEBIBYTE = 1 << 20


def pipeline_to(served: Served, number: int) -> Pipeline:
    """Return the RESP2 pipeline to a node of the cluster."""
    address = served.topology.nodes[number].address
    return served.proxy.pools.lane_for(2).pipeline_to(served.proxy.routes.number(address))


@pytest.mark.parametrize("fate", Fate)
async def test_a_read_is_sent_again_after_a_lost_connection(
    cluster: FakeCluster, served: Served, fate: Fate
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    cluster.store[key] = b"value"
    node.once(b"GET", key, answer=fate)
    client = await served.connect()

    assert await client.call("GET", key) == b"$5\r\nvalue\r\n"

    assert len(node.seen(b"GET", key)) == 2


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize(
    "args",
    [(b"SET", b"{k}", b"v"), (b"INCR", b"{k}"), (b"EVAL", b"return 1", b"1", b"{k}")],
    ids=["set", "incr", "eval"],
)
async def test_a_write_that_may_have_run_is_not_sent_again_and_says_so(
    cluster: FakeCluster, served: Served, args: tuple[bytes, ...], fate: Fate
) -> None:
    node = cluster.owners[key_slot(b"{k}")]
    node.once(args[0], answer=fate)
    client = await served.connect()

    reply = await client.call(*args)

    assert reply == replies.lost_write(str(node.address))
    assert served.engine.outcome_unknown == 1
    assert await client.call("GET", "{k}") == b"$-1\r\n"
    assert len(node.seen(args[0])) == 1


async def test_a_lost_connection_concerns_each_of_its_requests_by_itself(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    read, written, answered = cluster.keys_of(node, 3)
    one, two, three = [await served.connect() for _ in range(3)]
    assert await three.call("SET", answered, 3) == b"+OK\r\n"
    held = node.hold(b"GET", read)
    await one.ask("GET", read)
    seen = await held.arrived()
    await two.ask("SET", written, 2)
    await node.wait_for(b"SET", written)

    seen.connection.end(Fate.RESET)

    await one.expect(b"$-1\r\n")
    await two.expect(replies.lost_write(str(node.address)))
    assert await three.call("GET", answered) == b"$1\r\n3\r\n"


async def test_a_read_that_kills_its_connection_every_time_is_given_up(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.always(b"GET", key, answer=Fate.RESET)
    client = await served.connect()

    reply = await client.call("GET", key)

    assert reply == replies.lost_read(str(node.address))
    assert len(node.seen(b"GET", key)) == 1 + served.engine.loss_limit


async def test_a_write_that_was_never_sent_waits_for_its_node(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    await node.crash()
    client = await served.connect()
    await client.ask("SET", key, 1)
    await until(lambda: served.proxy.pools.failed_dials)

    await cluster.restart(node)

    await client.expect(b"+OK\r\n")
    assert node.requests == [[b"SET", key, b"1"]]


async def test_a_request_during_which_the_node_always_closes_is_given_up() -> None:
    async with (
        FakeCluster().running(receive_buffer_bytes=65536) as cluster,
        serve(cluster) as served,
    ):
        node = cluster.nodes[0]
        client = await served.connect()
        key = cluster.keys_of(node, 1)[0]
        assert await client.call("GET", key) == b"$-1\r\n"
        pipeline = pipeline_to(served, 0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.ask, "SET", key, b"x" * (16 * MEBIBYTE))
            for _ in range(served.engine.loss_limit + 1):
                node.freeze()
                before = pipeline.bytes_out
                await until(lambda sent=before: pipeline.bytes_out > sent + 65536)
                node.lose_connections(Fate.RESET)
                node.thaw()

        await client.expect(replies.cut_off(str(node.address)))
        assert key not in cluster.store


async def test_unsent_and_half_sent_writes_are_sent_again_after_a_lost_connection() -> None:
    async with (
        FakeCluster().running(receive_buffer_bytes=65536) as cluster,
        serve(cluster) as served,
    ):
        node = cluster.nodes[0]
        keys = cluster.keys_of(node, 4)
        first, half, unsent = [await served.connect() for _ in range(3)]
        assert await first.call("GET", keys[3]) == b"$-1\r\n"
        node.freeze()
        pipeline = pipeline_to(served, 0)

        await first.ask("SET", keys[0], "sent")
        await until(lambda: pipeline.sent_count == 1)
        big = b"x" * (16 * MEBIBYTE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(half.ask, "SET", keys[1], big)
            await until(lambda: pipeline.unsent_count == 1 and pipeline.bytes_out > 65536)
        await unsent.ask("SET", keys[2], "unsent")
        await until(lambda: pipeline.unsent_count == 2)
        node.lose_connections(Fate.RESET)
        node.thaw()

        await first.expect(replies.lost_write(str(node.address)))
        await half.expect(b"+OK\r\n")
        await unsent.expect(b"+OK\r\n")
        assert (cluster.store[keys[1]], cluster.store[keys[2]]) == (big, b"unsent")


async def test_a_connection_that_ends_while_idle_costs_no_request(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await served.connect()
    assert await client.call("SET", key, 1) == b"+OK\r\n"

    for fate in Fate:
        node.lose_connections(fate)
        await all_is_quiet()
        assert await client.call("INCR", key) in {b":2\r\n", b":3\r\n"}

    assert cluster.store[key] == b"3"


async def test_a_moved_to_an_address_the_cluster_has_not_named_is_not_followed_but_refreshes(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    async with FakeCluster(1).running() as elsewhere:
        stranger = elsewhere.nodes[0]
        node.once(b"SET", key, answer=stranger.moved(key_slot(key)))
        refreshes = served.proxy.watcher.refreshes
        client = await served.connect()

        assert await client.call("SET", key, 1) == b"+OK\r\n"
        await until(lambda: served.proxy.watcher.refreshes > refreshes)

        assert stranger.connections == []
        assert len(node.seen(b"SET", key)) == 2


async def test_a_node_that_joined_since_is_found_by_the_refresh_that_its_moved_causes(
    cluster: FakeCluster,
) -> None:
    old, new = cluster.nodes[0], cluster.nodes[2]
    key = cluster.key_of(old)
    cluster.give_all(new, old)
    cluster.nodes.remove(new)
    async with serve(cluster) as served:
        assert len(served.topology.nodes) == 2
        cluster.nodes.append(new)
        cluster.give(key_slot(key), new)
        client = await served.connect()

        assert await client.call("SET", key, 1) == b"+OK\r\n"

        assert new.requests == [[b"SET", key, b"1"]]


async def test_a_refusal_that_a_script_met_inside_reaches_the_client(
    cluster: FakeCluster, served: Served
) -> None:
    met = b"-READONLY You can't write. script: 4ca2, on @user_script:1.\r\n"
    cluster.owners[key_slot(b"k")].always(b"EVAL", answer=met)
    client = await served.connect()

    await client.send(encode_command("EVAL", "redis.call('SET', KEYS[1], 1)", 1, "k"))

    await client.expect(met)
