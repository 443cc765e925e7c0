"""Subscriptions whose nodes fail, move or freeze, and subscribers that do not read."""

from __future__ import annotations

import pytest
import trio
from broker import Broker, confirmation, listen, message, owner_of
from fake_node import FakeNode, Fate, Held
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp.encode import error, integer


@pytest.mark.parametrize("fate", list(Fate))
async def test_a_lost_connection_is_made_again_and_the_clients_do_not_notice(
    clean: Served, cluster: FakeCluster, broker: Broker, fate: Fate
) -> None:
    client = await clean.connect()
    await listen(client, b"news", b"more")
    await listen(client, b"n*", word=b"PSUBSCRIBE")
    await listen(client, b"shard", word=b"SSUBSCRIBE")

    for node in cluster.nodes:
        node.lose_connections(fate)
    await until(lambda: broker.count == 4)
    await broker.publish(b"more", b"hello")

    await client.expect(message(b"message", b"more", b"hello", resp=2))


async def test_a_shard_channel_follows_its_slot(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client, publisher = await clean.connect(), await clean.connect()
    await listen(client, b"shard", word=b"SSUBSCRIBE")
    slot = key_slot(b"shard")
    source = cluster.owners[slot]
    target = next(node for node in cluster.nodes if node is not source)
    _, _, connection = broker.subscribed.pop()

    cluster.give(slot, target)
    await connection.send(confirmation(b"sunsubscribe", b"shard", 0, resp=3))
    await until(lambda: broker.nodes_with(b"shard") == [target])

    assert await publisher.call("SPUBLISH", "shard", "hello") == integer(1)
    await client.expect(message(b"smessage", b"shard", b"hello", resp=2))


async def test_spublish_follows_a_slot_that_the_map_has_missed(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client, publisher = await clean.connect(), await clean.connect()
    await listen(client, b"news")
    slot = key_slot(b"shard")
    target = next(node for node in cluster.nodes if node is not cluster.owners[slot])
    cluster.give(slot, target)

    assert await publisher.call("SPUBLISH", "shard", "hello") == integer(0)
    assert len(target.seen(b"SPUBLISH")) == 1


async def test_a_channel_moves_to_the_node_that_takes_over(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    source = owner_of(cluster, b"news")
    target = next(node for node in cluster.nodes if node is not source)

    await source.crash()
    cluster.give_all(source, target)
    await until(lambda: broker.nodes_with(b"news") == [target])
    await broker.publish(b"news", b"hello")

    await client.expect(message(b"message", b"news", b"hello", resp=2))


async def test_a_frozen_node_is_left_when_another_takes_over(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    source = owner_of(cluster, b"news")
    target = next(node for node in cluster.nodes if node is not source)

    source.freeze()
    cluster.give_all(source, target)
    await until(lambda: target in broker.nodes_with(b"news"), within_s=10)
    await broker.send_from([target], b"news", b"hello")

    await client.expect(message(b"message", b"news", b"hello", resp=2))
    source.thaw()
    await until(lambda: broker.nodes_with(b"news") == [target])


def give_away(cluster: FakeCluster, channel: bytes) -> tuple[FakeNode, FakeNode, Held]:
    """Give a channel's slot to another node, which will be slow to take subscriptions there.

    Returns:
        The old owner, the new one, and its answer that waits.
    """
    slot = key_slot(channel)
    source = cluster.owners[slot]
    target = next(node for node in cluster.nodes if node is not source)
    held = target.hold(b"SUBSCRIBE", channel)
    target.prefer_newest()
    cluster.give(slot, target)
    return source, target, held


async def test_a_planned_move_loses_no_message_and_doubles_none(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    _, target, held = give_away(cluster, b"news")
    clean.proxy.watcher.suspect()
    await held.arrived()
    await broker.publish(b"news", b"1")
    await client.expect(message(b"message", b"news", b"1", resp=2))
    held.answer(await broker.answer(await held.arrived()))
    await until(lambda: target in broker.nodes_with(b"news"))
    for number in range(2, 20):
        await broker.publish(b"news", b"%d" % number)
        await trio.lowlevel.checkpoint()

    for number in range(2, 20):
        await client.expect(message(b"message", b"news", b"%d" % number, resp=2))
    await until(lambda: broker.nodes_with(b"news") == [target])


@pytest.mark.parametrize("knows_of_the_move", [False, True])
async def test_a_message_that_the_bus_brings_late_to_the_new_node_comes_once(
    clean: Served, cluster: FakeCluster, broker: Broker, knows_of_the_move: bool
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    source, target, held = give_away(cluster, b"news")
    if knows_of_the_move:
        clean.proxy.watcher.suspect()
        await held.arrived()
    await broker.send_from([source], b"news", b"1")
    await client.expect(message(b"message", b"news", b"1", resp=2))
    clean.proxy.watcher.suspect()
    held.answer(await broker.answer(await held.arrived()))
    await until(lambda: target in broker.nodes_with(b"news"))
    await all_is_quiet()
    await broker.send_from([target], b"news", b"1")
    await broker.publish(b"news", b"2")

    await client.expect(message(b"message", b"news", b"2", resp=2))
    await until(lambda: broker.nodes_with(b"news") == [target])


async def test_what_was_said_is_forgotten_when_a_channel_falls_silent(
    clean: Served, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    await broker.publish(b"news", b"1")
    await client.expect(message(b"message", b"news", b"1", resp=2))
    (topic,) = clean.proxy.hub.book.topics.values()

    assert topic.recent
    await until(lambda: topic.recent is None)


async def test_a_client_that_leaves_while_it_waits_leaves_nothing(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    owner = owner_of(cluster, b"news")
    held = owner.hold(b"SUBSCRIBE", b"news")
    owner.prefer_newest()
    await client.ask("SUBSCRIBE", "news")
    await held.arrived()

    client.vanish()
    await until(lambda: not clean.proxy.hub.book.topics)
    held.answer(confirmation(b"subscribe", b"news", 1, resp=3))

    await until(lambda: broker.count == 0)


async def test_a_client_that_leaves_in_the_moment_of_the_confirmation_leaves_nothing(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    for number in range(20):
        name = b"news:%d" % number
        client = await clean.connect()
        owner = owner_of(cluster, name)
        held = owner.hold(b"SUBSCRIBE", name)
        owner.prefer_newest()
        await client.ask("SUBSCRIBE", name)
        seen = await held.arrived()

        held.answer(await broker.answer(seen))
        client.vanish()


async def test_a_subscription_without_a_node_ends_with_an_error_in_time(
    cluster: FakeCluster,
) -> None:
    broker = Broker(cluster)
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        client = await served.connect()
        owner = owner_of(cluster, b"news")
        await owner.crash()

        reply = await client.call("SUBSCRIBE", "news")

        assert reply.startswith(b"-CLUSTERDOWN no primary of slot %d" % key_slot(b"news"))
        assert not served.proxy.hub.book.topics
        assert await client.call("GET", cluster.key_of(cluster.nodes[0], prefix=b"k")) is not None
    assert broker.count == 0


# ---- limits -----------------------------------------------------------------------------------


async def test_a_slow_subscriber_is_cut_and_the_others_are_not_delayed(
    cluster: FakeCluster,
) -> None:
    broker = Broker(cluster)
    limits = {"pubsub_output_limit_bytes": 1 << 20, "pubsub_output_soft_bytes": 1 << 19}
    async with serve(cluster, limits=limits) as served:
        slow = await served.connect(receive_buffer_bytes=4096)
        quick = await served.connect()
        for client in (slow, quick):
            await listen(client, b"news")
        payload = b"x" * 100_000

        for _ in range(200):
            await broker.publish(b"news", payload)
            await quick.expect(message(b"message", b"news", payload, resp=2))
            if served.engine.meter.limits["pubsub_output_limit_bytes"]:
                break

        assert served.engine.meter.limits["pubsub_output_limit_bytes"] == 1
        await until(lambda: len(served.engine.clients) == 1)


async def test_a_subscriber_over_the_soft_limit_is_cut_after_a_while(
    cluster: FakeCluster,
) -> None:
    broker = Broker(cluster)
    limits = {"pubsub_output_soft_bytes": 1, "pubsub_output_soft_s": 0.1}
    async with serve(cluster, limits=limits) as served:
        slow = await served.connect(receive_buffer_bytes=4096)
        await listen(slow, b"news")

        for _ in range(50):
            await broker.publish(b"news", b"x" * 100_000)

        await until(lambda: served.engine.meter.limits["pubsub_output_soft_bytes"] == 1)


async def test_a_client_may_not_subscribe_to_more_than_the_limit(cluster: FakeCluster) -> None:
    Broker(cluster)
    async with serve(cluster, limits={"client_subscription_limit": 2}) as served:
        client = await served.connect()
        await listen(client, b"a", b"b")

        assert await client.call("SUBSCRIBE", "b") == confirmation(b"subscribe", b"b", 2)
        reply = await client.call("PSUBSCRIBE", "c")

        assert reply == b"-ERR limit reached: limits.client_subscription_limit = 2\r\n"


async def test_a_late_reply_to_a_publish_is_not_taken_for_the_next_ones(
    cluster: FakeCluster,
) -> None:
    broker = Broker(cluster)
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        listener, client = await served.connect(), await served.connect()
        first, second = (cluster.key_of(node) for node in cluster.nodes[:2])
        await listen(listener, first)
        late = cluster.nodes[0].hold(b"PUBLISH", first)
        cluster.nodes[0].prefer_newest()
        held = cluster.nodes[1].hold(b"PUBLISH", second)
        cluster.nodes[1].prefer_newest()

        reply = await client.call("PUBLISH", first, "x")
        await client.ask("PUBLISH", second, "y")
        await held.arrived()
        late.answer(integer(77))
        await all_is_quiet()
        early = client.has_replies
        held.answer(integer(5))

        assert reply.startswith(b"-IOERR outcome unknown: the command may or may not have run")
        assert not early
        assert await client.read_reply() == integer(5)
    assert broker.count == 0


async def test_a_node_that_is_busy_when_a_connection_is_made_again_is_asked_again(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news")
    owner = owner_of(cluster, b"news")
    owner.once(b"SUBSCRIBE", answer=error(b"BUSY Redis is busy running a script."), times=2)
    owner.prefer_newest()

    owner.lose_connections(Fate.RESET)
    await owner.wait_for(b"SUBSCRIBE", count=4)
    await until(lambda: broker.count == 1)
    await broker.publish(b"news", b"hello")

    await client.expect(message(b"message", b"news", b"hello", resp=2))


async def test_a_subscriber_that_has_lost_the_right_is_closed(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"news", b"more")
    owner = owner_of(cluster, b"news")
    owner.always(b"SUBSCRIBE", b"news", answer=error(b"NOPERM No permissions to access a channel"))
    owner.prefer_newest()

    owner.lose_connections(Fate.RESET)

    await client.expect_end()
