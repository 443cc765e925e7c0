"""Channels, patterns and shard channels, before nodes that a test scripts."""

from __future__ import annotations

from broker import Broker, confirmation, listen, message, owner_of
from fake_node import Fate
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, until

from proxy.resp.encode import encode_command, error, integer

# ---- one subscription for all -----------------------------------------------------------


async def test_many_clients_of_a_channel_are_one_subscription(
    clean: Served, broker: Broker
) -> None:
    clients = [await clean.connect() for _ in range(20)]
    for client in clients:
        await listen(client, b"news")

    await broker.publish(b"news", b"hello")

    for client in clients:
        await client.expect(message(b"message", b"news", b"hello", resp=2))
    assert broker.count == 1
    assert broker.nodes_with(b"news") == [owner_of(broker.cluster, b"news")]


async def test_the_last_client_to_leave_ends_the_subscription(
    clean: Served, broker: Broker
) -> None:
    first, last = await clean.connect(), await clean.connect()
    await listen(first, b"news")
    await listen(last, b"news")

    await first.ask("UNSUBSCRIBE", "news")
    await first.expect(confirmation(b"unsubscribe", b"news", 0))
    await all_is_quiet()
    still = broker.count
    last.vanish()

    assert still == 1
    await until(lambda: broker.count == 0)


async def test_a_subscription_that_begins_again_at_once_is_there(
    clean: Served, broker: Broker
) -> None:
    client = await clean.connect()

    for _ in range(3):
        await client.send(
            encode_command("SUBSCRIBE", "news"),
            encode_command("UNSUBSCRIBE", "news"),
            encode_command("SUBSCRIBE", "news"),
        )
        await client.read_replies(3)
        await broker.publish(b"news", b"hello")
        await client.expect(message(b"message", b"news", b"hello", resp=2))


async def test_a_confirmation_comes_only_when_the_node_has_confirmed(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    owner = owner_of(cluster, b"news")
    held = owner.hold(b"SUBSCRIBE", b"news")
    owner.prefer_newest()

    await client.ask("SUBSCRIBE", "news")
    await held.arrived()
    await all_is_quiet()

    assert not client.has_replies
    held.answer(confirmation(b"subscribe", b"news", 1, resp=3))
    await client.expect(confirmation(b"subscribe", b"news", 1))


async def test_no_message_comes_before_the_confirmation(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    owner = owner_of(cluster, b"a")
    others = next(n for n in cluster.nodes if n is not owner)
    late = cluster.key_of(others)
    held = others.hold(b"SUBSCRIBE", late)
    others.prefer_newest()

    await client.ask("SUBSCRIBE", b"a", late)
    await held.arrived()
    await until(lambda: broker.nodes_with(b"a"))
    await broker.publish(b"a", b"too early")
    await all_is_quiet()
    held.answer(confirmation(b"subscribe", late, 1, resp=3) + message(b"message", late, b"in time"))

    await client.expect(
        confirmation(b"subscribe", b"a", 1),
        confirmation(b"subscribe", late, 2),
        message(b"message", late, b"in time", resp=2),
    )


async def test_a_refused_channel_is_the_clients_error_and_leaves_nothing(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    refusal = error(b"NOPERM No permissions to access a channel")
    for node in cluster.nodes:
        node.always(b"SUBSCRIBE", b"secret", answer=refusal)
        node.prefer_newest()

    reply = await client.call("SUBSCRIBE", "news", "secret", "more")

    assert reply == refusal
    await until(lambda: broker.count == 0)
    assert await client.call("PING") == b"+PONG\r\n"


async def test_a_refusal_does_not_shift_the_answers_behind_it(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    owner = cluster.nodes[0]
    names = cluster.keys_of(owner, 4)
    owner.always(b"SUBSCRIBE", names[1], answer=error(b"NOPERM no"))
    owner.prefer_newest()
    clients = [await clean.connect() for _ in names]
    held = owner.hold(b"SUBSCRIBE", names[0])
    owner.prefer_newest()

    for client, name in zip(clients, names, strict=True):
        await client.ask("SUBSCRIBE", name)
    publisher = await clean.connect()
    await held.arrived()
    await publisher.ask("PUBLISH", names[0], "x")
    await all_is_quiet()
    held.answer(await broker.answer(await held.arrived()))

    await clients[0].expect(confirmation(b"subscribe", names[0], 1))
    await clients[1].expect(b"-NOPERM no\r\n")
    await clients[2].expect(confirmation(b"subscribe", names[2], 1))
    await clients[3].expect(confirmation(b"subscribe", names[3], 1))
    assert await publisher.read_reply() == b":1\r\n"


async def test_two_thousand_channels_are_subscribed_at_once_and_left_at_once(
    clean: Served, broker: Broker
) -> None:
    client = await clean.connect()
    names = [b"news:%d" % number for number in range(2_000)]

    await client.ask("SUBSCRIBE", *names)
    replies = await client.read_replies(len(names))
    await broker.publish(names[-1], b"hello")

    assert replies == [
        confirmation(b"subscribe", name, count) for count, name in enumerate(names, start=1)
    ]
    await client.expect(message(b"message", names[-1], b"hello", resp=2))
    await client.ask("UNSUBSCRIBE")
    assert (await client.read_replies(len(names)))[-1].endswith(b":0\r\n")


# ---- who is sent what ---------------------------------------------------------------------


async def test_a_message_is_a_push_in_resp3_and_an_array_in_resp2(
    clean: Served, broker: Broker
) -> None:
    old, new = await clean.connect(), await clean.connect_resp3()
    await listen(old, b"news")
    await listen(new, b"news")
    await listen(old, b"n*", word=b"PSUBSCRIBE")

    await broker.publish(b"news", b"hello")

    await new.expect(message(b"message", b"news", b"hello"))
    got = await old.read_replies(2)
    assert sorted(got) == sorted(
        [
            message(b"message", b"news", b"hello", resp=2),
            message(b"pmessage", b"n*", b"news", b"hello", resp=2),
        ]
    )


async def test_a_subscriber_in_resp3_goes_on_with_its_work(clean: Served, broker: Broker) -> None:
    client = await clean.connect_resp3()
    await listen(client, b"news")

    assert await client.call("SET", "k", "v") == b"+OK\r\n"
    await broker.publish(b"news", b"hello")
    await client.expect(message(b"message", b"news", b"hello"))
    assert await client.call("GET", "k") == b"$1\r\nv\r\n"


async def test_keyspace_events_of_all_primaries_come_once_each(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"__key*__:*", word=b"PSUBSCRIBE")
    channel = b"__keyevent@0__:set"

    for number, node in enumerate(cluster.nodes):
        await broker.send_from([node], channel, b"key %d" % number)
    got = await client.read_replies(3)

    expected = [
        message(b"pmessage", b"__key*__:*", channel, b"key %d" % n, resp=2) for n in range(3)
    ]
    assert sorted(got) == expected


async def test_another_message_of_a_pattern_for_events_comes_once(
    clean: Served, broker: Broker
) -> None:
    client = await clean.connect()
    await listen(client, b"*", word=b"PSUBSCRIBE")

    await broker.publish(b"news", b"hello")

    await client.expect(message(b"pmessage", b"*", b"news", b"hello", resp=2))
    await all_is_quiet()
    assert not client.has_replies


# ---- PUBLISH --------------------------------------------------------------------------------


async def test_publish_counts_the_clients_and_not_the_hub(clean: Served, broker: Broker) -> None:
    listeners = [await clean.connect() for _ in range(3)]
    for client in listeners:
        await listen(client, b"news")
    await listen(listeners[0], b"n*", word=b"PSUBSCRIBE")
    publisher = await clean.connect()

    assert await publisher.call("PUBLISH", "news", "hello") == integer(4)
    broker.others = 2
    assert await publisher.call("PUBLISH", "news", "hello") == integer(6)
    assert await publisher.call("PUBLISH", "other", "hello") == integer(2)


async def test_publish_is_an_ordinary_request_while_nobody_listens(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client, publisher = await clean.connect(), await clean.connect()
    await listen(client, b"news")
    await client.ask("UNSUBSCRIBE")
    await client.read_reply()
    punts = clean.engine.punts

    assert await publisher.call("PUBLISH", "news", "hello") == integer(0)
    assert clean.engine.punts == punts
    assert len(owner_of(cluster, b"news").seen(b"PUBLISH")) == 1


async def test_a_publish_that_may_have_run_is_not_sent_again(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client, publisher = await clean.connect(), await clean.connect()
    await listen(client, b"news")
    owner = owner_of(cluster, b"news")
    owner.once(b"PUBLISH", answer=Fate.RESET)
    owner.prefer_newest()

    reply = await publisher.call("PUBLISH", "news", "hello")

    assert reply.startswith(b"-IOERR outcome unknown")
    assert len(owner.seen(b"PUBLISH")) == 1


async def test_a_publish_that_cannot_be_sent_waits_for_the_node(
    clean: Served, cluster: FakeCluster, broker: Broker
) -> None:
    client, publisher = await clean.connect(), await clean.connect()
    await listen(client, b"news")
    owner = owner_of(cluster, b"news")
    await owner.crash()

    await publisher.ask("PUBLISH", "news", "hello")
    await all_is_quiet()
    await cluster.restart(owner)

    assert (await publisher.read_reply()).startswith(b":")
