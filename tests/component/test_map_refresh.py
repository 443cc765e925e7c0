"""Law 10: one refresh at a time, rate-limited, in the background; an older view is not taken."""

from __future__ import annotations

import gc
from functools import partial

import trio
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.cluster.topology import Topology
from proxy.resp.encode import encode_command


def count_reads(cluster: FakeCluster) -> int:
    """Return how often the map was asked for, of all nodes together."""
    return sum(len(node.seen(b"CLUSTER", b"NODES")) for node in cluster.nodes)


def has_refreshed_since(served: Served, refreshes: int) -> bool:
    """Return whether there was a refresh after so many."""
    return served.proxy.watcher.refreshes > refreshes


async def test_a_storm_of_redirects_causes_few_refreshes(cluster: FakeCluster) -> None:
    keys = [b"key:%d" % number for number in range(300)]
    async with serve(cluster, cluster={"refresh_min_interval_s": 0.2}) as served:
        clients = [await served.connect() for _ in range(6)]
        cluster.owners = cluster.owners[6000:] + cluster.owners[:6000]
        refreshes, began = served.proxy.watcher.refreshes, trio.current_time()

        for client in clients:
            await client.send(*[encode_command("SET", key, "v") for key in keys])
        for client in clients:
            await client.expect(b"+OK\r\n" * len(keys))

        longest = (trio.current_time() - began) / 0.2 + 1
        assert served.engine.refusals > 50
        assert served.proxy.watcher.refreshes - refreshes <= longest
        assert count_reads(cluster) <= 3 * served.proxy.watcher.refreshes


async def test_a_refresh_that_hangs_is_the_only_one(cluster: FakeCluster) -> None:
    async with serve(cluster, cluster={"refresh_min_interval_s": 0.01}) as served:
        client = await served.connect()
        held = [node.hold(b"CLUSTER", b"NODES") for node in cluster.nodes]
        before = count_reads(cluster)
        for _ in range(100):
            served.proxy.watcher.suspect()
        for each in held:
            await each.arrived()
        refreshes = served.proxy.watcher.refreshes

        for number in range(100):
            served.proxy.watcher.suspect()
            assert await client.call("SET", b"%d" % number, "v") == b"+OK\r\n"

        assert served.proxy.watcher.refreshes == refreshes
        assert count_reads(cluster) == before + 3
        for each in held:
            each.let_go()


async def test_slots_without_an_owner_are_looked_for_soon(cluster: FakeCluster) -> None:
    first, last, _ = cluster.ranges()[0]
    for node in cluster.nodes:
        node.view = cluster.nodes_text(node).replace(b" %d-%d" % (first, last), b"")
    async with serve(cluster, cluster={"refresh_interval_s": 3600}) as served:
        watcher = served.proxy.watcher
        await until(lambda: watcher.topology is not None)
        assert watcher.topology.covered_slots == SLOT_COUNT - last - 1

        for node in cluster.nodes:
            node.view = b""

        await until(lambda: watcher.topology.covered_slots == SLOT_COUNT)


async def test_each_sign_of_an_old_map_asks_for_a_refresh(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    watcher = served.proxy.watcher
    client = await served.connect()
    for refusal in (
        node.moved(key_slot(key)),
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
    ):
        refreshes = watcher.refreshes
        node.once(b"SET", answer=refusal)

        assert await client.call("SET", key, 1) == b"+OK\r\n"

        await until(partial(has_refreshed_since, served, refreshes))


async def test_asking_and_trying_again_ask_for_no_refresh(
    cluster: FakeCluster, served: Served
) -> None:
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    await all_is_quiet()
    refreshes = served.proxy.watcher.refreshes
    source.once(b"GET", answer=b"-TRYAGAIN Multiple keys request\r\n")
    cluster.begin_migration(key_slot(key), target)
    client = await served.connect()

    for _ in range(10):
        assert await client.call("GET", key) == b"$-1\r\n"
    await all_is_quiet()

    assert served.proxy.watcher.refreshes == refreshes


async def test_a_view_of_a_lower_epoch_is_not_taken(cluster: FakeCluster) -> None:
    old, new = cluster.nodes[:2]
    key = cluster.key_of(old)
    stale = cluster.nodes_text(cluster.nodes[2])
    cluster.give_all(old, new)
    async with serve(cluster, cluster={"refresh_min_interval_s": 0.01}) as served:
        watcher = served.proxy.watcher
        await until(lambda: len(served.topology.primaries) == 2)
        for node in cluster.nodes:
            node.view = stale
        refreshes = watcher.refreshes
        for _ in range(3):
            watcher.suspect()
            await until(partial(has_refreshed_since, served, refreshes))
            refreshes = watcher.refreshes
        await all_is_quiet()

        client = await served.connect()
        assert await client.call("SET", key, 1) == b"+OK\r\n"

        assert old.requests == []


async def test_a_node_that_left_is_disconnected(cluster: FakeCluster, served: Served) -> None:
    leaver, heir = cluster.nodes[:2]
    key = cluster.key_of(leaver)
    client = await served.connect()
    assert await client.call("SET", key, 1) == b"+OK\r\n"
    connection = leaver.seen(b"SET")[0].connection

    cluster.give_all(leaver, heir)
    cluster.nodes.remove(leaver)
    served.proxy.watcher.suspect()
    await until(lambda: not connection.is_open)

    assert await client.call("GET", key) == b"$1\r\n1\r\n"
    cluster.nodes.append(leaver)


async def test_a_node_that_left_while_it_owed_a_reply_is_disconnected_after_it(
    cluster: FakeCluster,
) -> None:
    leaver, heir = cluster.nodes[:2]
    key = cluster.key_of(leaver)
    async with serve(cluster, cluster={"refresh_min_interval_s": 0.01}) as served:
        client = await served.connect()
        held = leaver.hold(b"SET")
        await client.ask("SET", key, 1)
        connection = (await held.arrived()).connection
        cluster.give_all(leaver, heir)
        cluster.nodes.remove(leaver)
        served.proxy.watcher.suspect()
        await until(lambda: len(served.topology.nodes) == 2)

        held.let_go()

        await client.expect(b"+OK\r\n")
        served.proxy.watcher.suspect()
        await until(lambda: not connection.is_open)


async def test_a_cluster_is_found_again_through_its_seeds(cluster: FakeCluster) -> None:
    seed = cluster.nodes[0]
    async with (
        FakeCluster().running() as other,
        serve(
            cluster, cluster={"refresh_min_interval_s": 0.01, "seeds": (str(seed.address),)}
        ) as served,
    ):
        client = await served.connect()
        assert await client.call("SET", "key", 1) == b"+OK\r\n"

        # Another cluster at the seed's address: every id and every other address is new.
        for number, node in enumerate(other.nodes):
            node.id = f"{number + 100:040x}"
        for node in cluster.nodes:
            node.view = other.nodes_text(other.nodes[0])
            node.always(b"CLUSTER", b"SLOTS", answer=b"*0\r\n")
        served.proxy.watcher.suspect()
        await until(lambda: served.topology.node_by_id(other.nodes[0].id))

        assert await client.call("SET", "key", 2) == b"+OK\r\n"
        assert other.store == {b"key": b"2"}


async def test_maps_that_come_and_go_leave_no_memory_behind(cluster: FakeCluster) -> None:
    # A thousand ranges: the servers' description is long, and another one each time.
    async with serve(cluster, cluster={"refresh_min_interval_s": 0.001}) as served:
        client = await served.connect()
        held: list[int] = []
        for turn in range(20):
            first, second, *_ = cluster.nodes
            cluster.owners = [
                (first, second)[(slot // 16 + turn) % 2] for slot in range(SLOT_COUNT)
            ]
            refreshes = served.proxy.watcher.refreshes
            served.proxy.watcher.suspect()
            await until(partial(has_refreshed_since, served, refreshes))
            assert await client.call("SET", "key", "v") == b"+OK\r\n"
            gc.collect()
            held.append(sum(isinstance(each, Topology) for each in gc.get_objects()))

        assert max(held[10:]) <= held[1]
