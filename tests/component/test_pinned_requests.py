"""Pinned keys on the hot road: nodes get stored names, order and counters stay as they are."""

from __future__ import annotations

from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve

from proxy.cluster.slots import key_slot
from proxy.resp.encode import array, bulk, encode_command

PIN = [{"prefix": "bull:", "tag": "bull"}]
OK = b"+OK\r\n"


async def test_a_pinned_key_reaches_the_node_of_its_tag_by_its_stored_name(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()

        assert await client.call("SET", "bull:1", "bull:value") == OK
        assert await client.call("GET", "bull:1") == b"$10\r\nbull:value\r\n"

    owner = cluster.owners[key_slot(b"bull")]
    assert owner.requests == [
        [b"SET", b"{bull}bull:1", b"bull:value"],
        [b"GET", b"{bull}bull:1"],
    ]
    assert served.engine.punts == 0


async def test_pinned_and_other_keys_are_split_and_answered_in_order(cluster: FakeCluster) -> None:
    other = cluster.key_of(cluster.nodes[0])
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()

        await client.send(
            encode_command("MSET", "bull:1", "x", other, "y", "bull:2", "z"),
            encode_command("MGET", other, "bull:2", "none", "bull:1"),
            encode_command("DEL", "bull:1", "bull:2"),
            encode_command("EXISTS", "bull:1", other),
        )

        await client.expect(OK)
        await client.expect(b"*4\r\n$1\r\ny\r\n$1\r\nz\r\n$-1\r\n$1\r\nx\r\n:2\r\n:1\r\n")
    assert cluster.store == {other: b"y"}


async def test_a_thousand_pipelined_requests_cut_anywhere_are_stored_once_each(
    cluster: FakeCluster,
) -> None:
    count = 1000
    async with serve(cluster, pin=PIN, limits={"client_in_flight_limit": 4}) as served:
        client = await served.connect()
        stream = b"".join(encode_command("APPEND", f"bull:{n}", "x" * n) for n in range(count))

        for start in range(0, len(stream), 4099):
            await client.send(stream[start : start + 4099])

        await client.expect(*[b":%d\r\n" % n for n in range(count)])
    assert cluster.store == {b"{bull}bull:%d" % n: b"x" * n for n in range(count)}


async def test_a_pinned_request_follows_its_slot_when_that_moves(cluster: FakeCluster) -> None:
    slot = key_slot(b"bull")
    target = next(node for node in cluster.nodes if node is not cluster.owners[slot])
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()
        await client.call("SET", "bull:1", "x")

        cluster.give(slot, target)

        assert await client.call("GET", "bull:1") == b"$1\r\nx\r\n"
    assert target.requests[-1] == [b"GET", b"{bull}bull:1"]


async def test_a_reply_that_names_a_key_waits_for_its_turn_and_shows_it(
    cluster: FakeCluster,
) -> None:
    owner = cluster.owners[key_slot(b"bull")]
    owner.always(b"LMPOP", answer=array([bulk(b"{bull}bull:q"), array([bulk(b"{bull}bull:v")])]))
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()

        await client.send(
            encode_command("SET", "bull:a", "1"),
            encode_command("LMPOP", "1", "bull:q", "LEFT"),
            encode_command("GET", "bull:a"),
        )

        await client.expect(
            OK, b"*2\r\n$6\r\nbull:q\r\n*1\r\n$12\r\n{bull}bull:v\r\n", b"$1\r\n1\r\n"
        )
    assert owner.seen(b"LMPOP")[0].args == [b"LMPOP", b"1", b"{bull}bull:q", b"LEFT"]


async def test_an_error_tells_of_a_key_by_its_shown_name(cluster: FakeCluster) -> None:
    owner = cluster.owners[key_slot(b"bull")]
    owner.always(
        b"XPENDING", answer=b"-NOGROUP No such key '{bull}bull:s' or consumer group 'g'\r\n"
    )
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()

        reply = await client.call("XPENDING", "bull:s", "g")

    assert reply == b"-NOGROUP No such key 'bull:s' or consumer group 'g'\r\n"


async def test_a_client_that_leaves_with_a_request_open_leaves_nothing_behind(
    cluster: FakeCluster,
) -> None:
    owner = cluster.owners[key_slot(b"bull")]
    async with serve(cluster, pin=PIN) as served:
        client = await served.connect()
        held = owner.hold(b"LMPOP")
        await client.ask("LMPOP", "1", "bull:q", "LEFT")
        await held.arrived()

        client.vanish()

        await served.wait_until_empty()
        held.answer(b"*-1\r\n")
        await all_is_quiet()


async def test_without_pins_no_request_is_looked_at_for_them(
    cluster: FakeCluster, served: Served
) -> None:
    client = await served.connect()

    await client.call("SET", "bull:1", "x")

    assert cluster.store == {b"bull:1": b"x"}
    assert served.engine.punts == 0
