"""A full house has a few places for administrators, who have to prove it at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.resp import replies
from proxy.resp.encode import encode_command

USERS = {"users": {"app": "secret", "boss": "secret"}, "admins": ("boss",)}
FULL = replies.max_clients()


@pytest.fixture
async def full(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy whose one place is taken; there is one more for an administrator."""
    listen = {"max_clients": 1, "reserved_clients": 1}
    async with serve(cluster, listen=listen, clients=USERS) as served:
        client = await served.connect()
        assert await client.call("AUTH", "app", "secret") == b"+OK\r\n"
        yield served


async def is_refused(client: RawClient, *request: str) -> None:
    await client.send(encode_command(*request), b"PING\r\n")
    await client.expect(FULL)
    await client.expect_end()


@pytest.mark.parametrize(
    "login", [("AUTH", "boss", "secret"), ("HELLO", "3", "AUTH", "boss", "secret")], ids=str
)
async def test_an_administrator_comes_in_and_works(full: Served, login: tuple[str, ...]) -> None:
    boss = await full.connect()

    assert not (await boss.call(*login)).startswith(b"-")

    assert await boss.call("GET", "key") in (b"$-1\r\n", b"_\r\n")
    assert (await boss.call("PROXY", "CLIENTS"))[:1] in (b"*", b"%")
    # Neither is there another place, nor does this one become everybody's.
    assert await (await full.connect()).read_bytes(len(FULL)) == FULL
    await boss.close()
    await until(lambda: len(full.engine.clients) == 1)
    await is_refused(await full.connect(), "AUTH", "app", "secret")


@pytest.mark.parametrize(
    "request_",
    [("PING",), ("AUTH", "app", "secret"), ("HELLO", "3", "AUTH", "app", "secret"), ("HELLO",)],
    ids=str,
)
async def test_nobody_else_does(full: Served, request_: tuple[str, ...]) -> None:
    await is_refused(await full.connect(), *request_)

    assert full.engine.refused_clients == full.engine.meter.limits["max_clients"] == 1
    assert len(full.engine.clients) == 1


async def test_a_wrong_password_may_be_followed_by_the_right_one(full: Served) -> None:
    boss = await full.connect()

    assert (await boss.call("AUTH", "boss", "wrong")).startswith(b"-WRONGPASS ")
    assert await boss.call("AUTH", "boss", "secret") == b"+OK\r\n"
    assert await boss.call("PING") == b"+PONG\r\n"


async def test_who_says_nothing_does_not_keep_the_place(full: Served) -> None:
    full.engine.extra_login_s = 0.1
    silent = await full.connect()

    await silent.expect(FULL)
    await silent.expect_end()

    boss = await full.connect()
    assert await boss.call("AUTH", "boss", "secret") == b"+OK\r\n"


async def test_who_leaves_before_a_login_leaves_the_place(full: Served) -> None:
    for _ in range(3):
        client = await full.connect()
        await until(lambda: len(full.engine.clients) == 2)
        client.vanish()
        await until(lambda: len(full.engine.clients) == 1)

    assert await (await full.connect()).call("AUTH", "boss", "secret") == b"+OK\r\n"


async def test_when_there_is_room_it_is_a_place_as_any_other(full: Served) -> None:
    (app,) = full.clients
    await app.close()
    await until(lambda: not full.engine.clients)

    client = await full.connect()

    assert await client.call("AUTH", "app", "secret") == b"+OK\r\n"
    assert await client.call("PING") == b"+PONG\r\n"


async def test_where_nobody_can_prove_it_there_is_no_such_place(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={"max_clients": 1, "reserved_clients": 1}) as served:
        await (await served.connect()).call("PING")

        assert await (await served.connect()).read_bytes(len(FULL)) == FULL
