"""PROXY over RESP: who may, in which form, and that EXPLAIN says what then happens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from broker import Broker
from proxy_words import ask, pairs
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies, replies_proxy
from proxy.resp.decode import decode
from proxy.resp.encode import encode_command

# ---- its place among the others -----------------------------------------------------------


async def test_it_is_answered_in_its_place(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()
    key = cluster.key_of(cluster.nodes[0])
    held = cluster.nodes[0].hold(b"GET", key)

    await client.send(
        encode_command("GET", key), encode_command("PROXY", "SLOWLOG", "LEN"), b"PING\r\n"
    )
    await held.arrived()
    assert not client.has_replies
    held.let_go()

    await client.expect(b"$-1\r\n", b":0\r\n", b"+PONG\r\n")


async def test_a_transaction_answers_it_at_exec(served: Served) -> None:
    client = await served.connect()

    assert await client.call("MULTI") == b"+OK\r\n"
    assert await client.call("PROXY", "SLOWLOG", "LEN") == b"+QUEUED\r\n"

    assert await client.call("EXEC") == b"*1\r\n:0\r\n"


async def test_nothing_of_it_reaches_a_node(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()

    for words in ("HELP", "INFO", "TOPOLOGY", "CLIENTS", "STATS", "HOTKEYS", "BIGKEYS", "EVENTS"):
        assert not (await client.call("PROXY", words)).startswith(b"-")

    assert all(node.requests == [] for node in cluster.nodes)


WRONG = {
    "no subcommand": (("PROXY",), replies.wrong_arity(b"proxy")),
    "an unknown one": (("PROXY", "NONSENSE"), replies.unknown_subcommand(b"proxy", b"NONSENSE")),
    "too many words": (("PROXY", "STATS", "x"), replies.wrong_arity(b"proxy|stats")),
    "too few words": (("PROXY", "EXPLAIN"), replies.wrong_arity(b"proxy|explain")),
    "no number": (("PROXY", "HOTKEYS", "ten"), replies_proxy.bad_count()),
    "a negative number": (("PROXY", "EVENTS", "-1"), replies_proxy.bad_count()),
    "two numbers": (("PROXY", "CLIENTS", "1", "2"), replies_proxy.bad_count()),
    "no such log command": (
        ("PROXY", "SLOWLOG", "KEEP"),
        replies.unknown_subcommand(b"proxy", b"KEEP"),
    ),
    "a setting without a value": (
        ("PROXY", "CONFIG", "SET", "listen.port"),
        replies.wrong_arity(b"proxy|config"),
    ),
}


@pytest.mark.parametrize(("request_", "reply"), WRONG.values(), ids=WRONG.keys())
async def test_what_is_wrong_is_said(
    served: Served, request_: tuple[str, ...], reply: bytes
) -> None:
    client = await served.connect()

    assert await client.call(*request_) == reply


# ---- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["TOPOLOGY", "STATS", "CLIENTS", "EVENTS", "HOTKEYS", "BIGKEYS"])
async def test_resp2_has_the_same_as_a_flat_array(served: Served, words: str) -> None:
    old, new = await served.connect(), await served.connect_resp3()

    flat = decode(await old.call("PROXY", words))
    as_map = await ask(new, words)

    assert isinstance(flat, list)
    assert list(pairs(flat)) == list(as_map)


async def test_help_has_a_line_for_every_subcommand(served: Served) -> None:
    client = await served.connect()

    lines = decode(await client.call("PROXY", "HELP"))

    rows = [row.name for row in served.engine.command_table]
    ours = [name.removeprefix(b"proxy|") for name in rows if name.startswith(b"proxy|")]
    assert len(ours) == 11
    for name in ours:
        assert any(line.startswith(name.upper()) for line in lines), name


async def test_info_has_the_sections_that_were_asked_for(served: Served) -> None:
    client = await served.connect()
    await client.call("GET", "k")

    whole = decode(await client.call("PROXY", "INFO"))
    part = decode(await client.call("PROXY", "INFO", "clients", "STATS"))

    assert isinstance(whole, bytes)
    assert isinstance(part, bytes)
    assert whole.count(b"# ") == 10
    assert [line for line in part.splitlines() if line.startswith(b"#")] == [
        b"# Clients",
        b"# Stats",
    ]
    fields = dict(line.split(b":", 1) for line in part.splitlines() if b":" in line)
    assert fields[b"connected_clients"] == b"1"
    assert int(fields[b"total_requests"]) >= 2


async def test_keys_are_shown_as_the_bytes_that_they_are(cluster: FakeCluster) -> None:
    async with serve(cluster, insight={"sample_every": 1}) as served:
        client = await served.connect_resp3()
        await client.call("GET", b"\xff\x00")

        view = await ask(client, "HOTKEYS")

    assert [entry[b"key"] for entry in view[b"keys"]] == [b"\xff\x00"]


# ---- who may ----------------------------------------------------------------------------------


@pytest.fixture
async def guarded(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy with two users, of whom one is an admin."""
    clients = {"users": {"alice": "a", "bob": "b"}, "admins": ["alice"]}
    async with serve(cluster, clients=clients) as served:
        yield served


async def test_a_stranger_gets_nothing(guarded: Served) -> None:
    client = await guarded.connect()

    assert await client.call("PROXY", "HELP") == replies.auth_required()


async def test_only_admins_see_what_concerns_others(guarded: Served) -> None:
    alice, bob = await guarded.connect(), await guarded.connect()
    assert await alice.call("AUTH", "alice", "a") == b"+OK\r\n"
    assert await bob.call("AUTH", "bob", "b") == b"+OK\r\n"

    for words in (("CLIENTS",), ("SLOWLOG", "GET"), ("HOTKEYS",), ("CONFIG", "GET", "*")):
        assert not (await alice.call("PROXY", *words)).startswith(b"-")
        assert await bob.call("PROXY", *words) == replies_proxy.only_admins(b"bob")
    assert await bob.call("PROXY", "HELP") == replies_proxy.help_text()
    assert not (await bob.call("PROXY", "EXPLAIN", "GET", "k")).startswith(b"-")


async def test_commands_deny_can_name_it_or_a_part_of_it(cluster: FakeCluster) -> None:
    async with serve(cluster, commands={"deny": ["default", "proxy|config"]}) as served:
        client = await served.connect()

        assert await client.call("PROXY", "CONFIG", "GET", "*") == replies.denied(b"proxy|config")
        assert not (await client.call("PROXY", "HELP")).startswith(b"-")

    async with serve(cluster, commands={"deny": ["proxy"]}) as served:
        client = await served.connect()

        assert await client.call("PROXY", "HELP") == replies.denied(b"proxy|help")


# ---- settings --------------------------------------------------------------------------


async def test_config_get_matches_as_a_servers_does_and_hides_secrets(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, clients={"password": "sesame"}) as served:
        client = await served.connect()
        await client.call("HELLO", 3, "AUTH", "default", "sesame")

        found = await ask(client, "CONFIG", "GET", "clients.pass*", "LISTEN.port")

    assert found == {
        b"listen.port": b"0",
        b"clients.password": b"***",
        b"clients.password_file": b"",
    }


async def test_config_set_changes_a_live_setting_at_once(served: Served) -> None:
    client = await served.connect_resp3()

    assert await client.call("PROXY", "CONFIG", "SET", "insight.slow_log_ms", "2.5") == b"+OK\r\n"

    assert await ask(client, "CONFIG", "GET", "insight.slow_log_ms") == {
        b"insight.slow_log_ms": b"2.5"
    }
    assert served.engine.slow_s == 0.0025
    (row,) = (
        row
        for row in served.proxy.observatory.insight.config().settings
        if row.key == "insight.slow_log_ms"
    )
    assert (row.source, row.default, row.live) == ("PROXY CONFIG SET", "10.0", True)


REFUSED = {
    "an unknown key": ("nonsense.key", "1", b"-ERR nonsense.key: given a key that does not exist"),
    "a key that needs a restart": ("listen.port", "1", b"-ERR listen.port: given a change while"),
    "a wrong value": ("insight.sample_every", "-1", b"-ERR insight.sample_every: given '-1'"),
    "no text": ("insight.sample_every", b"\xff", b"-ERR syntax error"),
}


@pytest.mark.parametrize(("key", "value", "start"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_setting_that_cannot_be_is_refused_and_nothing_has_changed(
    served: Served, key: str, value: str | bytes, start: bytes
) -> None:
    client = await served.connect()
    before = served.proxy.settings

    assert (await client.call("PROXY", "CONFIG", "SET", key, value)).startswith(start)

    assert served.proxy.settings == before


async def test_whoever_monitors_sees_no_value_of_a_setting(served: Served) -> None:
    monitor, client = await served.connect(), await served.connect()
    assert await monitor.call("MONITOR") == b"+OK\r\n"

    await client.call("PROXY", "CONFIG", "SET", "admin.token", "sesame")
    await client.call("PROXY", "EXPLAIN", "AUTH", "sesame")

    lines = [await monitor.read_reply() for _ in range(2)]
    assert lines[0].endswith(b'"PROXY" "CONFIG" "SET" "admin.token" "(redacted)"\r\n')
    assert lines[1].endswith(b'"PROXY" "EXPLAIN" "AUTH" "(redacted)"\r\n')


# ---- what was noted --------------------------------------------------------------------


async def test_slow_requests_are_logged_counted_and_forgotten(cluster: FakeCluster) -> None:
    async with serve(cluster, insight={"slow_log_ms": 0.001}) as served:
        client = await served.connect_resp3()
        await client.call("CLIENT", "SETNAME", "worker")
        node = cluster.nodes[1]
        key = cluster.key_of(node)
        held = node.hold(b"GET", key)
        await client.ask("GET", key)
        await held.arrived()
        held.let_go()
        await client.read_reply()

        view = await ask(client, "SLOWLOG", "GET", 1)

        (entry,) = view[b"entries"]
        assert (entry[b"command"], entry[b"args"]) == (b"get", [b"GET", key])
        assert entry[b"client_name"] == b"worker"
        assert entry[b"nodes"] == [str(node.address).encode()]
        assert entry[b"took_ms"] >= entry[b"backend_ms"] > 0
        assert await client.call("PROXY", "SLOWLOG", "RESET") == b"+OK\r\n"
        assert await client.call("PROXY", "SLOWLOG", "LEN") == b":0\r\n"


async def test_values_that_are_big_are_noted_with_their_keys(cluster: FakeCluster) -> None:
    async with serve(cluster, insight={"big_reply_bytes": 1000}) as served:
        client = await served.connect_resp3()
        await client.call("SET", "big", "x" * 2000)
        await client.call("SET", "small", "x")
        await client.call("GET", "big")

        view = await ask(client, "BIGKEYS")

    (big,) = view[b"keys"]
    assert (big[b"key"], big[b"count"]) == (b"big", 2)
    assert big[b"size_bytes"] >= 2000


async def test_clients_are_told_with_what_they_do(
    cluster: FakeCluster, broker: Broker, served: Served
) -> None:
    plain, queueing, listening, monitor, blocked = [await served.connect() for _ in range(5)]
    await queueing.call("MULTI")
    await listening.call("SUBSCRIBE", "news")
    await monitor.call("MONITOR")
    key = cluster.key_of(cluster.nodes[0])
    cluster.nodes[0].hold(b"BLPOP")
    await blocked.ask("BLPOP", key, 0)
    await until(lambda: served.proxy.blocking.count == 1)

    view = decode(await plain.call("PROXY", "CLIENTS"))
    first = decode(await plain.call("PROXY", "CLIENTS", 1))

    rows = [pairs(row) for row in pairs(view)[b"clients"]]
    assert [row[b"mode"] for row in rows] == [
        b"normal",
        b"transaction",
        b"subscribed",
        b"monitor",
        b"blocked",
    ]
    assert (pairs(first)[b"total"], len(pairs(first)[b"clients"])) == (5, 1)


async def test_a_migration_and_its_end_are_events(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect_resp3()
    source, target = cluster.nodes[:2]
    key = cluster.key_of(source)
    slot = key_slot(key)
    await client.call("SET", key, "v")
    cluster.begin_migration(slot, target)
    cluster.migrate_key(key)
    await client.call("GET", key)
    seen = await ask(client, "EVENTS")
    moving = (await ask(client, "TOPOLOGY"))[b"moving"]
    cluster.give(slot, target)
    await client.call("GET", key)

    events = (await ask(client, "EVENTS", seen[b"last"]))[b"events"]

    assert seen[b"events"][-1][b"kind"] == b"migration_begun"
    assert moving == [
        {
            b"slot": slot,
            b"source": str(source.address).encode(),
            b"target": str(target.address).encode(),
        }
    ]
    assert {b"slot_moved", b"migration_ended"} <= {event[b"kind"] for event in events}
