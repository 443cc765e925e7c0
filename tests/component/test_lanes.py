"""Lanes: a client's rights are its connections', and nobody else's (law 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from fake_node import FakeConnection, FakeNode, Fate, Held, Seen
from raw_client import RawClient
from scripted_cluster import OK, FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.control import pools
from proxy.resp.encode import array, bulk, error

WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
PASS = {"acl": "pass"}


class Users:
    """The users of a scripted cluster, the same at each node, and who each connection is."""

    def __init__(self, cluster: FakeCluster, **passwords: str) -> None:
        self.passwords = {user.encode(): word.encode() for user, word in passwords.items()}
        self.of: dict[FakeConnection, bytes] = {}
        for node in cluster.nodes:
            node.by(b"AUTH", answerer=self._log_in)

    async def _log_in(self, seen: Seen) -> bytes:
        user, password = seen.args[-2:]
        if self.passwords.get(user) != password:
            return WRONG
        self.of[seen.connection] = user
        return OK

    def that_asked(self, node: FakeNode, *words: bytes) -> list[bytes]:
        """Return who the connections are that such requests came over."""
        return [self.of.get(seen.connection, b"") for seen in node.seen(*words)]


@pytest.fixture
async def users(cluster: FakeCluster) -> Users:
    return Users(cluster, ann="a", bob="b")


@pytest.fixture
async def passing(cluster: FakeCluster, users: Users) -> AsyncIterator[Served]:
    """Return a proxy that leaves users to the servers."""
    async with serve(cluster, clients=PASS) as served:
        yield served


async def log_in(served: Served, user: str, password: str) -> RawClient:
    client = await served.connect()
    assert await client.call("AUTH", user, password) == OK
    return client


def open_connections(cluster: FakeCluster) -> int:
    return sum(connection.is_open for node in cluster.nodes for connection in node.connections)


# ---- users of the servers ------------------------------------------------------------


async def test_each_users_requests_have_connections_of_that_user(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    ann, bob = await log_in(passing, "ann", "a"), await log_in(passing, "bob", "b")
    stranger = await passing.connect()

    for client in (ann, bob, stranger, ann):
        await client.call("GET", key)

    assert users.that_asked(node, b"GET") == [b"ann", b"bob", b"", b"ann"]


async def test_clients_of_one_user_share_connections(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    clients = [await log_in(passing, "ann", "a") for _ in range(5)]

    for client in clients:
        await client.call("GET", cluster.key_of(node))

    assert len({seen.connection for seen in node.seen(b"GET")}) == 1


async def test_fan_outs_have_the_clients_rights_too(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    ann = await log_in(passing, "ann", "a")

    await ann.call("DBSIZE")

    for node in cluster.nodes:
        assert users.that_asked(node, b"DBSIZE") == [b"ann"]


async def test_what_the_proxy_asks_for_its_own_sake_needs_none_of_the_clients_rights(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    """Who may DBSIZE and SCAN need not be allowed CLUSTER and INFO."""
    for node in cluster.nodes:
        node.always(b"SCAN", answer=array([bulk(b"0"), array([])]))
    ann = await log_in(passing, "ann", "a")

    await ann.call("DBSIZE")
    assert await ann.call("SCAN", 0) == b"*2\r\n$1\r\n0\r\n*0\r\n"

    for node in cluster.nodes:
        assert users.that_asked(node, b"SCAN") == [b"ann"]
        assert b"ann" not in users.that_asked(node, b"CLUSTER") + users.that_asked(node, b"INFO")


async def test_a_scan_of_a_node_that_restarts_in_the_middle_is_made_again(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    for each in cluster.nodes:
        each.always(b"SCAN", answer=array([bulk(b"0"), array([])]))
    server = b"redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nrun_id:%b\r\n"
    node.once(b"INFO", answer=bulk(server % b"before"))
    node.always(b"INFO", answer=bulk(server % b"after"))
    ann = await log_in(passing, "ann", "a")

    assert await ann.call("SCAN", 0) == b"*2\r\n$1\r\n0\r\n*0\r\n"

    assert len(node.seen(b"SCAN")) == 2


async def test_logins_are_tried_on_one_connection(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    before = open_connections(cluster)

    for _ in range(20):
        client = await passing.connect()
        assert await client.call("AUTH", "ann", "wrong") == WRONG
        assert await client.call("HELLO", 3, "AUTH", "ann", "a") != WRONG

    assert open_connections(cluster) == before


async def test_a_late_answer_to_a_client_that_left_lets_nobody_else_in(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    for node in cluster.nodes:
        node.forget_script()
    held = [node.hold(b"AUTH", b"ann") for node in cluster.nodes]
    ann = await passing.connect()
    await ann.ask("AUTH", "ann", "a")
    (asked,) = [each for each in held if await _has_arrived(each)]
    ann.vanish()
    await until(lambda: not passing.engine.clients)

    for node in cluster.nodes:
        node.always(b"AUTH", b"bob", answer=WRONG)
    bob = await passing.connect()
    await bob.ask("AUTH", "bob", "anything")
    asked.answer(OK)

    assert await bob.read_reply() == WRONG


async def _has_arrived(held: Held) -> bool:
    with trio.move_on_after(0.1):
        await held.arrived()
    return held.seen is not None


async def test_logins_go_on_when_a_node_dies(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    await log_in(passing, "ann", "a")

    await cluster.nodes[0].crash()

    await log_in(passing, "bob", "b")


async def test_a_login_that_fails_changes_nothing(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    ann = await log_in(passing, "ann", "a")

    assert await ann.call("AUTH", "bob", "wrong") == WRONG
    await ann.call("GET", cluster.key_of(node))

    assert users.that_asked(node, b"GET") == [b"ann"]


async def test_reset_gives_back_all_rights(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    ann = await log_in(passing, "ann", "a")

    assert await ann.call("RESET") == b"+RESET\r\n"
    await ann.call("GET", cluster.key_of(node))

    assert users.that_asked(node, b"GET") == [b""]


async def test_a_user_who_is_gone_loses_the_connection(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    node = cluster.nodes[0]
    ann, bob = await log_in(passing, "ann", "a"), await log_in(passing, "bob", "b")
    for client in (ann, bob):
        await client.call("GET", cluster.key_of(node))

    del users.passwords[b"ann"]
    node.lose_connections(Fate.CLOSE)

    await ann.expect_end()
    assert await bob.call("GET", cluster.key_of(node)) == b"$-1\r\n"


async def test_a_node_that_lacks_the_user_is_asked_once_and_named(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    first, other = cluster.nodes[0], cluster.nodes[2]
    other.forget_script()
    other.always(b"AUTH", answer=WRONG)
    ann = await log_in(passing, "ann", "a")
    await ann.call("GET", cluster.key_of(first))

    refusal = await ann.call("GET", cluster.key_of(other))
    await ann.expect_end()
    await all_is_quiet()

    assert refusal.startswith(f"-WRONGPASS {other.address} does not let this client's ".encode())
    assert len(other.seen(b"AUTH", b"ann")) == 1


async def test_connections_of_a_user_who_has_left_are_closed(
    cluster: FakeCluster, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LANE_IDLE_S", 0.05)
    monkeypatch.setattr(pools, "IDLE_S", 0.05)
    async with serve(cluster, clients=PASS) as served:
        ann, bob = await log_in(served, "ann", "a"), await log_in(served, "bob", "b")
        for client in (ann, bob):
            await client.call("GET", cluster.key_of(cluster.nodes[0]))

        await ann.close()
        await until(lambda: b"ann" not in [who for c, who in users.of.items() if c.is_open])

        assert await bob.call("GET", cluster.key_of(cluster.nodes[0])) == b"$-1\r\n"


async def test_one_kind_of_client_too_many_is_told_so(cluster: FakeCluster, users: Users) -> None:
    async with serve(cluster, clients=PASS, limits={"lane_limit": 1}) as served:
        ann = await log_in(served, "ann", "a")
        bob = await served.connect()

        refusal = await bob.call("AUTH", "bob", "b")

        assert refusal == b"-ERR limit reached: limits.lane_limit = 1\r\n"
        assert await ann.call("GET", "x") == b"$-1\r\n"
        assert await bob.call("GET", "x") == b"$-1\r\n"


async def test_a_stranger_is_gated_when_the_default_user_has_a_password(
    cluster: FakeCluster, users: Users
) -> None:
    for node in cluster.nodes:
        node.always(b"PING", answer=error(b"NOAUTH Authentication required."))
    async with serve(cluster, clients=PASS) as served:
        client = await served.connect()

        assert await client.call("GET", "x") == b"-NOAUTH Authentication required.\r\n"
        assert await client.call("AUTH", "ann", "a") == OK
        assert await client.call("GET", "x") == b"$-1\r\n"


@pytest.mark.parametrize(
    ("verdict", "beginning"),
    [
        (OK, b"$"),
        (bulk(b"This user has no permissions to run it"), b"-NOPERM this user has no permissions"),
        (error(b"NOPERM no DRYRUN"), b"-NOPERM the servers do not tell the proxy's user"),
    ],
)
async def test_what_only_the_proxy_can_run_is_allowed_by_the_servers(
    cluster: FakeCluster, users: Users, passing: Served, verdict: bytes, beginning: bytes
) -> None:
    for node in cluster.nodes:
        node.always(b"ACL", b"DRYRUN", b"ann", b"CLIENT", b"LIST", answer=verdict)
    ann = await log_in(passing, "ann", "a")

    assert (await ann.call("CLIENT", "LIST")).startswith(beginning)

    (asked,) = [who for node in cluster.nodes for who in users.that_asked(node, b"ACL")]
    assert asked == b""  # the proxy's own


async def test_a_transaction_needs_both_its_ends(
    cluster: FakeCluster, users: Users, passing: Served
) -> None:
    """EXEC refused inside MULTI would leave the users' shared connection in the transaction."""
    for node in cluster.nodes:
        node.always(b"ACL", b"DRYRUN", b"ann", b"MULTI", answer=OK)
        node.always(b"ACL", b"DRYRUN", b"ann", b"EXEC", answer=bulk(b"User ann may not"))
    ann = await log_in(passing, "ann", "a")

    assert await ann.call("MULTI") == b"-NOPERM User ann may not\r\n"
    assert await ann.call("GET", "x") == b"$-1\r\n"


async def test_many_users_that_come_and_go_leave_nothing_open(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"user{number}" for number in range(12)]
    users = Users(cluster, **{name: name for name in names})
    monkeypatch.setattr(pools, "LANE_IDLE_S", 0.02)
    monkeypatch.setattr(pools, "IDLE_S", 0.02)
    async with serve(cluster, clients=PASS, limits={"lane_limit": 30}) as served:
        before = len(served.proxy.pools.lanes)
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(_come_and_go, served, cluster, name)

        await until(lambda: len(served.proxy.pools.lanes) <= before + 1)

    for node in cluster.nodes:
        for seen in node.seen(b"GET"):
            assert seen.args[1].startswith(users.of[seen.connection])


async def _come_and_go(served: Served, cluster: FakeCluster, name: str) -> None:
    client = await log_in(served, name, name)
    for node in cluster.nodes:
        await client.call("GET", cluster.key_of(node, prefix=name.encode()))
    client.vanish()
