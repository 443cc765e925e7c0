"""Requests that prove slow, and keys that prove big, though nobody had chosen them."""

from __future__ import annotations

import time

from scripted_cluster import FakeCluster
from served import Served, until

from proxy.cluster.slots import key_slot
from proxy.dataplane.sample import Sample
from proxy.resp.encode import bulk, encode_command

KIBIBYTE = 1 << 10


async def test_a_slow_request_is_shown_though_nobody_had_chosen_it(
    cluster: FakeCluster, served: Served
) -> None:
    slow: list[Sample] = []
    served.engine.on_slow = slow.append
    node = cluster.nodes[0]
    key, other = cluster.key_of(node), cluster.key_of(cluster.nodes[1])
    client = await served.connect()
    await client.call("GET", other)
    served.engine.slow_s = 0.03

    for args in (("SET", key, 1), ("MGET", key, other)):
        held = node.hold(args[0].encode())
        await client.ask(*args)
        await held.arrived()
        clock = time.monotonic() + 0.05
        await until(lambda: time.monotonic() > clock)  # noqa: B023  awaited at once
        held.let_go()
        await client.read_reply()

    one, two = slow
    assert (one.command, one.is_sampled, one.events) == (b"set", False, ())
    assert one.duration_s >= 0.03
    assert one.parts[0].answered_s - one.parts[0].sent_s >= 0.03
    assert two.arguments == (b"MGET", key, other)
    first, second = two.parts
    assert first.answered_s - first.sent_s >= 0.03
    assert second.answered_s < first.answered_s


async def test_waiting_is_not_slow(cluster: FakeCluster, served: Served) -> None:
    slow: list[Sample] = []
    served.engine.on_slow = slow.append
    served.engine.slow_s = 0.001
    client = await served.connect()
    node = cluster.owners[key_slot(b"list")]
    held = node.hold(b"BLPOP")

    await client.ask("BLPOP", "list", 0)
    await held.arrived()
    ends = time.monotonic() + 0.02
    await until(lambda: time.monotonic() > ends)
    held.answer(b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n")
    await client.read_reply()

    assert slow == []
    assert served.engine.meter.families["blocking"].requests == 1
    assert served.engine.meter.latency.count == 0


async def test_big_replies_and_requests_are_told_with_their_key(
    cluster: FakeCluster, served: Served
) -> None:
    big: list[tuple[bytes, bytes, int, bool]] = []
    served.engine.on_big = lambda *what: big.append(what)
    served.engine.big_reply_bytes = KIBIBYTE
    a, b = [cluster.key_of(node) for node in cluster.nodes[:2]]
    client = await served.connect()
    value = b"v" * KIBIBYTE

    await client.call("SET", a, value[:900])
    await client.call("GET", a)
    await client.call("SET", a, value)
    await client.call("GET", a)
    await client.call("MGET", b, a)
    await client.call("MSET", b, value, a, value)
    await client.call("ECHO", value)

    frame = encode_command("SET", a, value)
    echo = encode_command("ECHO", value)
    assert big == [
        (a, b"set", len(frame), False),
        (a, b"get", len(bulk(value)), True),
        (b, b"mget", len(b"*2\r\n$-1\r\n" + bulk(value)), True),
        (b, b"mset", len(encode_command("MSET", b, value, a, value)), False),
        (b"", b"echo", len(bulk(value)), True),
        (b"", b"echo", len(echo), False),
    ]
