"""Law 3: commands of one connection on one key take effect in the order sent."""

from __future__ import annotations

import random

import pytest
import trio
from fake_node import Fate
from pace import PACE
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve

from proxy.cluster.slots import key_slot
from proxy.resp import replies
from proxy.resp.encode import encode_command, integer

TRYAGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"


async def test_moved_is_followed_and_patches_its_slot_at_once(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key, other = cluster.keys_of(old, 2)
    old.view = new.view = cluster.nodes[2].view = cluster.nodes_text(old)
    cluster.give(key_slot(key), new)
    client = await served.connect()

    assert await client.call("SET", key, 1) == b"+OK\r\n"
    assert await client.call("SET", key, 2) == b"+OK\r\n"
    assert await client.call("SET", other, 3) == b"+OK\r\n"

    assert old.requests == [[b"SET", key, b"1"], [b"SET", other, b"3"]]
    assert new.requests == [[b"SET", key, b"1"], [b"SET", key, b"2"]]


async def test_a_moved_without_a_host_means_the_host_that_was_asked(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key = cluster.key_of(old)
    old.once(b"SET", answer=b"-MOVED %d :%d\r\n" % (key_slot(key), new.port))
    cluster.owners[key_slot(key)] = new
    client = await served.connect()

    assert await client.call("SET", key, 1) == b"+OK\r\n"

    assert new.requests == [[b"SET", key, b"1"]]


@pytest.mark.parametrize("is_migrating", [True, False], ids=["ask", "moved"])
async def test_redirects_are_followed_through_the_address_map(
    cluster: FakeCluster, *, is_migrating: bool
) -> None:
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    cluster.announced_host = b"10.9.8.7"
    async with serve(cluster, cluster={"address_map": {"10.9.8.7": "127.0.0.1"}}) as served:
        if is_migrating:
            cluster.begin_migration(key_slot(key), target)
        else:
            cluster.give(key_slot(key), target)
        client = await served.connect()

        assert await client.call("SET", key, 1) == b"+OK\r\n"

    assert target.requests == [[b"SET", key, b"1"]]


async def test_ask_sends_asking_directly_before_and_leaves_the_map_alone(
    cluster: FakeCluster, served: Served
) -> None:
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    cluster.begin_migration(key_slot(key), target)
    generation = served.engine.slot_map.generation
    client = await served.connect()
    noise = await served.connect()
    for each in cluster.keys_of(target, 20):
        await noise.ask("GET", each)

    assert await client.call("SET", key, 1) == b"+OK\r\n"
    assert await client.call("GET", key) == b"$1\r\n1\r\n"

    assert [args[0] for args in source.requests] == [b"SET", b"GET"]
    for command in (b"SET", b"GET"):
        assert [seen.is_asking for seen in target.seen(command, key)] == [True]
    assert len(target.seen(b"ASKING")) == 2
    assert served.engine.slot_map.generation == generation


async def test_pieces_refused_in_a_row_are_sent_again_in_the_order_asked(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key = cluster.key_of(old)
    client = await served.connect()
    held = old.hold(b"APPEND", key)
    await client.send(*[encode_command("APPEND", key, digit) for digit in "1234567"])
    await held.arrived()
    await old.wait_for(b"APPEND", count=7)

    cluster.give(key_slot(key), new)
    held.let_go()

    await client.expect(*[integer(length) for length in range(1, 8)])
    assert cluster.store[key] == b"1234567"


async def test_what_comes_after_a_refused_request_waits_for_it(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    pair = (b"{%b}1" % key, b"{%b}2" % key)
    node.once(b"MGET", *pair, answer=TRYAGAIN)
    again = node.hold(b"MGET", *pair)
    client = await served.connect()
    await client.ask("MGET", *pair)
    await again.arrived()

    await client.send(encode_command("SET", pair[0], 1), encode_command("GET", key))
    await all_is_quiet()
    assert [args[0] for args in node.requests] == [b"MGET", b"MGET"]
    again.let_go()

    await client.expect(b"*2\r\n$-1\r\n$-1\r\n", b"+OK\r\n", b"$-1\r\n")


async def test_a_request_that_a_later_write_of_its_slot_has_overtaken_fails_with_its_own_error(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    pair = (b"{%b}1" % key, b"{%b}2" % key)
    node.once(b"MGET", *pair, answer=TRYAGAIN)
    client = await served.connect()

    await client.send(encode_command("MGET", *pair), encode_command("SET", pair[0], 1))

    await client.expect(TRYAGAIN, b"+OK\r\n")
    assert [args[0] for args in node.requests] == [b"MGET", b"SET"]


async def test_a_read_that_only_later_reads_have_overtaken_is_sent_again(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    pair = (b"{%b}1" % key, b"{%b}2" % key)
    node.once(b"MGET", *pair, answer=TRYAGAIN)
    client = await served.connect()

    await client.send(encode_command("MGET", *pair), encode_command("GET", pair[0]))

    await client.expect(b"*2\r\n$-1\r\n$-1\r\n", b"$-1\r\n")
    assert [args[0] for args in node.requests] == [b"MGET", b"GET", b"MGET"]


async def test_a_write_that_a_later_read_of_its_slot_has_overtaken_fails_with_its_own_error(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    pair = (b"{%b}1" % key, b"{%b}2" % key)
    node.once(b"MSET", *pair, answer=TRYAGAIN)
    node.once(b"MSET", pair[0], answer=TRYAGAIN)
    client = await served.connect()

    await client.send(
        encode_command("MSET", pair[0], 1, pair[1], 2), encode_command("GET", pair[0])
    )

    await client.expect(TRYAGAIN, b"$-1\r\n")
    assert cluster.store == {}


@pytest.mark.parametrize("is_counted", [True, False], ids=["key", "numkeys"])
async def test_a_redirect_that_a_later_write_has_overtaken_is_not_shown(
    cluster: FakeCluster, served: Served, *, is_counted: bool
) -> None:
    node, other = cluster.nodes[:2]
    key = cluster.key_of(node)
    # Servers read 1.5 as one key, where they look for keys; the command itself then fails.
    numkeys = "1" if is_counted else "1.5"
    for each in cluster.nodes:
        each.once(b"LMPOP", answer=other.moved(key_slot(key)))
    client = await served.connect()

    await client.send(encode_command("LMPOP", numkeys, key, "LEFT"), encode_command("SET", key, 1))

    await client.expect(replies.overtaken_in_a_move(), b"+OK\r\n")


async def test_a_part_of_a_finished_split_counts_as_overtaking(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    far = cluster.key_of(cluster.nodes[1])
    node.once(b"SET", key, answer=TRYAGAIN)
    client = await served.connect()

    await client.send(encode_command("SET", key, "old"), encode_command("MSET", key, "new", far, 1))

    await client.expect(TRYAGAIN, b"+OK\r\n")
    assert cluster.store[key] == b"new"


async def test_a_refused_request_before_a_finished_split_is_sent_again(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    others = [cluster.key_of(each, prefix=b"other") for each in cluster.nodes]
    node.once(b"SET", key, answer=TRYAGAIN)
    client = await served.connect()

    await client.send(encode_command("SET", key, 1), encode_command("MGET", *others))

    await client.expect(b"+OK\r\n", b"*3\r\n", b"$-1\r\n" * 3)
    assert cluster.store[key] == b"1"


async def test_a_client_with_requests_in_flight_is_not_routed_by_a_newer_map(
    cluster: FakeCluster, served: Served
) -> None:
    slow, moved, other = cluster.nodes
    slow_key, other_key = cluster.key_of(slow), cluster.key_of(other)
    moved_key = cluster.key_of(moved)
    held = slow.hold(b"GET", slow_key)
    client, changer = await served.connect(), await served.connect()
    await client.ask("GET", slow_key)
    await held.arrived()
    generation = served.engine.slot_map.generation

    cluster.give(key_slot(moved_key), other)
    assert await changer.call("SET", moved_key, "x") == b"+OK\r\n"
    assert served.engine.slot_map.generation > generation
    await client.ask("SET", other_key, 1)
    await all_is_quiet()
    assert other.seen(b"SET", other_key) == []
    held.let_go()

    await client.expect(b"$-1\r\n", b"+OK\r\n")


async def test_other_clients_are_routed_by_the_newer_map_at_once(
    cluster: FakeCluster, served: Served
) -> None:
    slow, moved, other = cluster.nodes
    moved_key = cluster.key_of(moved)
    held = slow.hold(b"GET")
    waiting, client = await served.connect(), await served.connect()
    await waiting.ask("GET", cluster.key_of(slow))
    await held.arrived()

    cluster.give(key_slot(moved_key), other)

    assert await client.call("SET", moved_key, "x") == b"+OK\r\n"
    assert await client.call("GET", cluster.key_of(moved, prefix=b"n")) == b"$-1\r\n"
    held.let_go()
    await waiting.expect(b"$-1\r\n")


async def test_requests_on_their_way_to_two_targets_of_one_slot_go_one_after_the_other(
    cluster: FakeCluster, served: Served
) -> None:
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    slot = key_slot(key)
    source.once(b"APPEND", key, b"1", answer=target.ask(slot))
    source.once(b"APPEND", key, b"2", answer=TRYAGAIN)
    target.once(b"APPEND", key, b"1", answer=TRYAGAIN)
    client = await served.connect()

    await client.send(encode_command("APPEND", key, 1), encode_command("APPEND", key, 2))

    await client.expect(b":1\r\n", b":2\r\n")
    assert cluster.store[key] == b"12"


async def test_a_read_is_not_sent_again_after_a_write_that_may_have_run(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"GET", key)
    client = await served.connect()
    await client.send(encode_command("GET", key), encode_command("SET", key, "new"))
    seen = await held.arrived()
    await node.wait_for(b"SET")

    seen.connection.end(Fate.RESET)
    first, second = await client.read_replies(2)

    assert first.startswith(b"-IOERR ")
    assert second == replies.lost_write(str(node.address))
    assert len(node.seen(b"GET")) == 1


async def test_nodes_that_disagree_for_ever_are_asked_with_growing_pauses_until_the_deadline(
    cluster: FakeCluster,
) -> None:
    one, other = cluster.nodes[:2]
    key = cluster.key_of(one)
    one.always(b"GET", key, answer=other.moved(key_slot(key)))
    other.always(b"GET", key, answer=one.moved(key_slot(key)))
    async with serve(cluster, cluster={"request_timeout_s": 0.4 * PACE}) as served:
        client = await served.connect()

        reply = await client.call("GET", key)

    # The deadline may come between two tries or while one is on its way.
    possible = [replies.no_reply_to_read(str(node.address), 0.4 * PACE) for node in (one, other)]
    assert reply in [replies.never_sent(key_slot(key), 0.4 * PACE), *possible]
    assert 6 <= len(one.seen(b"GET")) + len(other.seen(b"GET")) <= 30


@pytest.mark.parametrize("seed", range(3))
async def test_sequence_numbers_of_every_key_hold_under_random_migrations(
    cluster: FakeCluster, served: Served, nursery: trio.Nursery, seed: int
) -> None:
    lots = random.Random(seed)
    tags = [cluster.key_of(node, prefix=b"tag") for node in cluster.nodes]
    refused = []

    async def migrate() -> None:
        while True:
            tag = lots.choice(tags)
            slot = key_slot(tag)
            target = lots.choice(
                [node for node in cluster.nodes if node is not cluster.owners[slot]]
            )
            cluster.begin_migration(slot, target)
            for number in range(6):
                await rounds_of_the_scheduler(lots.randrange(20))
                cluster.migrate_key(b"{%b}%d" % (tag, number))
            await rounds_of_the_scheduler(lots.randrange(20))
            cluster.give(slot, target)
            await rounds_of_the_scheduler(lots.randrange(30))

    async def write(number: int) -> None:
        client = await served.connect()
        wanted = {b"{%b}%d" % (tag, number): b"" for tag in tags}
        for burst in range(25):
            sent = []
            for place in range(lots.randrange(1, 12)):
                key, piece = lots.choice(list(wanted)), b"%d.%d," % (burst, place)
                await client.ask("APPEND", key, piece)
                sent.append((key, piece))
            for (key, piece), reply in zip(sent, await client.read_replies(len(sent)), strict=True):
                if reply.startswith(b":"):
                    wanted[key] += piece
                else:
                    # The slot came back to the node just after it was refused there, and a
                    # later piece ran.
                    assert reply == replies.overtaken_in_a_move()
                    refused.append(reply)
        assert {key: cluster.store.get(key, b"") for key in wanted} == wanted

    nursery.start_soon(migrate)
    async with trio.open_nursery() as writers:
        for number in range(6):
            writers.start_soon(write, number)
    nursery.cancel_scope.cancel()
    assert served.engine.refusals > 20
    assert len(refused) < 10


async def rounds_of_the_scheduler(count: int) -> None:
    """Let everybody else have so many turns."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_a_key_that_only_the_server_sees_is_followed_to_its_slot() -> None:
    """``EVAL s " 1" k``: the table reads no number of keys there, a server may."""
    async with FakeCluster().running() as cluster, serve(cluster) as served:
        home = cluster.nodes[1]
        key = cluster.keys_of(home, 1)[0]
        moved = b"-MOVED %d %b\r\n" % (key_slot(key), str(home.address).encode())
        for node in cluster.nodes:
            answer = b"+here\r\n" if node is home else moved
            node.always(b"EVAL", answer=answer)
        client = await served.connect()

        assert await client.call("EVAL", "s", " 1", key) == b"+here\r\n"
