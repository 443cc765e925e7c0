"""Rates of users: who is refused or slowed, and that other settings hold at once."""

from __future__ import annotations

from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.control.rates import RateRule
from proxy.resp import replies_limits as say
from proxy.resp.encode import encode_command

USERS = {"users": {"batch": "pb", "web": "pw"}}
# So slow that no token comes back while a test runs.
NEVER = 0.001

NONE_BUT_ONE = RateRule(
    users=("*",),
    commands_per_s=NEVER,
    bytes_per_s=0,
    burst_s=0,
    is_shared=False,
    refuses=False,
)


def rate(**keys: object) -> dict[str, object]:
    return {"users": ["batch"], "mode": "refuse", **keys}


def three_commands(**keys: object) -> dict[str, object]:
    """Return a table that lets three commands pass."""
    return rate(commands_per_s=NEVER, burst_s=3 / NEVER, **keys)


TOO_FAST = say.over_rate(b"batch", b"commands_per_s", NEVER)


async def test_the_clients_of_a_user_share_a_rate_and_others_have_none(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, clients=USERS, rate=[three_commands()]) as served:
        one, two, other = [await served.connect() for _ in range(3)]
        for client in (one, two):
            assert await client.call("AUTH", "batch", "pb") == b"+OK\r\n"
        assert await other.call("AUTH", "web", "pw") == b"+OK\r\n"

        assert [await one.call("PING"), await two.call("PING"), await one.call("PING")] == [
            b"+PONG\r\n"
        ] * 3
        assert await one.call("PING") == await two.call("PING") == TOO_FAST
        assert await two.call("GET", "key") == TOO_FAST
        assert await other.call("GET", "key") == b"$-1\r\n"
        assert served.engine.meter.limits["rate_commands_per_s"] == 3


async def test_a_rate_for_each_client(cluster: FakeCluster) -> None:
    rates = [three_commands(users=["*"], per="client")]
    async with serve(cluster, rate=rates) as served:
        one, two = await served.connect(), await served.connect()

        for client in (one, two):
            assert [await client.call("PING") for _ in range(3)] == [b"+PONG\r\n"] * 3
            assert await client.call("PING") == say.over_rate(b"default", b"commands_per_s", NEVER)


async def test_the_first_table_that_names_a_user_counts(cluster: FakeCluster) -> None:
    rates = [three_commands(), rate(users=["*"], commands_per_s=NEVER, burst_s=0)]
    async with serve(cluster, clients=USERS, rate=rates) as served:
        client = await served.connect()
        assert await client.call("AUTH", "batch", "pb") == b"+OK\r\n"
        assert [await client.call("PING") for _ in range(3)] == [b"+PONG\r\n"] * 3
        assert await client.call("PING") == TOO_FAST

        other = await served.connect()
        assert await other.call("AUTH", "web", "pw") == b"+OK\r\n"
        assert await other.call("PING") == b"+PONG\r\n"
        assert await other.call("PING") == say.over_rate(b"web", b"commands_per_s", NEVER)


async def test_who_logs_in_as_somebody_else_has_another_rate(cluster: FakeCluster) -> None:
    async with serve(cluster, clients=USERS, rate=[three_commands()]) as served:
        client = await served.connect()
        await client.call("AUTH", "web", "pw")
        seen = next(iter(served.engine.clients.values()))
        assert seen.allowance is None

        await client.call("HELLO", "3", "AUTH", "batch", "pb")
        assert seen.allowance is not None

        await client.call("RESET")
        assert seen.allowance is None


async def test_a_slow_client_goes_on_by_itself_and_nothing_is_lost(cluster: FakeCluster) -> None:
    keys = cluster.keys_of(cluster.nodes[0], 20)
    rates = [{"commands_per_s": 200, "burst_s": 0.01}]
    async with serve(cluster, rate=rates) as served:
        client = await served.connect()

        await client.send(*[encode_command("SET", key, "v") for key in keys])

        await client.expect(b"+OK\r\n" * 20)
        assert [args[1] for args in cluster.nodes[0].requests] == keys
        assert served.engine.meter.limits["rate_commands_per_s"] > 0


async def test_a_transaction_is_slowed_and_never_refused(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    rates = [{"commands_per_s": 200, "burst_s": 0.01, "mode": "refuse"}]
    async with serve(cluster, rate=rates) as served:
        client = await served.connect()
        assert await client.call("MULTI") == b"+OK\r\n"

        await client.send(*[encode_command("SET", key, n) for n in range(10)])
        await client.expect(b"+QUEUED\r\n" * 10)


async def test_bytes_of_replies_count(cluster: FakeCluster) -> None:
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = b"x" * 5000
    async with serve(
        cluster, rate=[rate(users=["*"], bytes_per_s=NEVER, burst_s=1000 / NEVER)]
    ) as served:
        client = await served.connect()
        assert len(await client.call("GET", key)) > 5000

        assert await client.call("PING") == b"+PONG\r\n"  # now what it was sent is charged
        assert await client.call("PING") == say.over_rate(b"default", b"bytes_per_s", NEVER)
        assert served.engine.meter.limits["rate_bytes_per_s"] == 1


async def test_other_rates_hold_at_once_and_let_go_who_waits(served: Served) -> None:
    client = await served.connect()
    rates = served.proxy.rates
    rates.replace([NONE_BUT_ONE])
    await client.send(encode_command("PING") * 3)
    await client.expect(b"+PONG\r\n")
    seen = next(iter(served.engine.clients.values()))
    await until(lambda: seen.stopped_by == ("its rate",))
    view = served.proxy.observatory.insight.clients(1)
    assert view.clients[0].stopped_by == "its rate"

    rates.replace([])

    await client.expect(b"+PONG\r\n" * 2)
    assert seen.allowance is None


async def test_proxy_config_set_changes_rates(cluster: FakeCluster) -> None:
    async with serve(cluster) as served:
        client = await served.connect()

        text = '[{"users": ["*"], "commands_per_s": 0.001, "burst_s": 0, "mode": "refuse"}]'
        assert await client.call("PROXY", "CONFIG", "SET", "rate", text) == b"+OK\r\n"

        assert await client.call("PING") == b"+PONG\r\n"
        assert await client.call("PING") == say.over_rate(b"default", b"commands_per_s", 0.001)
