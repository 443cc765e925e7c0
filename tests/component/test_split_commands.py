"""Law 5, and splitting by slot: a failed part is an error, never a nil, a smaller sum or an OK."""

from __future__ import annotations

import pytest
from fake_node import Fate
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies
from proxy.resp.encode import encode_command
from proxy.resp.replies_across import cross_slot_by_setting

WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
SPLITTABLE = {
    "mget": (b"MGET", False),
    "del": (b"DEL", True),
    "unlink": (b"UNLINK", True),
    "exists": (b"EXISTS", False),
    "touch": (b"TOUCH", False),
}
SPLITTABLE_CASES = pytest.mark.parametrize(
    ("name", "is_write"), SPLITTABLE.values(), ids=SPLITTABLE.keys()
)


def key_of_each(cluster: FakeCluster) -> list[bytes]:
    return [cluster.key_of(node) for node in cluster.nodes]


async def test_parts_keep_the_order_of_their_keys_and_repeated_keys(
    cluster: FakeCluster, served: Served
) -> None:
    a, b, c = key_of_each(cluster)
    client = await served.connect()

    await client.send(
        encode_command("MSET", a, 1, b, 2, a, 3, c, 4, a, 5),
        encode_command("MGET", a, b, a, "none", c, b),
        encode_command("EXISTS", a, a, b, "none"),
        encode_command("DEL", a, b, a, c),
    )

    await client.expect(b"+OK\r\n")
    await client.expect(b"*6\r\n$1\r\n5\r\n$1\r\n2\r\n$1\r\n5\r\n$-1\r\n$1\r\n4\r\n$1\r\n2\r\n")
    await client.expect(b":3\r\n:3\r\n")
    assert cluster.nodes[0].seen(b"MSET")[0].args == [b"MSET", a, b"1", a, b"3", a, b"5"]


async def test_keys_of_two_slots_of_one_node_are_two_parts(
    cluster: FakeCluster, served: Served
) -> None:
    keys = cluster.keys_of(cluster.nodes[0], 2)
    client = await served.connect()

    assert await client.call("MGET", *keys) == b"*2\r\n$-1\r\n$-1\r\n"

    assert cluster.nodes[0].requests == [[b"MGET", key] for key in keys]


async def test_a_thousand_keys_come_back_in_their_places(
    cluster: FakeCluster, served: Served
) -> None:
    keys = [b"key:%d" % number for number in range(1000)]
    client = await served.connect()

    await client.ask("MSET", *[word for key in keys for word in (key, key)])
    await client.ask("MGET", *keys)

    await client.expect(b"+OK\r\n*1000\r\n", *[b"$%d\r\n%b\r\n" % (len(key), key) for key in keys])


@SPLITTABLE_CASES
async def test_a_failed_part_is_an_error_with_its_code_and_how_many_failed(
    cluster: FakeCluster, served: Served, name: bytes, is_write: bool
) -> None:
    keys = key_of_each(cluster)
    cluster.nodes[1].once(name, answer=WRONGTYPE)
    client = await served.connect()

    reply = await client.call(name, *keys)

    assert reply == replies.parts_failed(
        name.lower(), failed=1, parts=3, first_error=WRONGTYPE, is_write=is_write
    )
    assert reply.startswith(b"-WRONGTYPE 1 of 3 parts of '%b' failed" % name.lower())
    assert not (await client.call(name, *keys)).startswith(b"-")


async def test_all_parts_failed_is_an_error_that_counts_them(
    cluster: FakeCluster, served: Served
) -> None:
    keys = key_of_each(cluster)
    for node in cluster.nodes:
        node.once(b"MSET", answer=b"-OOM command not allowed\r\n")
    client = await served.connect()

    reply = await client.call("MSET", *[word for key in keys for word in (key, key)])

    assert reply == b"-OOM 3 of 3 parts of 'mset' failed: command not allowed\r\n"


@pytest.mark.parametrize("kind", ["moved", "ask", "tryagain"])
async def test_a_redirected_part_is_sent_again_alone(
    cluster: FakeCluster, served: Served, kind: str
) -> None:
    keys = key_of_each(cluster)
    slot = key_slot(keys[0])
    source, target = cluster.nodes[0], cluster.nodes[2]
    if kind == "moved":
        cluster.give(slot, target)
    elif kind == "ask":
        cluster.begin_migration(slot, target)
    else:
        source.once(b"MSET", answer=b"-TRYAGAIN Multiple keys request\r\n")
    client = await served.connect()

    await client.ask("MSET", keys[0], "a", keys[1], "b", keys[2], "c")

    await client.expect(b"+OK\r\n")
    assert [len(node.seen(b"MSET")) for node in cluster.nodes] == {
        "moved": [1, 1, 2],
        "ask": [1, 1, 2],
        "tryagain": [2, 1, 1],
    }[kind]
    assert cluster.store == dict(zip(keys, [b"a", b"b", b"c"], strict=True))


async def test_a_part_that_is_a_read_survives_a_lost_connection(
    cluster: FakeCluster, served: Served
) -> None:
    keys = key_of_each(cluster)
    cluster.nodes[2].once(b"MGET", answer=Fate.RESET)
    client = await served.connect()

    assert await client.call("MGET", *keys) == b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"

    assert [len(node.seen(b"MGET")) for node in cluster.nodes] == [1, 1, 2]


async def test_a_part_that_is_a_write_on_a_lost_connection_has_an_unknown_outcome(
    cluster: FakeCluster, served: Served
) -> None:
    keys = key_of_each(cluster)
    node = cluster.nodes[1]
    node.once(b"DEL", answer=Fate.RESET)
    client = await served.connect()

    reply = await client.call("DEL", *keys)

    assert reply == replies.parts_failed(
        b"del",
        failed=1,
        parts=3,
        first_error=replies.lost_write(str(node.address)),
        is_write=True,
    )
    assert b"outcome unknown" in reply
    assert [len(each.seen(b"DEL")) for each in cluster.nodes] == [1, 1, 1]


async def test_an_expired_part_fails_the_command_and_its_late_reply_is_dropped(
    cluster: FakeCluster,
) -> None:
    keys = key_of_each(cluster)
    node = cluster.nodes[2]
    held = node.hold(b"MSET")
    async with serve(cluster, cluster={"request_timeout_s": 0.5}) as served:
        client = await served.connect()

        reply = await client.call("MSET", *[word for key in keys for word in (key, key)])
        held.let_go()

        assert reply == replies.parts_failed(
            b"mset",
            failed=1,
            parts=3,
            first_error=replies.no_reply_to_write(str(node.address), 0.5),
            is_write=True,
        )
        await client.ask("MGET", *keys)
        await client.expect(b"*3\r\n", *[b"$%d\r\n%b\r\n" % (len(key), key) for key in keys])


@pytest.mark.parametrize("strange", [b"+OK\r\n", b"$1\r\n5\r\n", b":x\r\n", b"*0\r\n", b"_\r\n"])
async def test_replies_that_do_not_fit_together_are_an_error(
    cluster: FakeCluster, served: Served, strange: bytes
) -> None:
    keys = key_of_each(cluster)
    cluster.nodes[1].once(b"EXISTS", answer=strange)
    client = await served.connect()

    assert await client.call("EXISTS", *keys) == replies.replies_differ(b"exists")


@pytest.mark.parametrize(
    "strange", [b"*0\r\n", b"*-1\r\n", b"*2\r\n:1\r\n:2\r\n", b":1\r\n", b"_\r\n"]
)
async def test_an_array_with_too_few_or_too_many_values_is_an_error(
    cluster: FakeCluster, served: Served, strange: bytes
) -> None:
    keys = key_of_each(cluster)
    cluster.nodes[1].once(b"MGET", answer=strange)
    client = await served.connect()

    assert await client.call("MGET", *keys) == replies.replies_differ(b"mget")


async def test_a_command_that_cannot_be_split_names_itself_and_a_hash_tag(
    cluster: FakeCluster, served: Served
) -> None:
    a, b, _ = key_of_each(cluster)
    client = await served.connect()

    for name, *args in [(b"RENAME", a, b), (b"MSETNX", a, a, b, b), (b"SINTERSTORE", a, a, b)]:
        refusal = cross_slot_by_setting(name.lower(), needed=b"all")
        assert await client.call(name, *args) == refusal
    assert await client.call(b"EVAL", b"x", 2, a, b) == replies.cross_slot(b"eval")

    assert all(node.requests == [] for node in cluster.nodes)


async def test_a_cut_short_group_is_the_clients_error(cluster: FakeCluster, served: Served) -> None:
    a, b, _ = key_of_each(cluster)
    client = await served.connect()

    assert await client.call("MSET", a, 1, b) == replies.wrong_arity(b"mset")


async def test_a_client_may_leave_while_its_finished_split_waits_for_an_earlier_reply(
    cluster: FakeCluster, served: Served
) -> None:
    first = cluster.key_of(cluster.nodes[0])
    held = cluster.nodes[0].hold(b"GET", first)
    client, other = await served.connect(), await served.connect()
    rest = [cluster.key_of(node) for node in cluster.nodes[1:]]
    await client.send(encode_command("GET", first), encode_command("MGET", *rest))
    await held.arrived()
    await until(lambda: served.engine.in_flight == 1)

    client.vanish()
    await until(lambda: len(served.engine.clients) == 1)
    held.let_go()

    assert await other.call("MGET", first, *rest) == b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"


async def test_a_client_may_leave_while_parts_are_in_flight(
    cluster: FakeCluster, served: Served
) -> None:
    keys = key_of_each(cluster)
    held = cluster.nodes[0].hold(b"DEL")
    client, other = await served.connect(), await served.connect()
    await client.ask("DEL", *keys)
    await held.arrived()
    await all_is_quiet()

    client.vanish()
    await until(lambda: served.engine.in_flight == 0)
    held.let_go()

    assert await other.call("GET", keys[0]) == b"$-1\r\n"
