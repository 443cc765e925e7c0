"""Law 7: a slow or dead node delays only requests for its slots; a slow reader only itself."""

from __future__ import annotations

import trio
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp.encode import encode_command

MEBIBYTE = 1 << 20


async def test_a_silent_node_delays_only_its_own_clients(
    cluster: FakeCluster, served: Served
) -> None:
    silent, lively = cluster.nodes[:2]
    stuck = [await served.connect() for _ in range(5)]
    key = cluster.key_of(silent)
    assert await stuck[0].call("SET", key, "v") == b"+OK\r\n"
    silent.freeze()
    for client in stuck:
        await client.ask("GET", key)
    await until(lambda: served.engine.in_flight == 5)

    other = await served.connect()
    for each in cluster.keys_of(lively, 50):
        assert await other.call("SET", each, "v") == b"+OK\r\n"
    assert not any(client.has_replies for client in stuck)
    silent.thaw()

    for client in stuck:
        await client.expect(b"$1\r\nv\r\n")


async def test_a_node_that_cannot_be_connected_to_delays_only_its_own_clients(
    cluster: FakeCluster, served: Served
) -> None:
    dead, lively = cluster.nodes[:2]
    await dead.crash()
    stuck, other = await served.connect(), await served.connect()
    await stuck.ask("SET", cluster.key_of(dead), 1)
    await until(lambda: served.proxy.pools.failed_dials)

    for each in cluster.keys_of(lively, 50):
        assert await other.call("SET", each, "v") == b"+OK\r\n"

    await cluster.restart(dead)
    await stuck.expect(b"+OK\r\n")


async def test_a_client_that_reads_nothing_holds_up_only_itself(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = b"x" * 100_000
    limits = {"client_output_soft_bytes": MEBIBYTE}
    async with serve(cluster, limits=limits) as served:
        lazy, other = await served.connect(receive_buffer_bytes=65536), await served.connect()
        await lazy.send(encode_command("GET", key) * 200)
        await until(lambda: max(c.output_bytes for c in served.engine.clients.values()) > MEBIBYTE)

        for number in range(50):
            assert await other.call("SET", b"k%d" % number, "v") == b"+OK\r\n"

        for _ in range(200):
            await lazy.expect(b"$100000\r\n", cluster.store[key], b"\r\n")


async def test_a_client_that_stops_in_the_middle_of_a_request_holds_up_nobody(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cut = encode_command("SET", key, "x" * 100_000)
    slow, other = await served.connect(), await served.connect()
    await slow.send(cut[:50_000])
    await all_is_quiet()

    assert await other.call("SET", key, "y") == b"+OK\r\n"

    await slow.send(cut[50_000:])
    await slow.expect(b"+OK\r\n")


async def test_a_lost_connection_delays_no_client_of_another_node(
    cluster: FakeCluster, served: Served
) -> None:
    here, there = cluster.nodes[:2]
    key, other_key = cluster.key_of(here), cluster.key_of(there)
    client, other = await served.connect(), await served.connect()
    assert await client.call("GET", key) == b"$-1\r\n"
    held = there.hold(b"SET", other_key)
    await other.ask("SET", other_key, 1)
    await held.arrived()

    await here.crash()
    held.let_go()

    await other.expect(b"+OK\r\n")
    await cluster.restart(here)
    with trio.fail_after(2):
        assert await client.call("GET", key) == b"$-1\r\n"
