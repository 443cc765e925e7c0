"""However clients leave, nothing of them is left: no descriptor, no memory, no place."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, until

from proxy.resp.encode import encode_command

CLIENTS = 10
BIG = encode_command("SET", "key", "x" * 300_000)

Leave = Callable[[RawClient], Awaitable[None]]


async def vanish(client: RawClient) -> None:
    client.vanish()


async def close(client: RawClient) -> None:
    await client.close()


async def half_close(client: RawClient) -> None:
    """Send nothing more, and read to the end of what comes."""
    await client.finish_sending()
    await client.read_bytes(1 << 30)
    await client.close()


async def half_close_and_vanish(client: RawClient) -> None:
    await client.finish_sending()
    client.vanish()


BEGUN = {
    "nothing": b"",
    "a count": b"*3\r\n",
    "an inline command": b"GET ke",
    "half an argument": BIG[: len(BIG) // 2],
    "a transaction": encode_command("MULTI") + encode_command("SET", "key", "1"),
    "a transaction and half a command": encode_command("MULTI") + BIG[: len(BIG) // 2],
    "a subscription": encode_command("SUBSCRIBE", "news"),
    "what blocks": encode_command("BLPOP", "queue", "0"),
    "a command and half of the next": encode_command("PING") + BIG[:-1],
}


def descriptors(served: Served) -> int:
    """Return how many are open, without the spare connections to nodes: both ends are ours."""
    return len(os.listdir("/proc/self/fd")) - 2 * served.proxy.pools.private.idle


@pytest.mark.parametrize("leave", [vanish, close, half_close, half_close_and_vanish])
async def test_nothing_is_left(cluster: FakeCluster, served: Served, leave: Leave) -> None:
    async def come_and_leave(begun: bytes) -> None:
        client = await served.connect()
        received = served.engine.meter.totals["client_bytes_in"] + len(begun)
        await client.send(begun)
        await until(lambda: served.engine.meter.totals["client_bytes_in"] >= received)
        await leave(client)
        await until(lambda: not served.engine.clients and not served.engine.leaving)

    for begun in BEGUN.values():  # what is kept for whoever is next, is there
        await come_and_leave(begun)
    before, memory_before = descriptors(served), served.engine.memory_bytes

    for what, begun in BEGUN.items():
        for _ in range(CLIENTS):
            await come_and_leave(begun)
        await until(lambda: descriptors(served) <= before and served.engine.in_flight == 0)
        assert served.engine.memory_bytes <= memory_before, what

    assert await (await served.connect()).call("PING") == b"+PONG\r\n"
