"""What the data plane counts: by command family, by node, errors, refusals, splits."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from fake_node import FakeNode, Fate
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.dataplane.hooks import Punt
from proxy.dataplane.meter import ERROR_CODES, FAMILIES, PUNTS, REFUSALS, Meter
from proxy.resp import replies
from proxy.resp.encode import encode_command, error

KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20


def used(counts: Mapping[str, int]) -> dict[str, int]:
    """Return what has been counted at all."""
    return {name: count for name, count in counts.items() if count}


def answered(meter: Meter) -> dict[str, tuple[int, int, int]]:
    """Return (reads, writes, errors) of the families that clients have used."""
    return {
        name: (family.reads, family.writes, family.errors)
        for name, family in meter.families.items()
        if family.requests
    }


def number_of(served: Served, node: FakeNode) -> int:
    """Return the number that the data plane knows a node by."""
    return served.proxy.routes.number(node.address)


async def test_requests_are_counted_by_family(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    key, other = cluster.key_of(node), cluster.key_of(cluster.nodes[1])
    node.once(b"LPUSH", answer=error(b"WRONGTYPE Operation against a key"))
    client = await served.connect()

    await client.call("SET", key, 1)
    await client.call("GET", key)
    await client.call("MGET", key, other)
    await client.call("DEL", key, other)
    await client.call("LPUSH", key, 1)
    await client.call("PING")
    await client.call("DBSIZE")
    await client.call("NOSUCH")
    await client.call("GET")
    await client.call("SELECT", 99)

    meter = served.engine.meter
    assert answered(meter) == {
        "string": (3, 1, 1),
        "keyspace": (1, 1, 0),
        "list": (0, 1, 1),
        "connection": (2, 0, 1),
        "other": (1, 0, 1),
    }
    assert tuple(meter.families) == FAMILIES
    assert meter.latency.count == 10
    assert used(meter.errors) == {"WRONGTYPE": 1, "ERR": 3}
    assert used(meter.punts) == {"road": 3, "unknown": 1, "arity": 1}
    assert meter.totals["requests"] == 10
    assert meter.totals["punts"] == 5


async def test_a_transaction_counts_each_of_its_commands(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    client = await served.connect()

    await client.call("MULTI")
    await client.call("SET", key, 1)
    await client.call("DISCARD")

    assert answered(served.engine.meter) == {"transaction": (2, 0, 0), "string": (0, 1, 0)}
    assert used(served.engine.meter.punts) == {"road": 1, "session": 2}


async def test_the_proxys_own_requests_are_nobodys(cluster: FakeCluster, served: Served) -> None:
    lane = served.proxy.pools.lane_for(2)
    done: list[bytes] = []
    key = cluster.key_of(cluster.nodes[0])
    served.engine.ask(lane, encode_command("GET", key), done.append, slot=key_slot(key))
    await until(lambda: done)
    done.clear()
    cluster.nodes[0].once(b"GET", answer=error(b"WRONGTYPE no"))
    before = served.engine.meter.nodes

    served.engine.ask(lane, encode_command("GET", key), done.append, slot=key_slot(key))
    await until(lambda: done)

    number = number_of(served, cluster.nodes[0])
    assert not answered(served.engine.meter)
    assert not used(served.engine.meter.errors)
    node = served.engine.meter.nodes[number]
    assert node.latency.count == before[number].latency.count + 1
    assert node.errors == before[number].errors + 1


async def test_a_node_has_its_own_counts(cluster: FakeCluster, served: Served) -> None:
    one, two = cluster.nodes[:2]
    here, there = cluster.key_of(one), cluster.key_of(two)
    client = await served.connect()
    await client.call("GET", here)
    await client.call("GET", there)
    before = served.engine.meter.nodes[number_of(served, one)]
    held = one.hold(b"GET", here)

    await client.ask("GET", here)
    await held.arrived()
    ends = time.monotonic() + 0.02
    await until(lambda: time.monotonic() > ends)
    waiting = served.engine.meter.nodes[number_of(served, one)]
    held.let_go()
    await client.read_reply()
    await client.call("GET", there)

    after = served.engine.meter.nodes[number_of(served, one)]
    assert (waiting.connections, waiting.sent, waiting.unsent) == (1, 1, 0)
    assert (after.sent, after.unsent, after.unsent_bytes) == (0, 0, 0)
    assert after.requests - before.requests == 1
    assert after.bytes_out - before.bytes_out == len(encode_command("GET", here))
    assert after.bytes_in - before.bytes_in == len(b"$-1\r\n")
    spent, whole = after.backend - before.backend, after.latency - before.latency
    assert spent.count == whole.count == 1
    assert 0.015 < spent.sum <= whole.sum < 5
    assert after.latency.count == 2


async def test_a_nodes_number_begins_anew_for_the_next_node(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    client = await served.connect()
    await client.call("GET", cluster.key_of(node))
    number = number_of(served, node)
    assert served.engine.meter.nodes[number].latency.count == 1

    served.engine.meter.forget_node(number)
    served.engine.meter.forget_node(60_000)

    assert number not in served.engine.meter.nodes
    await client.call("GET", cluster.key_of(node))
    assert served.engine.meter.nodes[number].latency.count == 1


async def test_a_node_that_left_the_map_is_forgotten(cluster: FakeCluster, served: Served) -> None:
    gone, heir = cluster.nodes[0], cluster.nodes[1]
    key = cluster.key_of(gone)
    client = await served.connect()
    await client.call("GET", key)
    number = number_of(served, gone)

    cluster.give_all(gone, heir)
    cluster.nodes.remove(gone)
    await client.call("GET", key)
    await until(lambda: not served.proxy.routes.knows(gone.address))

    assert number not in served.engine.meter.nodes


async def test_refusals_are_counted_by_what_the_node_said(
    cluster: FakeCluster, served: Served
) -> None:
    node, target = cluster.nodes[:2]
    moved, asked, loading, tried = cluster.keys_of(node, 4)
    cluster.give(key_slot(moved), target)
    cluster.begin_migration(key_slot(asked), target)
    node.once(b"GET", loading, answer=error(b"LOADING Redis is loading the dataset in memory"))
    node.once(b"GET", tried, answer=error(b"TRYAGAIN Multiple keys request"))
    client = await served.connect()

    for key in (moved, asked, loading, tried):
        await client.call("GET", key)

    meter = served.engine.meter
    assert used(meter.refusals) == {"moved": 1, "ask": 1, "loading": 1, "tryagain": 1}
    assert tuple(meter.refusals) == REFUSALS
    assert meter.totals["refusals"] == meter.totals["resends"] == 4
    assert meter.nodes[number_of(served, node)].refusals == 4
    assert not used(meter.errors)


@pytest.mark.parametrize("kind", ["masterdown", "readonly", "clusterdown"])
async def test_a_refusal_of_any_kind_has_its_own_count(
    cluster: FakeCluster, served: Served, kind: str
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.once(b"GET", answer=error(kind.upper().encode() + b" for some reason"))
    client = await served.connect()

    await client.call("GET", key)

    assert used(served.engine.meter.refusals) == {kind: 1}


async def test_a_missing_script_is_a_refusal(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.once(b"EVALSHA", answer=b"-NOSCRIPT No matching script. Please use EVAL.\r\n")
    client = await served.connect()

    reply = await client.call("EVALSHA", "0" * 40, 1, key)

    assert reply.startswith(b"-NOSCRIPT")
    assert used(served.engine.meter.refusals) == {"noscript": 1}
    assert used(served.engine.meter.errors) == {"NOSCRIPT": 1}


async def test_the_width_of_splits(cluster: FakeCluster, served: Served) -> None:
    keys = cluster.keys_of(cluster.nodes[0], 9)
    client = await served.connect()

    for count in (1, 2, 3, 4, 5, 9):
        await client.call("MGET", *keys[:count])

    widths = served.engine.meter.widths
    assert widths.cumulated()[:4] == ((2, 1), (4, 3), (8, 4), (16, 5))
    assert widths.sum == 2 + 3 + 4 + 5 + 9 == served.engine.meter.totals["parts"]
    assert widths.count == served.engine.meter.totals["splits"] == 5


async def test_a_failed_split_is_one_error(cluster: FakeCluster, served: Served) -> None:
    a, b = [cluster.key_of(node) for node in cluster.nodes[:2]]
    cluster.nodes[1].once(b"MGET", answer=error(b"OOM command not allowed"))
    client = await served.connect()

    assert (await client.call("MGET", a, b))[:1] == b"-"

    assert sum(served.engine.meter.errors.values()) == 1
    assert answered(served.engine.meter) == {"string": (1, 0, 1)}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"-NOSUCHCODE of ours\r\n", "other"),
        (b"-NOPERM\r\n", "NOPERM"),
        (b"-\r\n", "other"),
        # What is a refusal makes the proxy ask again.
        *[
            (error(code.encode() + b" x"), code)
            for code in ERROR_CODES
            if code.lower() not in REFUSALS
        ],
    ],
)
async def test_errors_are_counted_by_their_first_word(
    cluster: FakeCluster, served: Served, frame: bytes, code: str
) -> None:
    node = cluster.nodes[0]
    node.once(b"GET", answer=frame)
    client = await served.connect()

    assert await client.call("GET", cluster.key_of(node)) == frame

    assert used(served.engine.meter.errors) == {code: 1}


async def test_bulk_errors_are_errors_too(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    node.once(b"GET", answer=b"!11\r\nNOPERM nono\r\n")
    client = await served.connect_resp3()

    await client.call("GET", cluster.key_of(node))

    assert used(served.engine.meter.errors) == {"NOPERM": 1}


async def test_a_lost_connection_is_counted(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await served.connect()
    await client.call("GET", key)
    node.once(b"INCR", answer=Fate.RESET)

    assert await client.call("INCR", key) == replies.lost_write(str(node.address))

    meter = served.engine.meter
    assert meter.nodes[number_of(served, node)].lost == 1
    assert meter.totals["lost_pieces"] == meter.totals["outcome_unknown"] == 1
    assert used(meter.errors) == {"IOERR": 1}


async def test_late_replies_and_pieces_of_who_left(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    async with serve(cluster, cluster={"request_timeout_s": 0.1}) as served:
        held = node.hold(b"GET", key)
        client, leaver = await served.connect(), await served.connect()

        await client.call("GET", key)
        held.let_go()
        await until(lambda: served.engine.meter.totals["late_replies"] == 1)
        held = node.hold(b"STRLEN")
        await leaver.ask("STRLEN", key)
        await held.arrived()
        leaver.vanish()
        await until(lambda: len(served.engine.clients) == 1)
        held.let_go()

        totals = served.engine.meter.totals
        assert (totals["expired"], totals["left_pieces"]) == (1, 1)
        assert used(served.engine.meter.limits) == {"request_timeout_s": 1}


async def test_bytes_of_clients(cluster: FakeCluster, served: Served) -> None:
    key = cluster.key_of(cluster.nodes[0])
    client = await served.connect()

    await client.call("GET", key)

    totals = served.engine.meter.totals
    assert totals["client_bytes_in"] == len(encode_command("GET", key))
    assert totals["client_bytes_out"] == len(b"$-1\r\n")
    assert totals["accepted"] == 1
    assert totals["ticks"] > 0
    assert totals["protocol_errors"] == totals["pushes_dropped"] == totals["refused_clients"] == 0


async def test_what_there_is_just_now(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    first, second = cluster.key_of(node), cluster.key_of(cluster.nodes[1])
    held = node.hold(b"GET")
    client, blocked = await served.connect(), await served.connect()

    await client.send(encode_command("GET", first), encode_command("GET", second), b"*2\r\n$3\r\nG")
    await held.arrived()
    popping = cluster.owners[key_slot(b"list")].hold(b"BLPOP")
    await blocked.ask("BLPOP", "list", 0)
    await popping.arrived()
    await until(lambda: served.engine.meter.levels["stopped_clients"] == 1)
    await all_is_quiet()

    levels = served.engine.meter.levels
    assert (levels["clients"], levels["in_flight"]) == (2, 2)
    assert levels["client_input_bytes"] == len(b"*2\r\n$3\r\nG")
    assert levels["client_kept_bytes"] == len(b"$-1\r\n")
    assert levels["client_output_bytes"] == levels["node_unsent_bytes"] == 0
    lane = served.proxy.pools.lane_for(2)
    assert lane in served.engine.meter.lanes
    assert lane.in_flight == 1
    assert lane.connections == 3
    assert lane.requests >= 2
    held.let_go()
    await client.read_replies(2)


async def test_ticks_and_turns_take_time(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()
    before = served.engine.meter.tick_s.count

    for _ in range(20):
        await client.send(encode_command("GET", "k") * 200)
        await client.read_replies(200)

    ticks, turns = served.engine.meter.tick_s, served.engine.meter.turn_s
    assert ticks.count > before
    assert 0 < ticks.mean < 1
    assert turns.count > 0
    assert 0 < turns.mean < 1


async def test_dropped_pushes_are_in_the_totals(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    client = await served.connect_resp3()
    node.once(b"GET", answer=b">2\r\n$4\r\nnews\r\n$1\r\nx\r\n$-1\r\n")

    await client.call("GET", cluster.key_of(node))

    assert served.engine.meter.totals["pushes_dropped"] == served.engine.pushes_dropped == 1


def test_every_reason_to_punt_has_a_name() -> None:
    assert [Punt[name.upper()] for name in PUNTS] == list(Punt)
