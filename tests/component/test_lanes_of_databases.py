"""SELECT: a client's database is its connections', and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fake_node import FakeNode
from scripted_cluster import OK, FakeCluster
from served import Served, serve

from proxy.cluster.slots import key_slot
from proxy.resp.encode import array, bulk, error


@pytest.fixture
async def with_databases(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy in front of servers with 16 databases."""
    for node in cluster.nodes:
        node.always(b"CONFIG", answer=array([bulk(b"cluster-databases"), bulk(b"16")]))
    async with serve(cluster) as served:
        yield served


def databases_asked(node: FakeNode, *words: bytes) -> list[bytes]:
    """Return the database of each connection that such requests came over."""
    selected = {seen.connection: seen.args[1] for seen in node.seen(b"SELECT")}
    return [selected.get(seen.connection, b"0") for seen in node.seen(*words)]


async def test_each_database_has_connections_of_its_own(
    cluster: FakeCluster, with_databases: Served
) -> None:
    node = cluster.nodes[0]
    one, other = await with_databases.connect(), await with_databases.connect()

    assert await one.call("SELECT", 3) == OK
    for client in (one, other, one):
        await client.call("GET", cluster.key_of(node))
    await one.call("DBSIZE")
    await one.call("RESET")
    await one.call("GET", cluster.key_of(node))

    assert databases_asked(node, b"GET") == [b"3", b"0", b"3", b"0"]
    assert databases_asked(node, b"DBSIZE") == [b"3"]


async def test_hello_keeps_the_database(cluster: FakeCluster, with_databases: Served) -> None:
    node = cluster.nodes[0]
    client = await with_databases.connect()

    await client.call("SELECT", 5)
    await client.call("HELLO", 3)
    await client.call("GET", cluster.key_of(node))

    assert databases_asked(node, b"GET") == [b"5"]
    assert b" db=5 " in await client.call("CLIENT", "INFO")


async def test_a_redirect_is_followed_in_the_clients_database(
    cluster: FakeCluster, with_databases: Served
) -> None:
    first, other = cluster.nodes[0], cluster.nodes[1]
    key = cluster.key_of(first)
    client = await with_databases.connect()
    await client.call("SELECT", 3)

    cluster.give(key_slot(key), other)
    assert await client.call("SET", key, "v") == OK

    assert databases_asked(other, b"SET") == [b"3"]


async def test_a_database_that_is_gone_is_said_and_the_client_closed(
    cluster: FakeCluster, with_databases: Served
) -> None:
    node = cluster.nodes[0]
    client = await with_databases.connect()
    await client.call("SELECT", 9)
    node.always(b"SELECT", answer=error(b"ERR DB index is out of range"))

    answer = await client.call("GET", cluster.key_of(node))

    assert answer.startswith(f"-ERR {node.address} does not let this client's user in:".encode())
    await client.expect_end()


async def test_servers_without_databases_have_one(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()

    assert await client.call("SELECT", 0) == OK
    assert await client.call("SELECT", 1) == b"-ERR DB index is out of range\r\n"
