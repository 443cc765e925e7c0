"""Law 1: replies leave in request order, per client, whatever order shards answer in."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing
from fake_node import Answer, FakeNode, Seen
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve

from proxy.resp import replies
from proxy.resp.encode import array, bulk, encode_command, integer


class DrawnLots:
    """Lets one node at a time give one answer; which one is drawn by lot."""

    def __init__(self, cluster: FakeCluster, seed: int) -> None:
        self._random = random.Random(seed)
        self._waiting: list[trio.Event] = []
        for node in cluster.nodes:
            node.by(answerer=self._wait_for_turn)

    async def _wait_for_turn(self, seen: Seen) -> Answer:
        turn = trio.Event()
        self._waiting.append(turn)
        await turn.wait()
        return seen.node.cluster.answer(seen)

    async def run(self) -> None:
        """Draw, for ever; only when nobody is left to draw from, wait for more."""
        while True:
            if self._waiting:
                self._waiting.pop(self._random.randrange(len(self._waiting))).set()
                for _ in range(self._random.randrange(6)):
                    await trio.lowlevel.checkpoint()
            else:
                await trio.testing.wait_all_tasks_blocked()


def dialogue(
    lots: random.Random, keys: list[bytes], length: int
) -> tuple[list[bytes], list[bytes]]:
    """Return requests on these keys, and the replies that a server alone would give."""
    store: dict[bytes, bytes] = {}
    requests: list[bytes] = []
    wanted: list[bytes] = []

    def add(reply: bytes, *args: bytes) -> None:
        requests.append(encode_command(*args))
        wanted.append(reply)

    for number in range(length):
        key = lots.choice(keys)
        text = b"%d" % number
        some = [lots.choice(keys) for _ in range(lots.randrange(2, 8))]
        match lots.randrange(8):
            case 0 | 1:
                store[key] = text
                add(replies.OK, b"SET", key, text)
            case 2 | 3:
                add(bulk(store.get(key)), b"GET", key)
            case 4:
                add(array([bulk(store.get(each)) for each in some]), b"MGET", *some)
            case 5:
                present = sum(store.pop(each, None) is not None for each in some)
                add(integer(present), b"DEL", *some)
            case 6:
                add(bulk(text), b"ECHO", text)
            case _:
                add(replies.wrong_arity(b"get"), b"GET")
    return requests, wanted


@pytest.mark.parametrize("seed", range(3))
async def test_replies_leave_in_request_order_under_shuffled_shard_latencies(
    cluster: FakeCluster, served: Served, nursery: trio.Nursery, seed: int
) -> None:
    lots = random.Random(seed)
    nursery.start_soon(DrawnLots(cluster, seed).run)

    async def converse(number: int) -> None:
        keys = [b"%d:%d" % (number, each) for each in range(12)]
        requests, wanted = dialogue(lots, keys, 200)
        client = await served.connect()
        async with trio.open_nursery() as both_ways:
            both_ways.start_soon(send_in_pieces, client, b"".join(requests), lots)
            for reply in wanted:
                await client.expect(reply)

    async with trio.open_nursery() as clients:
        for number in range(4):
            clients.start_soon(converse, number)


async def send_in_pieces(client: RawClient, data: bytes, lots: random.Random) -> None:
    """Send all of it, cut anywhere."""
    while data:
        length = lots.choice([1, 7, 100, 1000, 5000])
        await client.send(data[:length])
        data = data[length:]


async def test_an_answer_of_the_proxy_itself_waits_for_earlier_ones(
    cluster: FakeCluster, served: Served
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    held = cluster.nodes[0].hold(b"GET", key)
    client = await served.connect()
    await client.send(encode_command("GET", key), b"PING\r\n", encode_command("ECHO", "x"))
    await held.arrived()
    await all_is_quiet()
    assert not client.has_replies

    held.let_go()

    await client.expect(b"$-1\r\n", b"+PONG\r\n", b"$1\r\nx\r\n")


async def test_a_command_that_leaves_the_hot_road_waits_for_earlier_ones_and_holds_later_ones(
    cluster: FakeCluster, served: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"SET", key)
    client = await served.connect()
    await client.send(
        encode_command("SET", key, 1), encode_command("DBSIZE"), encode_command("GET", key)
    )
    await held.arrived()
    await all_is_quiet()
    assert all(each.seen(b"DBSIZE") == [] for each in cluster.nodes)
    size = node.hold(b"DBSIZE")

    held.let_go()
    await size.arrived()
    await all_is_quiet()
    assert node.seen(b"GET") == []
    size.let_go()

    await client.expect(b"+OK\r\n", b":1\r\n", b"$1\r\n1\r\n")


async def test_clients_share_as_many_connections_to_a_node_as_the_setting_says(
    cluster: FakeCluster,
) -> None:
    node = cluster.nodes[0]
    keys = cluster.keys_of(node, 30)
    async with serve(cluster, cluster={"connections_per_node": 3}) as served:
        clients = [await served.connect() for _ in range(9)]
        for client in clients:
            await client.send(*[encode_command("SET", key, "v") for key in keys])
        for client in clients:
            await client.expect(*[b"+OK\r\n"] * 30)

    by_connection: dict[object, list[bytes]] = {}
    for seen in node.seen(b"SET"):
        by_connection.setdefault(seen.connection, []).append(seen.args[1])
    assert list(by_connection.values()) == [keys * 3] * 3


async def test_requests_of_one_client_to_one_node_are_one_stream_in_order(
    cluster: FakeCluster, served: Served
) -> None:
    node: FakeNode = cluster.nodes[1]
    keys = cluster.keys_of(node, 50)
    client = await served.connect()

    await client.send(*[encode_command("SET", key, "v") for key in keys])
    await client.expect(*[b"+OK\r\n"] * 50)

    assert [args[1] for args in node.requests] == keys
    assert len({seen.connection for seen in node.log if seen.args[0] == b"SET"}) == 1
