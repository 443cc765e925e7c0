"""WATCH: EXEC runs only if nothing can have changed, and no connection is met by anybody else."""

from __future__ import annotations

import pytest
from fake_node import FakeNode
from served import Served, serve, until
from transactional_cluster import (
    KEY,
    NULL,
    OK,
    OTHER,
    State,
    TransactionalCluster,
    all_given_back,
    execute,
    watch,
)

from proxy.resp import replies
from proxy.resp.encode import encode_command, error

# ---- as a server ---------------------------------------------------------------------------


async def test_exec_runs_if_nobody_has_touched_the_keys(
    served: Served, cluster: TransactionalCluster
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    assert await client.call("GET", KEY) == b"$-1\r\n"

    assert await execute(client, ("SET", KEY, 1), ("GET", KEY)) == b"*2\r\n+OK\r\n$1\r\n1\r\n"

    assert len(cluster.ran) == 1


@pytest.mark.parametrize("by_me", [True, False])
async def test_exec_is_null_if_somebody_has(
    served: Served, cluster: TransactionalCluster, by_me: bool
) -> None:
    client = await served.connect()
    other = client if by_me else await served.connect()
    await watch(client, KEY, OTHER)
    assert await other.call("SET", OTHER, 1) == OK

    assert await execute(client, ("SET", KEY, 1)) == NULL
    assert await execute(client, ("SET", KEY, 2)) == b"*1\r\n+OK\r\n"

    assert len(cluster.ran) == 1


async def test_a_resp3_client_gets_resp3s_null(served: Served) -> None:
    client = await served.connect_resp3()
    await watch(client, KEY)
    assert await client.call("SET", KEY, 1) == OK

    assert await execute(client, ("GET", KEY)) == b"_\r\n"


async def test_hello_between_watch_and_exec_changes_the_replies_version(served: Served) -> None:
    client = await served.connect()
    await watch(client, KEY)
    assert (await client.call("HELLO", 3)).startswith(b"%7\r\n")

    assert await execute(client, ("GET", KEY)) == b"*1\r\n_\r\n"


async def test_more_keys_of_the_slot_are_watched_on_the_same_connection(
    served: Served, node: FakeNode
) -> None:
    client, other = await served.connect(), await served.connect()
    await watch(client, KEY)
    await watch(client, OTHER)
    assert await other.call("SET", OTHER, 1) == OK

    assert await execute(client, ("GET", KEY)) == NULL

    assert len({seen.connection for seen in node.seen(b"WATCH")}) == 1


async def test_an_error_of_the_server_to_watch_is_the_clients(
    served: Served, node: FakeNode
) -> None:
    refusal = error(b"NOPERM no permissions to access a key")
    node.once(b"WATCH", answer=refusal)
    client = await served.connect()

    assert await client.call("WATCH", KEY) == refusal

    await all_given_back(served)
    assert await execute(client, ("INCR", KEY)) == b"*1\r\n:1\r\n"


# ---- whose connection it is -------------------------------------------------------------------


async def test_a_clean_connection_is_used_again(
    served: Served, node: FakeNode, cluster: TransactionalCluster
) -> None:
    endings = (("EXEC",), ("DISCARD",), ("UNWATCH",), ("RESET",))
    for ending in endings:
        client = await served.connect()
        await watch(client, KEY)
        if ending[0] in ("EXEC", "DISCARD"):
            assert await client.call("MULTI") == OK
        assert (await client.call(*ending))[:1] in (b"+", b"*")
        await all_given_back(served)

    used = {seen.connection for seen in node.seen(b"WATCH")}

    assert len(used) == 1
    assert cluster.state_of(used.pop()) == State()


async def test_a_connection_that_does_not_acknowledge_unwatch_is_closed(
    served: Served, node: FakeNode
) -> None:
    node.once(b"UNWATCH", answer=error(b"ERR no"))
    client = await served.connect()
    await watch(client, KEY)
    assert await client.call("UNWATCH") == OK
    await all_given_back(served)

    [seen] = node.seen(b"WATCH")
    await until(lambda: not seen.connection.is_open)


@pytest.mark.parametrize("has_begun", [True, False])
async def test_the_connection_of_a_client_that_leaves_is_closed(
    served: Served, node: FakeNode, has_begun: bool
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    if has_begun:
        assert await client.call("MULTI") == OK

    client.vanish()

    await all_given_back(served)
    [seen] = node.seen(b"WATCH")
    await until(lambda: not seen.connection.is_open)


async def test_the_connection_of_a_client_that_leaves_during_exec_is_closed(
    served: Served, node: FakeNode
) -> None:
    client = await served.connect()
    await watch(client, KEY)
    held = node.hold(b"EXEC")
    lines = ("MULTI",), ("INCR", KEY), ("EXEC",)
    await client.send(*(encode_command(*line) for line in lines))
    seen = await held.arrived()

    client.vanish()

    await all_given_back(served)
    assert served.proxy.pools.private.idle == 0
    held.let_go()
    await until(lambda: not seen.connection.is_open)


async def test_a_client_that_leaves_before_watch_is_answered_leaves_nothing(
    served: Served, node: FakeNode
) -> None:
    held = node.hold(b"WATCH")
    client = await served.connect()
    await client.ask("WATCH", KEY)
    seen = await held.arrived()

    client.vanish()

    await all_given_back(served)
    await until(lambda: served.proxy.pools.private.idle == 0)
    held.let_go()
    await until(lambda: not seen.connection.is_open)


async def test_a_limit_of_private_connections_is_said_by_name(
    cluster: TransactionalCluster,
) -> None:
    async with serve(cluster, limits={"private_connection_limit": 1}) as served:
        first, second = await served.connect(), await served.connect()
        await watch(first, KEY)

        reply = await second.call("WATCH", KEY)

        assert reply == replies.limit_reached(b"limits.private_connection_limit", 1)
        assert await first.call("UNWATCH") == OK
        await all_given_back(served)
        await watch(second, KEY)
