"""Requests looked at closely: what a sample says, and what stays hidden."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator

import pytest
from fake_node import FakeNode, Fate
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.commands.secrets import HIDDEN
from proxy.dataplane.engine import Engine
from proxy.dataplane.sample import Sample
from proxy.dataplane.tables import SlotMap
from proxy.resp import replies
from proxy.resp.encode import encode_command, error

KIBIBYTE = 1 << 10


@pytest.fixture
def samples(served: Served) -> Iterator[list[Sample]]:
    """Have every request sampled; return the samples, of answered requests first."""
    samples: list[Sample] = []
    served.engine.on_sample = samples.append
    served.engine.sample_every = 1
    yield samples
    assert all(sample.is_sampled for sample in samples)


def number_of(served: Served, node: FakeNode) -> int:
    """Return the number that the data plane knows a node by."""
    return served.proxy.routes.number(node.address)


def kinds(sample: Sample) -> list[str]:
    """Return what happened to a request, in order."""
    return [event.kind for event in sample.events]


async def test_a_sample_of_a_forwarded_request(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    node = cluster.nodes[1]
    key = cluster.key_of(node)
    cluster.store[key] = b"value"
    client = await served.connect()

    await client.call("GeT", key)

    (sample,) = samples
    (seen,) = served.engine.clients.values()
    assert sample.client is seen
    assert sample.client_id == seen.id
    assert (sample.command, sample.family, sample.is_write) == (b"get", "string", False)
    assert (sample.road, sample.argument_count, sample.part_count) == ("forward", 2, 1)
    assert (sample.arguments, sample.keys) == ((b"GeT", key), (key,))
    assert sample.frame_bytes == len(encode_command("GeT", key))
    assert (sample.reply_bytes, sample.error) == (len(b"$5\r\nvalue\r\n"), b"")
    assert sample.is_answered
    (part,) = sample.parts
    assert (part.slot, part.node) == (key_slot(key), number_of(served, node))
    assert part.sent_s is not None
    assert part.answered_s is not None
    assert sample.began_s <= part.sent_s <= part.answered_s
    assert part.answered_s == sample.began_s + sample.duration_s
    assert kinds(sample) == ["sent", "answered"]
    assert {(event.node, event.slot) for event in sample.events} == {(part.node, part.slot)}
    assert abs(sample.began_unix_s - time.time()) < 60


async def test_a_sample_of_a_split_request_has_its_parts_and_the_clients_arguments(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    a, b, c = [cluster.key_of(node) for node in cluster.nodes]
    client = await served.connect()
    args = (b"MSET", a, b"1", b, b"2", a, b"3", c, b"4")

    await client.call(*args)

    (sample,) = samples
    assert (sample.road, sample.part_count) == ("split", 3)
    assert sample.arguments == args
    assert sample.keys == (a, b, a, c)
    assert sample.frame_bytes == len(encode_command(*args))
    assert [(part.slot, part.node) for part in sample.parts] == [
        (key_slot(key), number_of(served, node))
        for key, node in zip((a, b, c), cluster.nodes, strict=True)
    ]
    assert all(part.sent_s and part.answered_s for part in sample.parts)
    assert sorted(kinds(sample)) == ["answered"] * 3 + ["sent"] * 3
    assert [event.after_s for event in sample.events] == sorted(
        event.after_s for event in sample.events
    )


@pytest.mark.parametrize("count", [2, 15, 16, 17, 31, 32, 33, 100])
async def test_arguments_and_keys_are_cut_as_in_the_slow_log_of_redis(
    cluster: FakeCluster, served: Served, samples: list[Sample], count: int
) -> None:
    keys = cluster.keys_of(cluster.nodes[0], count)
    client = await served.connect()

    await client.call("MGET", *keys)
    await client.call("EVAL", "return 1", len(keys[:1]), keys[0], *keys)

    split, forwarded = samples
    assert split.keys == tuple(keys[:16])
    for sample, args in (
        (split, [b"MGET", *keys]),
        (forwarded, [b"EVAL", b"return 1", b"1", keys[0], *keys]),
    ):
        assert sample.argument_count == len(args)
        if len(args) <= 32:
            assert sample.arguments == tuple(args)
        else:
            more = b"... (%d more arguments)" % (len(args) - 31)
            assert sample.arguments == (*args[:31], more)


async def test_a_long_argument_is_cut_and_a_long_key_later(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    client = await served.connect()

    await client.call("SET", b"k" * 128, b"v" * 129)
    await client.call("SET", b"k" * 1025, b"v")

    first, second = samples
    assert first.arguments == (b"SET", b"k" * 128, b"v" * 128 + b"... (1 more bytes)")
    assert first.keys == (b"k" * 128,)
    assert second.arguments[1] == b"k" * 128 + b"... (897 more bytes)"
    assert second.keys == (b"k" * 1024,)


async def test_a_moved_request_tells_its_way(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    cluster.give(key_slot(key), target)
    client = await served.connect()

    await client.call("SET", key, 1)

    (sample,) = samples
    assert kinds(sample) == ["sent", "moved", "resent", "sent", "answered"]
    one, two = number_of(served, source), number_of(served, target)
    assert [event.node for event in sample.events] == [one, one, two, two, two]
    assert [part.node for part in sample.parts] == [two]


async def test_an_asked_part_tells_its_way(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    key, target = cluster.key_of(cluster.nodes[0]), cluster.nodes[1]
    other = cluster.key_of(target)
    cluster.begin_migration(key_slot(key), target)
    client = await served.connect()

    await client.call("EXISTS", key, other)

    (sample,) = samples
    own = [event.kind for event in sample.events if event.slot == key_slot(key)]
    assert own == ["sent", "ask", "resent", "sent", "answered"]
    assert [part.node for part in sample.parts] == [number_of(served, target)] * 2


async def test_a_refusal_that_the_client_gets_was_sent_once(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    node = cluster.nodes[0]
    node.once(b"GET", answer=b"-MOVED 1 127.0.0.1:1\r\n")
    node.always(b"GET", answer=b"-READONLY You can't write against a read only replica.\r\n")
    client = await served.connect()

    async with serve(cluster, cluster={"request_timeout_s": 0.2}) as hasty:
        mine: list[Sample] = []
        hasty.engine.on_sample, hasty.engine.sample_every = mine.append, 1
        assert (await (await hasty.connect()).call("GET", cluster.key_of(node)))[:1] == b"-"

    assert await client.call("PING") == b"+PONG\r\n"
    assert mine[0].error != b""
    assert kinds(mine[0]).count("sent") == len(node.seen(b"GET"))


@pytest.mark.parametrize(("name", "fate"), [("GET", "resent"), ("INCR", "answered")])
async def test_a_lost_connection_is_told(
    cluster: FakeCluster, served: Served, samples: list[Sample], name: str, fate: str
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    node.once(name.encode(), key, answer=Fate.RESET)
    client = await served.connect()

    reply = await client.call(name, key)

    (sample,) = samples
    if fate == "resent":
        assert kinds(sample) == ["sent", "lost", "resent", "sent", "answered"]
        assert sample.error == b""
    else:
        assert reply == replies.lost_write(str(node.address))
        assert kinds(sample) == ["sent", "lost"]
        assert sample.error == b"IOERR"
        assert sample.parts[0].answered_s is None


async def test_an_expired_request_is_told(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"GET", key)
    samples: list[Sample] = []
    async with serve(cluster, cluster={"request_timeout_s": 0.1}) as served:
        served.engine.on_sample, served.engine.sample_every = samples.append, 1
        client = await served.connect()

        await client.call("GET", key)
        held.let_go()

        assert kinds(samples[0]) == ["sent", "expired"]
        assert samples[0].duration_s >= 0.1


async def test_a_slot_without_a_node_is_told(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    slots = served.engine.slot_map
    owner = slots.owner_of(key_slot(key))
    assert owner is not None
    served.engine.install_slots(
        SlotMap(
            [None if slot == key_slot(key) else slots.owner_of(slot) for slot in range(SLOT_COUNT)],
            slots.generation + 1,
        )
    )
    client = await served.connect()

    await client.ask("GET", key)
    await until(lambda: served.engine.in_flight == 1)
    served.engine.install_slots(served.engine.slot_map.with_owner(key_slot(key), owner))
    await client.read_reply()

    (sample,) = samples
    assert kinds(sample)[0] == "uncovered"
    assert kinds(sample)[-3:] == ["resent", "sent", "answered"]


async def test_the_client_is_gone_before_the_answer(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    node = cluster.nodes[0]
    a, b = cluster.key_of(node), cluster.key_of(cluster.nodes[1])
    held = node.hold(b"MGET")
    client = await served.connect()
    await client.send(encode_command("MGET", a, b), encode_command("BLPOP", b"list", 0))
    await held.arrived()

    client.vanish()
    await until(lambda: not served.engine.clients)
    held.let_go()

    (sample,) = samples
    assert sample.client.is_closed
    assert not sample.is_answered
    assert sample.arguments == (b"MGET", a, b)
    assert kinds(sample)[-1] == "left"
    assert (sample.events[-1].node, sample.events[-1].slot) == (-1, -1)


async def test_what_the_proxy_answers_itself_is_a_punt(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    client = await served.connect()

    await client.call("PING")
    await client.call("NOSUCH", "word")
    await client.call("DBSIZE")
    await client.call("RENAME", "a", "b")

    ping, unknown, size, rename = samples
    assert {sample.road for sample in samples} == {"punt"}
    assert (ping.command, ping.family, ping.parts, ping.events) == (b"ping", "connection", (), ())
    assert (unknown.command, unknown.family, unknown.error) == (b"nosuch", "other", b"ERR")
    assert unknown.arguments == (b"NOSUCH", HIDDEN)
    assert size.family == "keyspace"
    assert rename.keys == (b"a", b"b")
    assert rename.frame_bytes == len(encode_command("RENAME", "a", "b"))


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("CONFIG SET requirepass secret maxmemory 1", "CONFIG SET requirepass # maxmemory #"),
        ("ACL SETUSER bob >secret", "ACL SETUSER # #"),
        ("ACL SETUSR bob >secret", "ACL SETUSR # #"),
        ("MIGRATE h 1 k 0 9 AUTH secret KEYS k", "MIGRATE h 1 k 0 9 AUTH # KEYS k"),
        ("MIGRATE h 1 k 0 9 AUTH2 bob secret", "MIGRATE h 1 k 0 9 AUTH2 # #"),
        ("ATUH bob secret", "ATUH # #"),
    ],
)
async def test_secrets_are_hidden(
    served: Served, samples: list[Sample], request_: str, shown: str
) -> None:
    client = await served.connect()

    await client.call(*request_.split())
    await client.call("PING")

    sample, ping = samples
    assert sample.arguments == tuple(shown.replace("#", HIDDEN.decode()).encode().split())
    assert ping.arguments == (b"PING",)


@pytest.mark.parametrize("request_", ["AUTH secret", "AUTH bob secret", "HELLO 3 AUTH bob secret"])
async def test_a_login_is_never_sampled(
    served: Served, samples: list[Sample], request_: str
) -> None:
    client = await served.connect()

    await client.call(*request_.split())
    await client.call("PING")

    assert [sample.command for sample in samples] == [b"ping"]


async def test_one_in_so_many_is_sampled(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    served.engine.sample_every = 10
    client = await served.connect()

    for _ in range(20):
        await client.send(encode_command("GET", "k") * 100)
        await client.read_replies(100)

    assert 120 < len(samples) < 300
    assert served.engine.meter.totals["samples"] == len(samples)
    served.engine.sample_every = 0
    before = len(samples)
    await client.call("GET", "k")
    assert len(samples) == before


async def test_an_observer_that_fails_does_not_stop_the_traffic(
    cluster: FakeCluster, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_value))

    def fail(sample: Sample) -> None:
        raise LookupError(sample.command)

    served.engine.on_sample = fail
    served.engine.sample_every = 1
    client = await served.connect()

    assert await client.call("GET", "k") == b"$-1\r\n"
    assert await client.call("GET", "k") == b"$-1\r\n"

    assert [str(problem) for problem in told] == ["b'get'"] * 2


async def test_the_thresholds_are_off_until_set(served: Served) -> None:
    engine = Engine(served.proxy.plane)

    assert (engine.sample_every, engine.slow_s, engine.big_reply_bytes) == (0, math.inf, 0)
    engine.slow_s, engine.big_reply_bytes = 0.5, 7
    assert (engine.slow_s, engine.big_reply_bytes) == (0.5, 7)
    engine.slow_s, engine.big_reply_bytes = 0, 0
    assert (engine.slow_s, engine.big_reply_bytes) == (math.inf, 0)


async def test_an_error_has_its_first_word(
    cluster: FakeCluster, served: Served, samples: list[Sample]
) -> None:
    node = cluster.nodes[0]
    node.once(b"GET", answer=error(b"WRONGTYPE Operation against a key"))
    client = await served.connect()

    await client.call("GET", cluster.key_of(node))
    await all_is_quiet()

    assert samples[0].error == b"WRONGTYPE"
    assert kinds(samples[0]) == ["sent", "answered"]
