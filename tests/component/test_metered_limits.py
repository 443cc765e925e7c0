"""Limits that were hit are counted by the names of their settings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scripted_cluster import FakeCluster
from served import serve, until

from proxy.dataplane.meter import LIMITS, Meter
from proxy.resp import replies
from proxy.resp.encode import encode_command

KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20


def used(counts: Mapping[str, int]) -> dict[str, int]:
    """Return what has been counted at all."""
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(
    ("limit", "value", "request_"),
    [
        ("argument_limit", 3, b"*4\r\n"),
        ("argument_limit_bytes", 1000, b"*1\r\n$1001\r\n"),
        ("inline_limit_bytes", 100, b"x" * 101),
        ("request_limit_bytes", 200, b"*2\r\n$100\r\n" + b"x" * 100 + b"\r\n$100\r\n"),
    ],
)
async def test_limits_of_requests(
    cluster: FakeCluster, limit: str, value: int, request_: bytes
) -> None:
    async with serve(cluster, limits={limit: value}) as served:
        client = await served.connect()

        await client.send(request_)
        await client.read_reply()

        assert used(served.engine.meter.limits) == {limit: 1}
        assert served.engine.meter.totals["protocol_errors"] == 1
        assert used(served.engine.meter.errors) == {"ERR": 1}


async def test_limits_of_clients(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    keys = cluster.keys_of(node, 5)
    limits = {"client_in_flight_limit": 2, "reply_limit_bytes": KIBIBYTE}
    async with serve(
        cluster,
        listen={"max_clients": 1},
        limits=limits,
        clients={"idle_timeout_s": 0.3},
    ) as served:
        client = await served.connect()
        cluster.store[keys[0]] = b"x" * 2 * KIBIBYTE

        await client.send(*[encode_command("GET", key) for key in keys])
        await client.read_replies(5)
        other = await served.connect()
        await other.expect(replies.max_clients())
        await client.expect_end()

        counted = used(served.engine.meter.limits)
        assert counted.pop("client_in_flight_limit") > 0
        assert counted == {"max_clients": 1, "reply_limit_bytes": 1, "idle_timeout_s": 1}


async def test_limits_of_buffers(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = b"x" * MEBIBYTE
    limits = {
        "client_output_soft_bytes": MEBIBYTE,
        "reply_limit_bytes": 2 * MEBIBYTE,
        "client_output_limit_bytes": 20 * MEBIBYTE,
    }
    async with serve(cluster, limits=limits) as served:
        client = await served.connect(receive_buffer_bytes=4096)

        await client.send(encode_command("GET", key) * 100)
        await until(lambda: not served.engine.clients)

        assert served.engine.meter.limits["client_output_soft_bytes"] > 0
        assert served.engine.meter.limits["client_output_limit_bytes"] == 1


async def test_a_full_queue_is_a_limit(cluster: FakeCluster) -> None:
    node = cluster.nodes[0]
    keys = cluster.keys_of(node, 3)
    async with serve(cluster, limits={"node_queue_soft_bytes": KIBIBYTE}) as served:
        client = await served.connect()
        value = b"x" * 4 * KIBIBYTE

        await client.send(*[encode_command("SET", key, value) for key in keys])
        await client.read_replies(3)

        assert served.engine.meter.limits["node_queue_soft_bytes"] > 0


def test_limits_outside_the_data_plane_are_counted_by_name() -> None:
    meter = Meter()

    meter.note_limit("transaction_limit_bytes")

    assert used(meter.limits) == {"transaction_limit_bytes": 1}
    assert tuple(meter.limits) == LIMITS
    with pytest.raises(ValueError, match="not in"):
        meter.note_limit("nothing")
