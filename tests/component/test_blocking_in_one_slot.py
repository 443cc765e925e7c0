"""Clients that wait at one slot's primary: what becomes of them when something else happens."""

from __future__ import annotations

import pytest
import trio
from fake_node import Fate
from queue_cluster import Queues, lost_master
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies_blocking
from proxy.resp.encode import array, bulk, encode_command

NIL = b"*-1\r\n"


def popped(key: bytes, element: bytes) -> bytes:
    return array([bulk(key), bulk(element)])


@pytest.fixture
def queues(cluster: FakeCluster) -> Queues:
    return Queues(cluster)


@pytest.fixture
def key(cluster: FakeCluster) -> bytes:
    return cluster.key_of(cluster.nodes[0])


async def test_the_command_reaches_the_server_as_the_client_sent_it(
    queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    await client.ask("bLpOp", key, "00")

    (blocked,) = await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))
    assert blocked.seen.args == [b"bLpOp", key, b"00"]


async def test_what_was_sent_behind_waits_for_it(
    queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    await client.send(
        encode_command("SET", "a", 1),
        encode_command("BLPOP", key, 0),
        encode_command("GET", "a"),
        encode_command("PING"),
    )
    await queues.wait_blocked()
    await all_is_quiet()

    await client.expect(b"+OK\r\n")
    had_more = client.has_replies
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"), b"$1\r\n1\r\n", b"+PONG\r\n")
    assert not had_more


async def test_whoever_waits_holds_up_nobody_else(
    queues: Queues, served: Served, key: bytes
) -> None:
    waiting, busy = await served.connect(), await served.connect()
    await waiting.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    assert await busy.call("SET", key + b":other", 1) == b"+OK\r\n"
    assert await busy.call("RPUSH", key, "x") == b":1\r\n"

    await waiting.expect(popped(key, b"x"))


async def test_a_connection_that_was_waited_on_is_used_again(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    for _ in range(3):
        await client.ask("BLPOP", key, 0)
        await queues.wait_blocked()
        await queues.push(key, b"x")
        await client.expect(popped(key, b"x"))

    used = {seen.connection for seen in cluster.nodes[0].seen(b"BLPOP")}
    assert len(used) == 1


# ---- the node will not have it any longer ---------------------------------------------


@pytest.mark.parametrize("fate", Fate)
async def test_a_lost_connection_is_waited_on_elsewhere_for_the_rest_of_the_time(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes, fate: Fate
) -> None:
    old, new = cluster.nodes[:2]
    client = await served.connect()
    await client.ask("BLPOP", key, 20)
    (blocked,) = await queues.wait_blocked()

    cluster.give_all(old, new)
    queues.end(blocked, fate)
    (again,) = await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))
    assert again.seen.node is new
    assert 15 < float(again.seen.args[-1]) < 20


async def test_no_time_limit_stays_none(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", key, "0.0")
    (blocked,) = await queues.wait_blocked()

    queues.end(blocked, Fate.RESET)
    (again,) = await queues.wait_blocked()

    assert again.seen.args == [b"BLPOP", key, b"0.0"]


async def test_a_demoted_primary_is_left_for_the_new_one(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    old, new = cluster.nodes[:2]
    client = await served.connect()
    await client.ask("BLPOP", key, 0)
    (blocked,) = await queues.wait_blocked()

    cluster.give_all(old, new)
    queues.end(blocked, lost_master(old))
    (again,) = await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))
    assert again.seen.node is new


async def test_a_slot_that_moves_takes_its_waiting_clients_along(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    target = cluster.nodes[1]
    client = await served.connect()
    await client.ask("BLPOP", key, 0)
    (blocked,) = await queues.wait_blocked()

    cluster.give(key_slot(key), target)
    queues.end(blocked, target.moved(key_slot(key)))
    (again,) = await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))
    assert again.seen.node is target


async def test_in_an_open_slot_the_wait_is_at_the_target(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    target = cluster.nodes[1]
    cluster.begin_migration(key_slot(key), target)
    client = await served.connect()

    await client.ask("BLPOP", key, 0)
    (blocked,) = await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))
    assert (blocked.seen.node, blocked.seen.is_asking) == (target, True)


@pytest.mark.parametrize("code", [b"CLUSTERDOWN", b"LOADING", b"TRYAGAIN", b"READONLY"])
async def test_a_refusal_is_waited_out(
    cluster: FakeCluster, served: Served, key: bytes, code: bytes
) -> None:
    cluster.nodes[0].once(b"BLPOP", answer=b"-%b for a moment\r\n" % code, times=3)
    queues = Queues(cluster)
    client = await served.connect()

    await client.ask("BLPOP", key, 0)
    await queues.wait_blocked()
    await queues.push(key, b"x")

    await client.expect(popped(key, b"x"))


async def test_any_other_error_is_the_answer(
    cluster: FakeCluster, served: Served, key: bytes
) -> None:
    wrong = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
    cluster.nodes[0].once(b"BLPOP", answer=wrong)
    Queues(cluster)
    client = await served.connect()

    assert await client.call("BLPOP", key, 0) == wrong


async def test_a_slot_that_nobody_serves_at_the_end_is_no_nil(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", key, "0.3")
    await queues.wait_blocked()

    await cluster.nodes[0].crash()

    await client.expect(replies_blocking.unreachable_at_timeout(b"blpop", key_slot(key)))


async def test_a_server_that_hangs_at_the_end_is_no_nil(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", key, "0.3")
    await queues.wait_blocked()

    cluster.nodes[0].freeze()

    await client.expect(replies_blocking.unreachable_at_timeout(b"blpop", key_slot(key)))
    cluster.nodes[0].thaw()


async def test_the_newest_entry_is_the_same_after_a_loss(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    node = cluster.nodes[0]
    entry = array([bulk(b"5-1"), array([bulk(b"f"), bulk(b"v")])])
    node.always(b"XREVRANGE", answer=array([entry]))
    first, second = node.hold(b"XREAD"), node.hold(b"XREAD")
    client = await served.connect()

    await client.ask("XREAD", "BLOCK", 0, "STREAMS", key, "$")
    asked = (await first.arrived()).args
    first.answer(Fate.CLOSE)
    asked_again = (await second.arrived()).args
    second.answer(NIL)

    await client.expect(NIL)
    assert (asked[-1], asked_again[-1]) == (b"$", b"5-1")


# ---- the client leaves ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["vanish", "finish_sending"])
async def test_a_client_that_leaves_waits_for_nothing_any_more(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes, how: str
) -> None:
    client = await served.connect()
    await client.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    leaving = getattr(client, how)()
    if leaving is not None:
        await leaving
    await until(lambda: not queues.blocked and served.proxy.blocking.is_quiet)
    await queues.push(key, b"x")

    assert not served.engine.clients
    assert list(queues.lists[key]) == [b"x"]


async def test_the_connection_of_a_client_that_left_is_clean(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client, other = await served.connect(), await served.connect()
    await client.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    client.vanish()
    await until(lambda: served.proxy.blocking.is_quiet)
    await other.ask("BLPOP", key, 0)
    await queues.wait_blocked()
    await queues.push(key, b"x")

    await other.expect(popped(key, b"x"))
    assert len({seen.connection for seen in cluster.nodes[0].seen(b"BLPOP")}) == 1


GIVEN_BACK = {"BLPOP": [b"x", b"y", b"z"], "BRPOP": [b"y", b"z", b"x"]}


@pytest.mark.parametrize(("command", "list_then"), GIVEN_BACK.items())
async def test_an_element_served_too_late_goes_back_where_it_came_from(
    queues: Queues, served: Served, key: bytes, command: str, list_then: list[bytes]
) -> None:
    client = await served.connect()
    await client.ask(command, key, 0)
    (blocked,) = await queues.wait_blocked()
    await queues.push(key + b":unrelated", b"-")

    # The server has served it, and the reply is on its way, when the client goes.
    queues.blocked.remove(blocked)
    queues.lists[key] = type(queues.lists[key + b":unrelated"])([b"y", b"z"])
    client.vanish()
    await until(lambda: not served.engine.clients)
    blocked.end(popped(key, b"x"))
    await until(lambda: served.proxy.blocking.is_quiet)

    assert list(queues.lists[key]) == list_then
    assert (served.proxy.blocking.returned, served.proxy.blocking.lost) == (1, 0)


async def test_an_element_that_cannot_be_put_back_is_counted(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    cluster.nodes[0].forget_script()
    cluster.nodes[0].always(b"LPUSH", answer=b"-WRONGTYPE somebody has set it\r\n")
    queues = Queues(cluster)
    client = await served.connect()
    await client.ask("BLPOP", key, 0)
    (blocked,) = await queues.wait_blocked()

    queues.blocked.remove(blocked)
    client.vanish()
    await until(lambda: not served.engine.clients)
    blocked.end(popped(key, b"x"))
    await until(lambda: served.proxy.blocking.is_quiet)

    assert (served.proxy.blocking.returned, served.proxy.blocking.lost) == (0, 1)


# ---- CLIENT UNBLOCK, and who is seen to wait ------------------------------------------------


@pytest.mark.parametrize(
    ("how", "answer"),
    [((), NIL), (("TIMEOUT",), NIL), (("error",), replies_blocking.UNBLOCKED)],
    ids=["as a timeout", "TIMEOUT", "ERROR"],
)
async def test_a_client_is_unblocked_by_another(
    queues: Queues, served: Served, key: bytes, how: tuple[str, ...], answer: bytes
) -> None:
    client, other = await served.connect(), await served.connect()
    number = (await client.call("CLIENT", "ID"))[1:-2]
    await client.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    first = await other.call("CLIENT", "UNBLOCK", number, *how)
    await client.expect(answer)
    second = await other.call("CLIENT", "UNBLOCK", number, *how)

    assert (first, second) == (b":1\r\n", b":0\r\n")


async def test_a_client_that_has_been_served_already_is_not_unblocked(
    cluster: FakeCluster, queues: Queues, served: Served, key: bytes
) -> None:
    client, other = await served.connect(), await served.connect()
    number = (await client.call("CLIENT", "ID"))[1:-2]
    await client.ask("BLPOP", key, 0)
    (blocked,) = await queues.wait_blocked()

    queues.blocked.remove(blocked)
    await other.ask("CLIENT", "UNBLOCK", number)
    await cluster.nodes[0].wait_for(b"CLIENT", b"UNBLOCK")
    blocked.end(popped(key, b"x"))

    await client.expect(popped(key, b"x"))
    await other.expect(b":0\r\n")


async def test_who_waits_is_seen(queues: Queues, served: Served, key: bytes) -> None:
    client, other = await served.connect(), await served.connect()
    await client.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    listed = await other.call("CLIENT", "LIST")
    count = served.proxy.blocking.count
    await queues.push(key, b"x")
    await client.expect(popped(key, b"x"))

    assert listed.count(b" flags=b ") == 1
    assert (count, served.proxy.blocking.count) == (1, 0)
    assert b" flags=b " not in await other.call("CLIENT", "LIST")


async def test_a_proxy_that_stops_lets_nobody_take_anything(
    cluster: FakeCluster, queues: Queues, key: bytes
) -> None:
    async with serve(cluster) as served:
        client = await served.connect()
        await client.ask("BLPOP", key, 0)
        await queues.wait_blocked()

        with trio.fail_after(2):
            await served.proxy.drain()

        await client.expect_end()
        assert queues.blocked == []
