"""WATCH when the cluster changes: null from EXEC, which a client tries again; never run twice."""

from __future__ import annotations

import pytest
from fake_node import FakeNode, Fate
from served import Served, serve, until
from transactional_cluster import (
    KEY,
    NULL,
    OK,
    OTHER,
    SLOT,
    TransactionalCluster,
    all_given_back,
    execute,
    watch,
)

from proxy.resp import replies

# ---- the cluster changes -----------------------------------------------------------------------


async def test_exec_is_null_and_not_sent_if_the_connection_is_lost(
    served: Served, node: FakeNode, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    [seen] = node.seen(b"WATCH")
    seen.connection.end(Fate.RESET)

    assert await execute(client, ("INCR", KEY)) == NULL
    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:1\r\n"

    assert len(cluster.ran) == 1


async def test_exec_is_null_if_the_slot_has_moved(
    served: Served, node: FakeNode, target: FakeNode, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    cluster.give(SLOT, target)

    assert await execute(client, ("INCR", KEY)) == NULL
    assert cluster.ran == []
    await watch(client, KEY)
    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:1\r\n"


async def test_exec_is_null_if_only_the_map_says_that_the_slot_has_moved(
    served: Served, node: FakeNode, target: FakeNode, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    cluster.give(SLOT, target)
    served.proxy.calls.suspect()
    await until(lambda: served.topology.owner(SLOT) == served.topology.node_at(target.address))

    assert await execute(client, ("INCR", KEY)) == NULL

    assert node.seen(b"EXEC") == []


async def test_exec_is_null_if_a_key_is_on_its_way(
    served: Served, target: FakeNode, cluster: TransactionalCluster
) -> None:
    cluster.store[KEY] = b"1"
    client = await served.connect()
    await watch(client, KEY)
    cluster.begin_migration(SLOT, target)
    cluster.migrate_key(KEY)

    assert await execute(client, ("INCR", KEY)) == NULL
    await watch(client, KEY)
    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:2\r\n"

    assert [node for node, _ in cluster.ran] == [target]


async def test_watch_follows_moved(
    served: Served, target: FakeNode, cluster: TransactionalCluster
) -> None:
    cluster.give(SLOT, target)
    client = await served.connect()

    await watch(client, KEY)

    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:1\r\n"


async def test_watch_waits_for_keys_on_both_sides_of_a_migration(
    served: Served, node: FakeNode, target: FakeNode, cluster: TransactionalCluster
) -> None:
    cluster.store |= {KEY: b"1", OTHER: b"1"}
    cluster.begin_migration(SLOT, target)
    cluster.migrate_key(KEY)
    client = await served.connect()
    await client.ask("WATCH", KEY, OTHER)
    await node.wait_for(b"WATCH", count=2)

    cluster.give(SLOT, target)

    await client.expect(OK)
    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:2\r\n"


async def test_a_watch_that_breaks_while_it_grows_ends_in_null(
    served: Served, node: FakeNode, target: FakeNode, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    cluster.give(SLOT, target)
    await watch(client, OTHER)

    assert await execute(client, ("INCR", KEY)) == NULL


async def test_watch_waits_for_a_node_that_is_down(
    served: Served, node: FakeNode, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await node.crash()
    await client.ask("WATCH", KEY)
    await until(lambda: served.proxy.pools.failed_dials)

    await cluster.restart(node)

    await client.expect(OK)


async def test_watch_gives_up_at_its_deadline(cluster: TransactionalCluster) -> None:
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        node = cluster.owners[SLOT]
        client = await served.connect()
        node.freeze()

        reply = await client.call("WATCH", KEY)

        node.thaw()
        assert reply == replies.no_reply_to_read(str(node.address), 0.3)
        assert await execute(client, ("INCR", KEY)) == b"*1\r\n:1\r\n"


# ---- law 4 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", Fate)
async def test_a_watched_write_whose_reply_is_lost_has_an_unknown_outcome(
    served: Served, node: FakeNode, fate: Fate
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    node.once(b"EXEC", answer=fate)

    assert await execute(client, ("INCR", KEY)) == replies.lost_write(str(node.address))

    assert len(node.seen(b"EXEC")) == 1


async def test_a_watched_read_whose_reply_is_lost_is_null(served: Served, node: FakeNode) -> None:
    client = await served.connect()
    await watch(client, KEY)
    node.once(b"EXEC", answer=Fate.RESET)

    assert await execute(client, ("GET", KEY)) == NULL


async def test_a_watched_exec_ends_at_its_deadline(cluster: TransactionalCluster) -> None:
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        node = cluster.owners[SLOT]
        client = await served.connect()
        await watch(client, KEY)
        held = node.hold(b"EXEC")

        reply = await execute(client, ("INCR", KEY))

        held.let_go()
        assert reply == replies.no_reply_to_write(str(node.address), 0.3)
        assert await client.call("GET", KEY) in (b"$-1\r\n", b"$1\r\n1\r\n")
        await all_given_back(served)
        assert served.proxy.pools.private.idle == 0
