"""What has been answered is read to the end, although the client goes on sending."""

from __future__ import annotations

import pytest
import trio
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp.encode import bulk, encode_command

VALUE = b"x" * 50_000
# More than a slow reader's kernel takes, less than ours holds for it: written and not yet sent.
REPLIES = 20
# Nobody reads these any more; unread input turns a plain close into a reset.
TOO_LATE = encode_command("GET", "too-late") * 100


@pytest.fixture
async def slow_reader(cluster: FakeCluster, served: Served) -> RawClient:
    """Return a client that has asked for much, been answered everything, and read nothing."""
    key = cluster.key_of(cluster.nodes[0])
    cluster.store[key] = VALUE
    client = await served.connect(receive_buffer_bytes=4096)
    await client.send(encode_command("GET", key) * REPLIES)
    (seen,) = served.engine.clients.values()
    await until(lambda: seen.bytes_out == REPLIES * len(bulk(VALUE)))
    return client


async def send_for_ever(client: RawClient) -> None:
    while True:
        await client.send(b"x" * 65536)


async def test_a_drain_lets_a_pipelining_client_read_every_reply(
    served: Served, slow_reader: RawClient
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.proxy.drain)
        await until(lambda: not served.engine.clients)
        await slow_reader.send(TOO_LATE)

        await slow_reader.expect(bulk(VALUE) * REPLIES)
        await slow_reader.expect_end()


@pytest.mark.parametrize(
    ("last", "answer"),
    [
        (encode_command("QUIT"), b"+OK\r\n"),
        (b"*1\r\n!", b"-ERR Protocol error: expected '$', got '!'\r\n"),
    ],
    ids=["quit", "protocol error"],
)
async def test_the_last_reply_arrives_whatever_was_sent_behind_it(
    served: Served, slow_reader: RawClient, last: bytes, answer: bytes
) -> None:
    await slow_reader.send(last, TOO_LATE)
    await until(lambda: not served.engine.clients)
    await slow_reader.send(TOO_LATE)

    await slow_reader.expect(bulk(VALUE) * REPLIES, answer)
    await slow_reader.expect_end()


async def test_a_client_that_is_turned_away_reads_why(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={"max_clients": 1}) as served:
        await (await served.connect()).call("PING")
        client = await served.connect()
        await client.send(TOO_LATE)
        await until(lambda: served.engine.refused_clients == 1)
        await all_is_quiet()
        await client.send(TOO_LATE)

        await client.expect(b"-ERR max number of clients reached\r\n")
        await client.expect_end()


async def test_nothing_is_kept_of_those_who_have_read_everything(
    served: Served, slow_reader: RawClient
) -> None:
    await slow_reader.send(encode_command("QUIT"), TOO_LATE)
    await until(lambda: served.engine.leaving == 1)

    await slow_reader.expect(bulk(VALUE) * REPLIES, b"+OK\r\n")
    await slow_reader.close()

    await until(lambda: served.engine.leaving == 0)


async def test_a_drain_does_not_wait_for_those_who_have_everything(cluster: FakeCluster) -> None:
    # Shorter than who has not everything may stay, so only the other rule ends this.
    async with serve(cluster, listen={"drain_s": 4.0}) as served:
        client = await served.connect()
        assert await client.call("PING") == b"+PONG\r\n"

        await served.proxy.drain()

        assert served.engine.leaving == 0
        await client.expect_end()


async def test_who_never_stops_sending_is_closed_in_the_end(
    served: Served, slow_reader: RawClient
) -> None:
    await slow_reader.send(encode_command("QUIT"))
    await until(lambda: served.engine.leaving == 1)

    with pytest.raises(trio.BrokenResourceError):
        await send_for_ever(slow_reader)

    assert served.engine.leaving == 0


async def test_who_is_killed_is_not_waited_for(served: Served, slow_reader: RawClient) -> None:
    (client,) = served.engine.clients.values()

    await slow_reader.send(TOO_LATE)
    client.close()

    assert served.engine.leaving == 0


async def test_as_many_as_may_linger_do_and_the_next_is_closed(served: Served) -> None:
    served.engine.leaving_limit = 2
    clients = [await served.connect() for _ in range(3)]
    for client in clients:
        await client.send(encode_command("QUIT"), TOO_LATE)

    await until(lambda: not served.engine.clients)

    assert served.engine.leaving == 2
    for client in clients:
        await client.expect(b"+OK\r\n")
        client.vanish()
    await until(lambda: served.engine.leaving == 0)
