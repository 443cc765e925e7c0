"""Guard rails: allow, deny, confirm, for commands of every road, by user."""

from __future__ import annotations

import re

import pytest
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import serve, until

from proxy.resp import replies_limits as say

USERS = {"users": {"web": "pw", "ops": "po"}}
CONFIRM = {"action": "confirm", "commands": ["flushall", "set", "mget", "select", "blpop"]}


async def code_of(client: RawClient, *args: object) -> bytes:
    """Send a command that must be confirmed, and return the code."""
    reply = await client.call(*args)
    found = re.search(rb"^-NOPERM '[a-z]+' must be confirmed.* PROXY CONFIRM ([0-9a-f]+) ", reply)
    assert found is not None, reply
    return found[1]


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (("FLUSHALL",), b"+OK\r\n"),
        (("SET", "{a}1", "v"), b"+OK\r\n"),
        (("MGET", "a", "b", "c"), b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"),
        (("SELECT", "0"), b"+OK\r\n"),
        (("BLPOP", "list", "0.01"), b"*-1\r\n"),
    ],
    ids=["fan-out", "forward", "split", "local", "session"],
)
async def test_a_command_runs_once_it_is_confirmed(
    cluster: FakeCluster, args: tuple[str, ...], answer: bytes
) -> None:
    async with serve(cluster, guard=[CONFIRM]) as served:
        client = await served.connect()
        for node in cluster.nodes:
            node.always(b"FLUSHALL", answer=b"+OK\r\n")
            node.always(b"BLPOP", answer=b"*-1\r\n")

        code = await code_of(client, *args)
        assert not [args for node in cluster.nodes for args in node.requests]
        assert await client.call("PROXY", "CONFIRM", code) == b"+OK\r\n"

        assert await client.call(*args) == answer
        assert served.engine.meter.limits["guard"] == 1


async def test_to_send_it_again_is_not_to_confirm_it(cluster: FakeCluster) -> None:
    async with serve(cluster, guard=[CONFIRM]) as served:
        client = await served.connect()

        codes = [await code_of(client, "SET", "key", "v") for _ in range(5)]

        assert len(set(codes)) == 5
        assert not cluster.store
        assert await client.call("PROXY", "CONFIRM", codes[0]) == say.nothing_to_confirm()


async def test_only_the_very_same_request_of_the_same_connection_is_confirmed(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, guard=[CONFIRM]) as served:
        client, other = await served.connect(), await served.connect()
        code = await code_of(client, "SET", "key", "v")

        assert await other.call("PROXY", "CONFIRM", code) == say.nothing_to_confirm()
        assert await client.call("PROXY", "CONFIRM", b"0" * 8) == say.nothing_to_confirm()
        assert await client.call("PROXY", "CONFIRM", code) == b"+OK\r\n"
        await code_of(other, "SET", "key", "v")

        assert await client.call("set", "key", "v") == b"+OK\r\n"
        await code_of(client, "SET", "key", "w")
        await code_of(client, "SET", "key", "v")  # what was confirmed is not any more
        assert cluster.store == {b"key": b"v"}


async def test_inside_multi_it_ends_the_transaction_unless_confirmed_before(
    cluster: FakeCluster,
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    async with serve(cluster, guard=[CONFIRM]) as served:
        client = await served.connect()
        assert await client.call("MULTI") == b"+OK\r\n"
        refused = await client.call("SET", key, "v")
        assert refused == say.guard_wants_confirmation_before(b"set")
        assert (await client.call("EXEC")).startswith(b"-EXECABORT")
        assert not cluster.store

        code = await code_of(client, "SET", key, "v")
        assert await client.call("PROXY", "CONFIRM", code) == b"+OK\r\n"
        assert await client.call("MULTI") == b"+OK\r\n"
        assert await client.call("SET", key, "v") == b"+QUEUED\r\n"
        assert await client.call("DISCARD") == b"+OK\r\n"


async def test_the_first_rule_that_names_user_and_command_counts(cluster: FakeCluster) -> None:
    guards = [
        {"commands": ["config|set"], "users": ["ops"], "action": "allow"},
        {"commands": ["config"], "users": ["*"], "action": "deny"},
        {"commands": ["get"], "users": ["web"], "action": "deny"},
    ]
    rules = {"deny": []}
    async with serve(cluster, clients=USERS, guard=guards, commands=rules) as served:
        web, ops = await served.connect(), await served.connect()
        await web.call("AUTH", "web", "pw")
        await ops.call("AUTH", "ops", "po")
        for node in cluster.nodes:
            node.always(b"CONFIG", answer=b"+OK\r\n")

        assert await web.call("GET", "key") == say.guard_denies(b"get", b"web")
        assert await ops.call("GET", "key") == b"$-1\r\n"
        assert await web.call("MGET", "key") == b"*1\r\n$-1\r\n"
        refused = say.guard_denies(b"config|set", b"web")
        assert await web.call("CONFIG", "SET", "maxmemory", "1") == refused
        refused = say.guard_denies(b"config|get", b"ops")
        assert await ops.call("CONFIG", "GET", "maxmemory") == refused
        assert not (await ops.call("CONFIG", "SET", "maxmemory", "1")).startswith(b"-NOPERM")


async def test_a_refusal_keeps_its_place_among_replies(cluster: FakeCluster) -> None:
    guards = [{"commands": ["set"], "action": "deny"}]
    async with serve(cluster, guard=guards) as served:
        client = await served.connect()

        await client.send(b"GET a\r\nSET a 1\r\nGET b\r\n")

        await client.expect(b"$-1\r\n", say.guard_denies(b"set", b"default"), b"$-1\r\n")


async def test_pinned_keys_can_be_confirmed_too(cluster: FakeCluster) -> None:
    async with serve(cluster, guard=[CONFIRM], pin="bull:=bull") as served:
        client = await served.connect()

        code = await code_of(client, "SET", "bull:1", "v")
        await client.call("PROXY", "CONFIRM", code)

        assert await client.call("SET", "bull:1", "v") == b"+OK\r\n"
        assert cluster.store == {b"{bull}bull:1": b"v"}


async def test_other_guards_hold_at_once(cluster: FakeCluster) -> None:
    async with serve(cluster) as served:
        client = await served.connect()
        assert await client.call("SET", "key", "v") == b"+OK\r\n"

        text = '[{"commands": ["SET"], "action": "deny"}]'
        assert await client.call("PROXY", "CONFIG", "SET", "guard", text) == b"+OK\r\n"

        assert await client.call("SET", "key", "v") == say.guard_denies(b"set", b"default")
        before = served.engine.command_table
        served.proxy.tables.deny(frozenset({b"keys"}))  # the table is made anew
        await until(lambda: served.engine.command_table is not before)
        assert await client.call("SET", "key", "v") == say.guard_denies(b"set", b"default")
        assert await client.call("PROXY", "CONFIG", "SET", "guard", "") == b"+OK\r\n"
        assert await client.call("SET", "key", "v") == b"+OK\r\n"


async def test_explain_says_what_the_rules_are(cluster: FakeCluster) -> None:
    async with serve(cluster, guard=[CONFIRM]) as served:
        insight = served.proxy.observatory.insight

        assert insight.explain([b"FLUSHALL"]).guards == ("confirm: everyone",)
        assert insight.explain([b"GET", b"key"]).guards == ()


async def test_no_longer_than_its_seconds(cluster: FakeCluster) -> None:
    async with serve(cluster, guard=[CONFIRM]) as served:
        client = await served.connect()
        await client.call("PING")
        seen = next(iter(served.engine.clients.values()))

        code = await code_of(client, "SET", "key", "v")
        assert seen.state.confirmation is not None
        seen.state.confirmation.ends_s = 0.0
        assert await client.call("PROXY", "CONFIRM", code) == say.nothing_to_confirm()

        code = await code_of(client, "SET", "key", "v")
        assert await client.call("PROXY", "CONFIRM", code) == b"+OK\r\n"
        assert seen.state.confirmation is not None
        seen.state.confirmation.ends_s = 0.0
        await code_of(client, "SET", "key", "v")
