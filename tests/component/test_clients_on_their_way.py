"""What a client is goes along to another process, if there is a place for one like it there."""

from __future__ import annotations

import json
import socket

import pytest
from broker import Broker
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.control.connection import Credentials
from proxy.control.pools import LaneKey, key_of
from proxy.dataplane.client import Client
from proxy.sessions.moving import Record, can_move, record_of

EVERY_BYTE = bytes(range(256))


def one_client(served: Served) -> Client:
    (client,) = served.engine.clients.values()
    return client


async def test_a_record_holds_every_byte(served: Served) -> None:
    await (await served.connect()).call("PING")
    client = one_client(served)
    client.state.name = client.state.user = EVERY_BYTE
    key = LaneKey(3, Credentials((EVERY_BYTE, EVERY_BYTE)), 7)
    served.engine.use_lane(client, served.proxy.pools.lane(key))

    record = Record.unpack(record_of(client).pack())

    assert record == record_of(client)
    assert record.name.encode("latin-1") == EVERY_BYTE
    assert (record.resp, record.database) == (3, 7)


@pytest.mark.parametrize(
    "packed",
    [b"", b"[]", b"{}", b'{"credentials": null, "id": 1}', pytest.param(b"[" * 20_000, id="deep")],
)
def test_what_is_no_record_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=":"):
        Record.unpack(packed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", 1),
        ("name", "\u0100"),
        ("id", -1),
        ("id", 1 << 63),
        ("resp", 4),
        ("reply_mode", 3),
        ("bytes_in", 1.5),
        ("created_s", float("nan")),
        ("told", ["a"]),
        ("credentials", "x"),
        ("more", 1),
    ],
)
async def test_a_record_that_no_client_can_have_is_refused(
    served: Served, name: str, value: object
) -> None:
    await (await served.connect()).call("PING")
    fields = json.loads(record_of(one_client(served)).pack())

    with pytest.raises(ValueError, match=name):
        Record.unpack(json.dumps(fields | {name: value}).encode())


async def test_a_number_is_given_once(cluster: FakeCluster, served: Served) -> None:
    first, second = await served.connect(), await served.connect()
    await first.call("PING")
    await second.call("PING")
    async with serve(cluster) as after:
        one, other = served.engine.clients.values()
        taken = await move(one, served, after, id=7)
        assert await move(other, served, after, id=7) is None
        newcomer = await after.connect()
        assert await newcomer.call("CLIENT", "ID") == b":8\r\n"
        assert taken is after.engine.clients[7]
        assert await first.call("CLIENT", "ID") == b":7\r\n"
        first.vanish()


@pytest.mark.parametrize(
    "command",
    ["MULTI", "WATCH a", "SUBSCRIBE a", "MONITOR", "CLIENT TRACKING ON BCAST"],
)
async def test_who_has_open_ends_cannot_move(broker: Broker, served: Served, command: str) -> None:
    client = await served.connect()
    await client.call("HELLO", 3)
    assert can_move(one_client(served))

    await client.ask(*command.split())

    await until(lambda: not can_move(one_client(served)))


async def move(raw: Client, before: Served, after: Served, **changes: object) -> Client | None:
    """Move a client from one proxy to another, as if another process had written its record."""
    before.engine.hold(raw)
    await until(lambda: before.engine.is_at_rest(raw))
    record = record_of(raw)
    fd, unread = before.engine.give_away(raw)
    fields = {name: getattr(record, name) for name in Record.__slots__} | changes
    taken = after.proxy.arrivals.take(Record(**fields), fd, unread)
    if taken is None:
        socket.close(fd)
    return taken


async def test_a_client_goes_on_with_another_proxy(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()
    await client.call("HELLO", 3, "SETNAME", "ada")
    async with serve(cluster) as after:
        taken = await move(one_client(served), served, after)
        assert taken is not None
        assert await client.call("CLIENT", "GETNAME") == b"$3\r\nada\r\n"
        assert key_of(taken.lane).resp == 3
        assert not served.engine.clients
        client.vanish()


async def test_a_client_of_a_user_that_is_gone_has_no_place(
    cluster: FakeCluster, served: Served
) -> None:
    client = await served.connect()
    await client.call("PING")
    async with serve(cluster, clients={"users": {"ada": "lovelace"}}) as after:
        assert await move(one_client(served), served, after, user="eve") is None


async def test_a_client_with_rights_of_its_own_has_no_place_where_there_are_none(
    cluster: FakeCluster, served: Served
) -> None:
    client = await served.connect()
    await client.call("PING")
    async with serve(cluster) as after:
        assert await move(one_client(served), served, after, credentials=("eve", "x")) is None


async def test_who_has_not_logged_in_still_has_to(cluster: FakeCluster) -> None:
    users = {"users": {"ada": "lovelace"}}
    async with serve(cluster, clients=users) as before, serve(cluster, clients=users) as after:
        client = await before.connect()
        assert (await client.call("GET", "a")).startswith(b"-NOAUTH")

        await move(one_client(before), before, after)

        assert (await client.call("GET", "a")).startswith(b"-NOAUTH")
        assert await client.call("AUTH", "ada", "lovelace") == b"+OK\r\n"
        client.vanish()
