"""Clients that send before they read: everything arrives, and nobody waits for ever."""

from __future__ import annotations

import pytest
import trio
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import serve

from proxy.resp.encode import bulk, encode_command

KIBIBYTE = 1 << 10
LIMITS = {
    "default limits": {},
    "tight limits": {
        "client_output_soft_bytes": 256 * KIBIBYTE,
        "client_in_flight_limit": 16,
        "node_queue_soft_bytes": 16 * KIBIBYTE,
    },
}


async def receive(client: RawClient, wanted: bytes) -> None:
    for at in range(0, len(wanted), 1 << 20):
        await client.expect(wanted[at : at + (1 << 20)])


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
async def test_a_client_that_sends_all_its_requests_before_it_reads_gets_every_reply(
    cluster: FakeCluster, limits: dict[str, int]
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    value = b"x" * 10_000
    cluster.store[key] = value
    count = 600
    async with serve(cluster, limits=limits) as served:
        client = await served.connect(receive_buffer_bytes=65536)

        with trio.fail_after(20):
            await client.send(*[encode_command("GET", key), encode_command("ECHO", value)] * count)

        await receive(client, bulk(value) * (2 * count))


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
async def test_a_client_that_closes_its_sending_side_gets_every_reply(
    cluster: FakeCluster, limits: dict[str, int]
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    value = b"x" * 10_000
    cluster.store[key] = value
    count = 1000
    async with serve(cluster, limits=limits) as served:
        client = await served.connect(receive_buffer_bytes=65536)

        async with trio.open_nursery() as nursery:

            async def send_all() -> None:
                await client.send(encode_command("GET", key) * count)
                await client.finish_sending()

            nursery.start_soon(send_all)
            await receive(client, bulk(value) * count)

        await client.expect_end()


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
async def test_big_values_go_in_and_out_of_many_clients_at_once(
    cluster: FakeCluster, limits: dict[str, int]
) -> None:
    async with serve(cluster, limits=limits) as served:

        async def converse(number: int) -> None:
            client = await served.connect(receive_buffer_bytes=16384)
            value = bytes([number]) * 300_000
            frames = [encode_command("SET", b"%d" % number, value), b"GET %d\r\n" % number] * 5
            async with trio.open_nursery() as both_ways:
                both_ways.start_soon(client.send, *frames)
                await receive(client, (b"+OK\r\n" + bulk(value)) * 5)

        async with trio.open_nursery() as clients:
            for number in range(8):
                clients.start_soon(converse, number)
