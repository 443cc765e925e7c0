"""A node that lacks a script or a function: it is brought there, and the client hears nothing."""

from __future__ import annotations

import hashlib

import pytest
from fake_node import FakeNode, Seen
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, until

from proxy.resp.encode import array, bulk, encode_command, integer

NO_SCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
NO_FUNCTION = b"-ERR Function not found\r\n"
BODY = b"return 'it ran'"
SHA = hashlib.sha1(BODY).hexdigest().encode()
OK = b"+OK\r\n"
LIBRARY = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)"


def runs_scripts(node: FakeNode) -> list[bytes]:
    """Have a node keep scripts as a server does; return those it has."""
    has: list[bytes] = []

    async def load(seen: Seen) -> bytes:
        has.append(hashlib.sha1(seen.args[2]).hexdigest().encode())
        return bulk(has[-1])

    async def run(seen: Seen) -> bytes:
        return b"+it ran\r\n" if seen.args[1].lower() in has else NO_SCRIPT

    node.by(b"SCRIPT", b"LOAD", answerer=load)
    node.by(b"EVALSHA", answerer=run)
    node.always(b"EVAL", answer=b"+it ran\r\n")
    return has


async def who_loads(served: Served) -> RawClient:
    """Return a client that has brought the script."""
    client = await served.connect()
    await client.call("SCRIPT", "LOAD", BODY)
    return client


async def test_a_script_that_came_with_eval_is_brought_before_it_is_named(
    cluster: FakeCluster, served: Served
) -> None:
    node, new, third = cluster.nodes
    scripts = [runs_scripts(each) for each in cluster.nodes]
    client = await served.connect()
    await client.call("EVAL", BODY, 1, cluster.key_of(node))

    key = cluster.key_of(new)
    await client.send(encode_command("EVALSHA", SHA.upper(), 1, key), encode_command("GET", key))

    await client.expect(b"+it ran\r\n", b"$-1\r\n")
    names = [args[0] for args in new.requests]
    assert [name for name in names if name != b"SCRIPT"] == [b"EVALSHA", b"GET"]
    assert names[0] == b"SCRIPT"
    # Soon all have it, and nobody has to wait any more.
    await third.wait_for(b"SCRIPT", b"LOAD")
    assert scripts[1][0] == scripts[2][0] == SHA
    await until(lambda: not served.proxy.scripts.doubtful)
    asked = len(new.requests)
    assert await client.call("EVALSHA", SHA, 1, key) == b"+it ran\r\n"
    assert len(new.requests) == asked + 1


async def test_a_script_that_a_node_has_lost_is_brought_again(
    cluster: FakeCluster, served: Served
) -> None:
    new = cluster.nodes[1]
    scripts = [runs_scripts(each) for each in cluster.nodes]
    client = await who_loads(served)
    scripts[1].clear()

    reply = await client.call("EVALSHA", SHA, 1, cluster.key_of(new))

    assert reply == b"+it ran\r\n"
    # On the same connection, before the request that needs it.
    asked = [seen for seen in new.log if seen.args[0] in (b"EVALSHA", b"SCRIPT")][-3:]
    assert [seen.args[0] for seen in asked] == [b"EVALSHA", b"SCRIPT", b"EVALSHA"]
    assert asked[1].connection is asked[2].connection


async def test_it_is_brought_once_however_many_requests_lack_it(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[1]
    scripts = [runs_scripts(each) for each in cluster.nodes]
    key = cluster.key_of(node)
    client = await who_loads(served)
    for _ in range(2):
        scripts[1].clear()
        node.log.clear()

        await client.send(encode_command("EVALSHA", SHA, 1, key) * 100)

        await client.expect(*[b"+it ran\r\n"] * 100)
        assert len(node.seen(b"EVALSHA")) == 200
        assert len(node.seen(b"SCRIPT", b"LOAD")) == 1


async def test_a_node_has_the_scripts_before_the_first_request_of_a_connection(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[1]
    scripts = [runs_scripts(each) for each in cluster.nodes]
    key = cluster.key_of(node)
    client = await who_loads(served)
    await node.crash()
    scripts[1].clear()  # as one that starts anew
    node.log.clear()

    # Pipelined: sent again after the GET, EVALSHA would have been overtaken.
    await client.send(encode_command("EVALSHA", SHA, 1, key), encode_command("GET", key))
    await cluster.restart(node)

    await client.expect(b"+it ran\r\n", b"$-1\r\n")
    assert [args[0] for args in node.requests] == [b"SCRIPT", b"EVALSHA", b"GET"]


async def test_an_inline_request_finds_its_script_too(cluster: FakeCluster, served: Served) -> None:
    for node in cluster.nodes:
        runs_scripts(node)
    client = await served.connect()
    await client.call("EVAL", BODY, 0)

    await client.send(b"evalsha '%b' 1 some-key\r\n" % SHA)

    await client.expect(b"+it ran\r\n")


async def test_an_unknown_script_is_the_clients_to_bring(
    cluster: FakeCluster, served: Served
) -> None:
    for node in cluster.nodes:
        runs_scripts(node)
    client = await served.connect()

    assert await client.call("EVALSHA", SHA, 0) == NO_SCRIPT

    assert all(node.seen(b"SCRIPT") == [] for node in cluster.nodes)


async def test_a_flushed_script_is_forgotten(cluster: FakeCluster, served: Served) -> None:
    for node in cluster.nodes:
        runs_scripts(node)
        node.always(b"SCRIPT", b"FLUSH", answer=OK)
    client = await served.connect()
    await client.call("EVAL", BODY, 0)

    assert await client.call("SCRIPT", "FLUSH") == OK

    assert await client.call("EVALSHA", SHA, 1, "k") == NO_SCRIPT


async def test_a_script_that_no_server_takes_is_forgotten(
    cluster: FakeCluster, served: Served
) -> None:
    for node in cluster.nodes:
        node.always(b"EVAL", answer=b"-ERR Error compiling script\r\n")
        node.always(b"EVALSHA", answer=NO_SCRIPT)
        node.always(b"SCRIPT", b"LOAD", answer=b"-ERR Error compiling script\r\n")
    client = await served.connect()
    await client.call("EVAL", BODY, 0)

    assert await client.call("EVALSHA", SHA, 0) == NO_SCRIPT
    assert await client.call("EVALSHA", SHA, 0) == NO_SCRIPT

    assert sum(len(node.seen(b"SCRIPT", b"LOAD")) for node in cluster.nodes) <= 4
    assert len(served.proxy.scripts) == 0


@pytest.mark.parametrize(
    "error", [NO_SCRIPT, b"-NOSCRIPT of the script's own\r\n"], ids=["exact words", "other words"]
)
async def test_an_error_of_a_script_that_ran_is_not_taken_for_a_missing_one(
    cluster: FakeCluster, served: Served, error: bytes
) -> None:
    command = "EVAL" if error == NO_SCRIPT else "EVALSHA"
    for node in cluster.nodes:
        node.always(command.encode(), answer=error)
        node.always(b"EVAL", answer=OK)
    client = await served.connect()
    await client.call("EVAL", BODY, 0)

    assert await client.call(command, BODY if command == "EVAL" else SHA, 1, "k") == error

    count = sum(len(node.seen(command.encode())) for node in cluster.nodes)
    assert count == (2 if command == "EVAL" else 1)


async def test_what_only_one_node_has_exists(cluster: FakeCluster, served: Served) -> None:
    has = [runs_scripts(node) for node in cluster.nodes]

    for node, scripts in zip(cluster.nodes, has, strict=True):

        async def exists(seen: Seen, scripts: list[bytes] = scripts) -> bytes:
            return array([integer(sha in scripts) for sha in seen.args[2:]])

        node.by(b"SCRIPT", b"EXISTS", answerer=exists)
    client = await served.connect()
    await client.call("EVAL", BODY, 0)

    reply = await client.call("SCRIPT", "EXISTS", SHA, b"0" * 40)

    assert reply == array([integer(1), integer(0)])
    assert has == [[SHA]] * 3


def has_functions(node: FakeNode, *libraries: bytes) -> list[bytes]:
    """Have a node keep one library as a server does; return what it was given."""
    has = list(libraries)

    async def list_them(seen: Seen) -> bytes:
        fields = [b"library_name", b"lib", b"library_code", LIBRARY]
        return array([array([bulk(field) for field in fields]) for _ in has])

    async def load(seen: Seen) -> bytes:
        has.append(seen.args[2])
        return bulk(b"lib")

    async def call(seen: Seen) -> bytes:
        return integer(1) if has else NO_FUNCTION

    node.by(b"FUNCTION", b"LIST", answerer=list_them)
    node.by(b"FUNCTION", b"LOAD", answerer=load)
    node.by(b"FCALL", answerer=call)
    return has


async def test_a_function_that_another_primary_has_is_brought(
    cluster: FakeCluster, served: Served
) -> None:
    old, new, _ = cluster.nodes
    has_functions(old, LIBRARY)
    lacking = has_functions(new)
    has_functions(cluster.nodes[2], LIBRARY)
    client = await served.connect()

    assert await client.call("FCALL", "f", 1, cluster.key_of(new)) == integer(1)

    assert lacking == [LIBRARY]


async def test_a_function_that_nobody_has_is_not_looked_for_again_and_again(
    cluster: FakeCluster, served: Served
) -> None:
    for node in cluster.nodes:
        has_functions(node)
    client = await served.connect()

    for _ in range(10):
        assert await client.call("FCALL", "f", 1, "k") == NO_FUNCTION

    assert all(len(node.seen(b"FUNCTION", b"LIST")) <= 6 for node in cluster.nodes)
