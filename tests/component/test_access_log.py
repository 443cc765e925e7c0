"""The access log: a line for a request, and in it nothing that a client may want to hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import structlog
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import serve, until
from structlog.testing import LogCapture

from proxy.cluster.slots import key_slot

KEY, VALUE = b"user:12345", b"value-nobody-may-see"
Line = dict[str, object]


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """What is logged, as the fields that were given."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.reset_defaults()


def every_one(**log: object) -> dict[str, Mapping[str, object]]:
    """Return the settings for a line about each request."""
    return {"insight": {"sample_every": 1}, "log": {"access_every": 1, **log}}


def requests(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["event"] == "request"]


async def told(lines: list[Line], client: RawClient, *request: bytes) -> Line:
    """Send a request and return its line."""
    before = len(requests(lines))
    await client.call(*request)
    await until(lambda: len(requests(lines)) > before)
    (line,) = requests(lines)[before:]
    return line


async def test_a_line_says_who_asked_what_of_whom_and_what_became_of_it(
    cluster: FakeCluster, lines: list[Line]
) -> None:
    node = cluster.owners[key_slot(KEY)]
    async with serve(cluster, **every_one(access_keys="show")) as served:
        client = await served.connect()
        await told(lines, client, b"SET", KEY, VALUE)

        line = await told(lines, client, b"GET", KEY)

        (known,) = served.engine.clients.values()
        assert line["client"] == known.id
        assert line["address"] == known.address
    assert line.pop("ms") >= line.pop("node_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "_always": True,
        "client": line["client"],
        "address": line["address"],
        "user": b"default",
        "command": b"get",
        "keys": ["user:12345"],
        "slot": key_slot(KEY),
        "node": str(node.address),
        "parts": 1,
        "redirects": 0,
        "resends": 0,
        "request_bytes": len(b"*2\r\n$3\r\nGET\r\n$10\r\nuser:12345\r\n"),
        "reply_bytes": len(b"$20\r\n\r\n") + len(VALUE),
        "outcome": "ok",
    }


async def test_keys_are_hashes_that_can_be_compared(
    cluster: FakeCluster, lines: list[Line]
) -> None:
    async with serve(cluster, **every_one()) as served:
        client = await served.connect()
        first = await told(lines, client, b"SET", KEY, VALUE)
        again = await told(lines, client, b"GET", KEY)
        other = await told(lines, client, b"GET", b"user:2")

    assert first["keys"] == again["keys"] != other["keys"]
    assert KEY.decode() not in repr(lines)
    assert VALUE.decode() not in repr(lines)


async def test_hidden_keys_have_no_field(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(cluster, **every_one(access_keys="hide")) as served:
        line = await told(lines, await served.connect(), b"SET", KEY, VALUE)

    assert "keys" not in line
    assert KEY.decode() not in repr(lines)


async def test_a_split_request_is_one_line(cluster: FakeCluster, lines: list[Line]) -> None:
    keys = [cluster.key_of(node) for node in cluster.nodes]
    async with serve(cluster, **every_one()) as served:
        line = await told(lines, await served.connect(), b"MGET", *keys)

    assert line["parts"] == 3
    assert set(str(line["node"]).split(",")) == {str(node.address) for node in cluster.nodes}
    assert len(line["keys"]) == 3
    assert "slot" not in line


async def test_a_redirect_is_counted(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(cluster, **every_one()) as served:
        client = await served.connect()
        await told(lines, client, b"SET", KEY, VALUE)
        slot = key_slot(KEY)
        new = next(node for node in cluster.nodes if node is not cluster.owners[slot])
        cluster.owners[slot] = new

        line = await told(lines, client, b"GET", KEY)

    assert (line["redirects"], line["resends"], line["node"]) == (1, 1, str(new.address))


async def test_an_error_is_the_outcome(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(cluster, **every_one()) as served:
        client = await served.connect()
        wrong = await told(lines, client, b"GET")
        own = await told(lines, client, b"PING")

    assert wrong["outcome"] == b"ERR"
    assert (own["outcome"], own["parts"]) == ("ok", 0)
    assert "node" not in own


async def test_one_in_so_many_is_told(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(cluster, **every_one(access_every=10)) as served:
        client = await served.connect()
        for _ in range(100):
            await client.call("GET", KEY)
        await until(lambda: len(requests(lines)) >= 10)

    assert len(requests(lines)) == 10


async def test_without_it_there_is_no_line(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(cluster, insight={"sample_every": 1}) as served:
        await (await served.connect()).call("GET", KEY)

    assert requests(lines) == []


async def test_a_password_is_in_no_line(cluster: FakeCluster, lines: list[Line]) -> None:
    async with serve(
        cluster, **every_one(access_keys="show"), clients={"users": {"app": "hunter2"}}
    ) as served:
        client = await served.connect()
        await client.call("AUTH", "app", "hunter3")
        await client.call("AUTH", "app", "hunter2")
        await client.call("HELLO", "3", "AUTH", "app", "hunter2")
        line = await told(lines, client, b"GET", KEY)

    assert line["user"] == b"app"
    assert "hunter" not in repr(lines)


async def test_it_can_be_switched_on_while_the_proxy_runs(
    cluster: FakeCluster, lines: list[Line]
) -> None:
    async with serve(cluster, insight={"sample_every": 1}) as served:
        client = await served.connect()
        await client.call("GET", KEY)
        assert requests(lines) == []

        served.proxy.reloader.change("log.access_every", "1")
        served.proxy.reloader.change("log.access_keys", "show")

        assert (await told(lines, client, b"GET", KEY))["keys"] == [KEY.decode()]
