"""What the control plane answers: passwords, CLIENT REPLY, commands without a row."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve

from proxy.resp import replies, replies_protocol
from proxy.resp.encode import array, bulk, encode_command
from proxy.resp.replies_transactions import exec_aborted_by

# ---- passwords ------------------------------------------------------------------------


@pytest.fixture
async def locked(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy that asks its clients for a password."""
    async with serve(cluster, clients={"password": "sesame"}) as served:
        yield served


async def test_before_auth_nothing_reaches_a_node(cluster: FakeCluster, locked: Served) -> None:
    client = await locked.connect()

    for request in (("GET", "k"), ("DBSIZE",), ("PING",), ("ECHO", "x"), ("MGET", "a", "b")):
        assert await client.call(*request) == replies.auth_required()
    assert await client.call("NOSUCHCOMMAND", "x") == replies.auth_required()
    for request in (("EXEC",), ("exec", "x")):
        assert await client.call(*request) == exec_aborted_by(replies.auth_required())
    assert (await client.call("HELLO", 3)).startswith(b"-NOAUTH HELLO must be called with the ")

    assert all(node.requests == [] for node in cluster.nodes)
    assert all(node.seen(b"COMMAND", b"INFO") == [] for node in cluster.nodes)


async def test_a_wrong_password_opens_nothing(locked: Served) -> None:
    client = await locked.connect()

    assert await client.call("AUTH", "wrong") == replies.wrong_password()
    assert await client.call("AUTH", "nobody", "sesame") == replies.wrong_password()
    assert await client.call("AUTH") == replies.wrong_arity(b"auth")

    assert await client.call("GET", "k") == replies.auth_required()


@pytest.mark.parametrize("login", [("AUTH", "sesame"), ("AUTH", "default", "sesame")])
async def test_a_pipeline_that_begins_with_auth_is_served(
    locked: Served, login: tuple[str, ...]
) -> None:
    client = await locked.connect()

    await client.send(
        encode_command("GET", "k"), encode_command(*login), encode_command("GET", "k")
    )

    await client.expect(replies.auth_required(), b"+OK\r\n", b"$-1\r\n")


async def test_hello_with_auth_opens_and_reset_closes_again(locked: Served) -> None:
    client = await locked.connect()

    assert (await client.call("HELLO", 3, "AUTH", "default", "sesame")).startswith(b"%7\r\n")
    assert await client.call("GET", "k") == b"_\r\n"
    assert await client.call("RESET") == b"+RESET\r\n"

    assert await client.call("GET", "k") == replies.auth_required()
    assert await client.call("AUTH", "sesame") == b"+OK\r\n"
    assert await client.call("GET", "k") == b"$-1\r\n"


async def test_one_clients_password_opens_nothing_for_another(locked: Served) -> None:
    one, other = await locked.connect(), await locked.connect()

    assert await one.call("AUTH", "sesame") == b"+OK\r\n"

    assert await other.call("GET", "k") == replies.auth_required()


async def test_the_proxy_gives_its_own_password_to_the_nodes(cluster: FakeCluster) -> None:
    cluster.password = b"backend"
    async with serve(cluster, cluster={"username": "proxy", "password": "backend"}) as served:
        old, new = await served.connect(), await served.connect_resp3()

        assert await old.call("SET", "k", 1) == b"+OK\r\n"
        assert await new.call("GET", "k") == b"$1\r\n1\r\n"

    node = next(node for node in cluster.nodes if node.seen(b"SET"))
    assert node.seen(b"AUTH")[0].args == [b"AUTH", b"proxy", b"backend"]
    hello = [b"HELLO", b"3", b"AUTH", b"proxy", b"backend"]
    assert [seen.args for seen in node.seen(b"HELLO")] == [hello]


@pytest.mark.parametrize(
    ("opening", "error"),
    [
        (b"*11\r\n", replies_protocol.unauthenticated_multibulk_length()),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", replies_protocol.unauthenticated_bulk_length()),
    ],
)
async def test_a_stranger_may_not_send_much(locked: Served, opening: bytes, error: bytes) -> None:
    client = await locked.connect()

    await client.send(opening)

    await client.expect(error)
    await client.expect_end()


# ---- CLIENT REPLY ---------------------------------------------------------------------


async def test_client_reply_off_silences_everything_until_on(
    cluster: FakeCluster, served: Served
) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    client = await served.connect()

    await client.send(
        encode_command("SET", keys[0], 0),
        b"CLIENT REPLY OFF\r\n",
        encode_command("SET", keys[1], 1),
        encode_command("MSET", keys[0], 2, keys[2], 3),
        b"PING\r\n",
        b"DBSIZE\r\n",
        b"GET\r\n",
        b"CLIENT REPLY ON\r\n",
        encode_command("MGET", *keys),
    )

    await client.expect(b"+OK\r\n", b"+OK\r\n", array([bulk(b"2"), bulk(b"1"), bulk(b"3")]))


@pytest.mark.parametrize(
    "skipped",
    [
        ("GET", "k"),
        ("MGET", "a", "b", "c"),
        ("PING",),
        ("DBSIZE",),
        ("GET",),
        ("NOSUCHCOMMAND",),
        ("CLIENT", "ID"),
    ],
    ids=lambda args: " ".join(args),
)
async def test_client_reply_skip_silences_the_next_command_only(
    served: Served, skipped: tuple[str, ...]
) -> None:
    client = await served.connect()

    await client.send(b"CLIENT REPLY SKIP\r\n", encode_command(*skipped), b"GET k\r\nPING\r\n")

    await client.expect(b"$-1\r\n+PONG\r\n")


async def test_a_silenced_reply_keeps_its_place(cluster: FakeCluster, served: Served) -> None:
    slow, fast = cluster.nodes[:2]
    held = slow.hold(b"GET")
    key, other = cluster.key_of(slow), cluster.key_of(fast)
    client = await served.connect()

    await client.send(
        b"CLIENT REPLY SKIP\r\n", encode_command("GET", key), encode_command("SET", other, 1)
    )
    await held.arrived()
    await all_is_quiet()
    assert not client.has_replies
    held.let_go()

    await client.expect(b"+OK\r\n")


# ---- commands without a row ------------------------------------------------------------


async def test_an_unknown_command_gets_the_servers_own_words(
    cluster: FakeCluster, served: Served
) -> None:
    words = b"-ERR unknown command 'FROB', with args beginning with: 'x' \r\n"
    for node in cluster.nodes:
        node.always(b"FROB", answer=words)
    client = await served.connect()

    await client.send(encode_command("FROB", "x"), encode_command("GET", "k"))

    await client.expect(words, b"$-1\r\n")


async def test_a_command_that_a_server_has_learnt_is_routed_by_the_keys_it_names(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[1]
    key = cluster.key_of(node)
    for each in cluster.nodes:
        each.always(b"COMMAND", b"INFO", b"FROB", answer=array([array([bulk(b"frob")])]))
        each.always(b"COMMAND", b"GETKEYS", b"FROB", answer=array([bulk(key)]))
        each.always(b"FROB", answer=b"+frobbed\r\n")
    client = await served.connect()

    await client.send(encode_command("FROB", "with", key), encode_command("GET", key))

    await client.expect(b"+frobbed\r\n", b"$-1\r\n")
    assert [args[0] for args in node.requests] == [b"FROB", b"GET"]
    assert all(each.seen(b"FROB") == [] for each in cluster.nodes if each is not node)


async def test_a_redirected_command_without_a_row_is_followed(
    cluster: FakeCluster, served: Served
) -> None:
    old, new = cluster.nodes[:2]
    key = cluster.key_of(old)
    for each in cluster.nodes:
        each.always(b"COMMAND", b"INFO", b"FROB", answer=array([array([bulk(b"frob")])]))
        each.always(b"COMMAND", b"GETKEYS", b"FROB", answer=array([bulk(key)]))
    old.always(b"FROB", answer=new.ask(0))
    new.always(b"FROB", answer=b"+frobbed\r\n")
    client = await served.connect()

    assert await client.call("FROB", key) == b"+frobbed\r\n"

    assert new.seen(b"FROB")[0].is_asking


async def test_unknown_commands_are_refused_if_the_setting_says_so(cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.always(b"FROB", answer=b"+frobbed\r\n")
    async with serve(cluster, commands={"unknown": "refuse"}) as served:
        client = await served.connect()

        reply = await client.call("FROB", "x")

    assert reply == replies.unknown_command(b"FROB", [b"x"])
    assert all(node.seen(b"FROB") == [] for node in cluster.nodes)


async def test_a_denied_command_reaches_no_node(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()

    assert await client.call("SHUTDOWN") == replies.denied(b"shutdown")
    assert await client.call("DEBUG", "SLEEP", "1") == replies.denied(b"debug")

    assert all(node.requests == [] for node in cluster.nodes)
