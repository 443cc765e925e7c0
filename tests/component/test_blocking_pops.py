"""Clients that wait for keys in several slots, at several nodes, of which some misbehave."""

from __future__ import annotations

from collections import deque

import pytest
import trio
from fake_node import Fate
from queue_cluster import Queues
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies_blocking
from proxy.resp.encode import array, bulk

NIL = b"*-1\r\n"
WRONG = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"


def popped(key: bytes, element: bytes) -> bytes:
    return array([bulk(key), bulk(element)])


@pytest.fixture
def queues(cluster: FakeCluster) -> Queues:
    return Queues(cluster)


@pytest.fixture
def keys(cluster: FakeCluster) -> list[bytes]:
    """A key of each node."""
    return [cluster.key_of(node) for node in cluster.nodes]


async def waiting(served: Served, count: int = 1) -> None:
    """Wait until so many clients wait, and the news of their keys are in."""
    await until(lambda: served.proxy.blocking.count == count)
    await all_is_quiet()


async def hear_of(client: RawClient, keys: list[bytes]) -> None:
    """Have the proxy connect to all nodes for news of their keys, however long that takes."""
    await client.call("BLPOP", *keys, "0.01")
    await all_is_quiet()


async def test_the_first_key_with_an_element_is_taken_from(
    queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await queues.push(keys[1], b"b1")
    await queues.push(keys[2], b"c1", b"c2")

    assert await client.call("BLPOP", *keys, 0) == popped(keys[1], b"b1")
    assert await client.call("BRPOP", *keys, 0) == popped(keys[2], b"c2")
    assert await client.call("BLPOP", *keys, 0) == popped(keys[2], b"c1")


async def test_an_element_that_comes_later_is_served(
    queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    for key in keys:
        await client.ask("BLPOP", *keys, 0)
        await waiting(served)
        await queues.push(key, b"x")

        await client.expect(popped(key, b"x"))


async def test_nil_in_resp2_and_resp3_when_the_time_is_over(
    queues: Queues, served: Served, keys: list[bytes]
) -> None:
    two, three = await served.connect(), await served.connect_resp3()

    assert await two.call("BLPOP", *keys, "0.05") == NIL
    assert await three.call("BLPOP", *keys, "0.05") == b"_\r\n"


async def test_clients_are_served_in_the_order_in_which_they_came(
    queues: Queues, served: Served, keys: list[bytes]
) -> None:
    clients = [await served.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        await client.ask("BLPOP", *keys, 0)
        await waiting(served, number + 1)

    await queues.push(keys[0], b"0", b"1", b"2", b"3")

    for number, client in enumerate(clients):
        await client.expect(popped(keys[0], b"%d" % number))


async def test_only_as_many_try_as_there_are_elements(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    clients = [await served.connect() for _ in range(10)]
    for number, client in enumerate(clients):
        await client.ask("BLPOP", *keys, 0)
        await waiting(served, number + 1)
    tried_before = len(cluster.nodes[1].seen(b"LPOP"))

    await queues.push(keys[1], b"x")
    await clients[0].expect(popped(keys[1], b"x"))
    await all_is_quiet()

    assert len(cluster.nodes[1].seen(b"LPOP")) == tried_before + 1


async def test_the_others_are_served_when_the_first_in_line_leaves(
    queues: Queues, served: Served, keys: list[bytes]
) -> None:
    first, second = await served.connect(), await served.connect()
    for number, client in enumerate([first, second]):
        await client.ask("BLPOP", *keys, 0)
        await waiting(served, number + 1)

    first.vanish()
    await queues.push(keys[2], b"x")

    await second.expect(popped(keys[2], b"x"))


async def test_a_wrong_type_is_said_at_the_beginning_and_waited_out_later(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    cluster.nodes[1].forget_script()
    for command in (b"LLEN", b"LPOP"):
        cluster.nodes[1].once(command, keys[1], answer=WRONG)
    for command in (b"CLIENT", b"LLEN", b"LPOP"):
        cluster.nodes[1].by(command, answerer=queues.answer)

    first = await client.call("BLPOP", *keys, 0)
    await client.ask("BLPOP", *keys, 0)
    await waiting(served)
    await queues.push(keys[1], b"x")

    assert first == WRONG
    await client.expect(popped(keys[1], b"x"))


async def test_what_a_server_has_against_the_arguments_is_its_own_words(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    refusal = b"-ERR timeout is not a float or out of range\r\n"
    for node in cluster.nodes:
        node.always(b"BLPOP", answer=refusal)
    Queues(cluster)
    client = await served.connect()

    assert await client.call("BLPOP", *keys, "soon") == refusal


# ---- nodes that misbehave ---------------------------------------------------------------


async def test_a_lost_attempt_is_not_sent_again(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    cluster.nodes[0].once(b"LPOP", answer=Fate.RESET)
    queues = Queues(cluster)
    client = await served.connect()

    await client.ask("BLPOP", *keys, 0)
    await waiting(served)
    await queues.push(keys[1], b"x")

    await client.expect(popped(keys[1], b"x"))
    assert len(cluster.nodes[0].seen(b"LPOP")) == 1


async def test_a_node_that_hangs_holds_up_the_other_keys_for_a_moment_only(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await hear_of(client, keys)
    await queues.push(keys[1], b"x")
    cluster.nodes[0].freeze()

    with trio.fail_after(10):
        await client.ask("BLPOP", *keys, 0)
        await client.expect(popped(keys[1], b"x"))

    cluster.nodes[0].thaw()
    await until(lambda: served.proxy.blocking.is_quiet)


async def test_a_node_that_hung_and_answers_again_has_its_turn_again(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    node, client = cluster.nodes[0], await served.connect()
    await hear_of(client, keys)
    node.freeze()
    assert (await client.call("BLPOP", *keys, "0.01")).startswith(b"-CLUSTERDOWN ")
    node.thaw()
    await until(lambda: served.proxy.blocking.is_quiet)
    await all_is_quiet()
    await queues.push(keys[0], b"first")
    await queues.push(keys[1], b"x")

    held = node.hold(b"LLEN", keys[0])
    node.prefer_newest()
    await client.ask("BLPOP", *keys, 0)

    await client.expect(popped(keys[0], b"first"))
    held.let_go()


async def test_an_element_taken_by_an_attempt_given_up_goes_back(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await hear_of(client, keys)
    await queues.push(keys[0], b"first", b"second")
    await queues.push(keys[1], b"x")
    cluster.nodes[0].freeze()
    await client.ask("BLPOP", *keys, 0)
    await client.expect(popped(keys[1], b"x"))

    cluster.nodes[0].thaw()
    await until(lambda: served.proxy.blocking.returned)

    assert list(queues.lists[keys[0]]) == [b"first", b"second"]


async def test_a_client_that_leaves_during_an_attempt_takes_nothing(
    cluster: FakeCluster, served: Served, keys: list[bytes]
) -> None:
    held = cluster.nodes[0].hold(b"RPOP", keys[0])
    queues = Queues(cluster)
    await queues.push(keys[0], b"first")
    client = await served.connect()
    await client.ask("BRPOP", *keys, 0)
    await held.arrived()

    client.vanish()
    await until(lambda: not served.engine.clients)
    held.answer(bulk(b"last"))
    await until(lambda: served.proxy.blocking.returned)

    assert list(queues.lists[keys[0]]) == [b"first", b"last"]


async def test_a_key_that_could_not_be_reached_at_the_end_is_no_nil(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", *keys, "0.3")
    await waiting(served)

    await cluster.nodes[2].crash()

    await client.expect(replies_blocking.unreachable_at_timeout(b"blpop", key_slot(keys[2])))


async def test_news_go_on_after_their_connection_was_lost(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", *keys, 0)
    await waiting(served)

    cluster.nodes[1].lose_connections(Fate.RESET)
    await cluster.nodes[1].wait_for(b"LLEN", count=2)
    await queues.push(keys[1], b"x")

    await client.expect(popped(keys[1], b"x"))


async def test_a_successor_is_asked_for_news(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    old, new = cluster.nodes[:2]
    client = await served.connect()
    await client.ask("BLPOP", *keys, 0)
    await waiting(served)

    cluster.give_all(old, new)
    await old.crash()
    await new.wait_for(b"LLEN", keys[0])
    await queues.push(keys[0], b"x")

    await client.expect(popped(keys[0], b"x"))


async def test_a_key_in_an_open_slot_is_found_at_its_target(
    cluster: FakeCluster, queues: Queues, served: Served, keys: list[bytes]
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", *keys, 0)
    await waiting(served)

    cluster.begin_migration(key_slot(keys[0]), cluster.nodes[1])
    queues.at_target.add(keys[0])
    queues.lists[keys[0]] = deque([b"x"])

    await client.expect(popped(keys[0], b"x"))


@pytest.mark.parametrize(
    ("how", "answer"), [("TIMEOUT", NIL), ("ERROR", replies_blocking.UNBLOCKED)]
)
async def test_a_client_with_several_slots_is_unblocked(
    queues: Queues, served: Served, keys: list[bytes], how: str, answer: bytes
) -> None:
    client, other = await served.connect(), await served.connect()
    number = (await client.call("CLIENT", "ID"))[1:-2]
    await client.ask("BLPOP", *keys, 0)
    await waiting(served)

    assert await other.call("CLIENT", "UNBLOCK", number, how) == b":1\r\n"

    await client.expect(answer)
    assert served.proxy.blocking.news.watched == 0
