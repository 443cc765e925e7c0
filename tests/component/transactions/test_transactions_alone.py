"""SELECT and HELLO inside MULTI: no connection that others use becomes another one."""

from __future__ import annotations

from fake_node import FakeNode, Fate
from raw_client import RawClient
from served import Served, serve, until
from transactional_cluster import KEY, OK, SLOT, TransactionalCluster, execute

from proxy.resp import replies

OUT_OF_RANGE = replies.database_out_of_range()


async def go_elsewhere(client: RawClient) -> bytes:
    """Run a transaction that goes on in another database."""
    return await execute(client, ("SELECT", 3), ("INCR", KEY))


async def test_it_has_a_connection_of_its_own_which_is_closed_afterwards(
    served: Served, node: FakeNode
) -> None:
    client = await served.connect()
    assert await client.call("GET", KEY) == b"$-1\r\n"

    # These nodes have one database, so the proxy refuses the SELECT.
    assert await go_elsewhere(client) == b"*2\r\n" + OUT_OF_RANGE + b":1\r\n"

    [select], [get] = node.seen(b"SELECT"), node.seen(b"GET")
    assert select.connection is not get.connection
    await until(lambda: not select.connection.is_open)
    assert served.proxy.pools.private.idle == 0


async def test_with_watch_it_is_the_watching_one(served: Served, node: FakeNode) -> None:
    client = await served.connect()
    assert await client.call("WATCH", KEY) == OK

    assert await go_elsewhere(client) == b"*2\r\n" + OUT_OF_RANGE + b":1\r\n"

    [select], [watch] = node.seen(b"SELECT"), node.seen(b"WATCH")
    assert select.connection is watch.connection
    await until(lambda: not select.connection.is_open)


async def test_a_lost_reply_to_a_write_is_an_unknown_outcome(
    served: Served, node: FakeNode
) -> None:
    node.once(b"EXEC", answer=Fate.CLOSE)
    client = await served.connect()

    assert await go_elsewhere(client) == replies.lost_write(str(node.address))

    assert len(node.seen(b"EXEC")) == 1


async def test_a_slot_that_has_moved_is_found(
    served: Served, node: FakeNode, cluster: TransactionalCluster
) -> None:
    target = cluster.nodes[(node.index + 1) % 3]
    cluster.give(SLOT, target)
    client = await served.connect()

    assert await go_elsewhere(client) == b"*2\r\n" + OUT_OF_RANGE + b":1\r\n"

    assert [ran for ran, _ in cluster.ran] == [target]


async def test_a_node_that_answers_too_late_ends_it(cluster: TransactionalCluster) -> None:
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        node = cluster.owners[SLOT]
        held = node.hold(b"EXEC")
        client = await served.connect()

        reply = await go_elsewhere(client)

        held.let_go()
        assert reply == replies.no_reply_to_write(str(node.address), 0.3)


async def test_no_more_of_them_than_the_limit(cluster: TransactionalCluster) -> None:
    async with serve(cluster, limits={"private_connection_limit": 1}) as served:
        first, second = await served.connect(), await served.connect()
        assert await first.call("WATCH", KEY) == OK

        reached = replies.limit_reached(b"limits.private_connection_limit", 1)
        assert await go_elsewhere(second) == reached
        assert await first.call("UNWATCH") == OK
