"""Once waiting has proven hopeless, requests for a node are answered at once, until it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fake_node import FakeNode
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.cluster.slots import key_slot
from proxy.dataplane.lane import Pipeline
from proxy.resp import replies
from proxy.resp.encode import encode_command

HASTY_S = 0.4
OPENS_S = 0.3
HASTY = {"request_timeout_s": HASTY_S, "breaker_after_s": OPENS_S, "health_failures": 2}


@pytest.fixture(params=[0.05, 0.0], ids=["checked", "unchecked"])
async def hasty(request: pytest.FixtureRequest, cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return an impatient proxy, with and without health checks."""
    async with serve(cluster, cluster={**HASTY, "health_interval_s": request.param}) as served:
        yield served


def pipeline_to(served: Served, node: FakeNode) -> Pipeline:
    """Return the RESP2 pipeline to a node."""
    return served.proxy.pools.lane_for(2).pipeline_to(served.proxy.routes.number(node.address))


def events(served: Served) -> list[str]:
    """Return what became of breakers."""
    view = served.proxy.observatory.insight.events(0)
    return [str(event.kind) for event in view.events if "breaker" in event.kind]


async def open_breaker(served: Served, node: FakeNode, key: bytes) -> None:
    """Wait for a node in vain until its breaker opens."""
    client = await served.connect()
    while served.proxy.breakers.opened_s(node.address) is None:
        assert (await client.call("GET", key)).startswith(b"-")


def is_given_up(reply: bytes, node: FakeNode, key: bytes) -> bool:
    """Return whether a reply is the breaker's."""
    begin = f"-CLUSTERDOWN {node.address}, which has slot {key_slot(key)}, has not answered "
    return reply.startswith(begin.encode()) and b"breaker_after_s is %g" % OPENS_S in reply


@pytest.mark.parametrize("fate", ["dead", "hung"])
async def test_it_opens_after_a_wait_in_vain_and_closes_with_a_sign_of_life(
    cluster: FakeCluster, hasty: Served, fate: str
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await hasty.connect()
    assert await client.call("SET", key, 1) == b"+OK\r\n"
    await node.crash() if fate == "dead" else node.freeze()

    await open_breaker(hasty, node, key)
    sent = len(node.requests)
    answered = [await client.call("SET", key, 2) for _ in range(50)]

    assert all(is_given_up(reply, node, key) for reply in answered)
    assert hasty.engine.spared >= 50
    assert len(node.requests) == sent
    await cluster.restart(node) if fate == "dead" else node.thaw()
    await until(lambda: hasty.proxy.breakers.opened_s(node.address) is None)
    assert await client.call("SET", key, 3) == b"+OK\r\n"
    assert events(hasty) == ["breaker_opened", "breaker_closed"]


async def test_what_waits_is_answered_when_it_opens_and_other_shards_do_not_notice(
    cluster: FakeCluster, hasty: Served
) -> None:
    node, other = cluster.nodes[:2]
    keys, elsewhere = cluster.keys_of(node, 3), cluster.key_of(other)
    await node.crash()
    first, second = await hasty.connect(), await hasty.connect()

    await first.ask("SET", keys[0], 1)
    await until(lambda: pipeline_to(hasty, node).unsent_count == 1)
    await until(lambda: hasty.proxy.pools.failed_dials > 3)
    await second.send(
        encode_command("SET", keys[1], 1),
        encode_command("SET", elsewhere, 1),
        encode_command("MSET", keys[2], 1, elsewhere, 2),
    )

    assert await first.read_reply() == replies.never_sent(key_slot(keys[0]), HASTY_S)
    waited, through, split = await second.read_replies(3)
    assert is_given_up(waited, node, keys[1])
    assert through == b"+OK\r\n"
    assert split.startswith(b"-CLUSTERDOWN 1 of 2 parts of 'mset' failed")
    assert cluster.store == {elsewhere: b"2"}
    assert hasty.engine.in_flight == 0


async def patient_with_an_open_breaker(served: Served, node: FakeNode, key: bytes) -> None:
    """Open a node's breaker; whoever waits for the node from now on waits longer than a test."""
    await node.crash()
    await open_breaker(served, node, key)
    served.proxy.reloader.change("cluster.request_timeout_s", "600")


FANNED_OUT = {
    "a sum": ("DBSIZE",),
    "keys": ("KEYS", "*"),
    "a script": ("SCRIPT", "LOAD", "return 1"),
    "everything goes": ("FLUSHALL",),
    "a report": ("INFO",),
    "a page of a scan": ("SCAN", "0"),
    "watched keys": ("WATCH", "%"),
}


@pytest.mark.parametrize("words", FANNED_OUT.values(), ids=FANNED_OUT)
async def test_what_needs_a_node_beside_others_does_not_wait_for_it_either(
    cluster: FakeCluster, hasty: Served, words: tuple[str, ...]
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    await patient_with_an_open_breaker(hasty, node, key)
    client = await hasty.connect()

    reply = await client.call(*(key if word == "%" else word for word in words))

    assert reply.startswith(b"-CLUSTERDOWN ")
    assert f"{node.address} has not answered".encode() in reply
    assert b"breaker_after_s is %g" % OPENS_S in reply


async def test_what_any_node_can_say_another_one_says(cluster: FakeCluster, hasty: Served) -> None:
    node = cluster.nodes[0]
    for each in cluster.nodes:
        each.always(b"CONFIG", answer=b"*0\r\n")
    await patient_with_an_open_breaker(hasty, node, cluster.key_of(node))

    for _ in cluster.nodes:  # each has the next number, and by it another node
        client = await hasty.connect()
        assert await client.call("CONFIG", "GET", "maxmemory") == b"*0\r\n"
        assert (await client.call("NO-SUCH", "a")).startswith(b"-ERR unknown command")


async def test_a_script_is_killed_on_a_node_that_nobody_hopes_for(
    cluster: FakeCluster, hasty: Served
) -> None:
    """It is silent because of the script: what ends that has to get through."""
    node = cluster.nodes[0]
    node.freeze()
    await open_breaker(hasty, node, cluster.key_of(node))
    hasty.proxy.reloader.change("cluster.request_timeout_s", "600")
    for each in cluster.nodes:
        each.always(b"SCRIPT", answer=b"+OK\r\n" if each is node else b"-NOTBUSY no script\r\n")
    client = await hasty.connect()
    await client.ask("SCRIPT", "KILL")
    await until(lambda: hasty.proxy.breakers.opened_s(node.address) is not None)

    node.thaw()

    assert await client.read_reply() == b"+OK\r\n"


async def test_a_node_that_only_refuses_keeps_its_breaker_closed(cluster: FakeCluster) -> None:
    times = {"request_timeout_s": 0.8, "breaker_after_s": 0.7}
    async with serve(cluster, cluster=times) as served:
        node = cluster.nodes[0]
        key = cluster.key_of(node)
        node.always(b"SET", key, answer=b"-CLUSTERDOWN The cluster is down\r\n")
        client = await served.connect()

        assert await client.call("SET", key, 1) == replies.never_sent(key_slot(key), 0.8)

        assert served.proxy.breakers.opened == 0


async def test_a_cluster_that_is_down_because_of_a_node_is_waited_for_no_longer_than_the_node(
    cluster: FakeCluster, hasty: Served
) -> None:
    """As with cluster-require-full-coverage: nobody serves anything while one slot has no node."""
    node, other = cluster.nodes[:2]
    key, elsewhere = cluster.key_of(node), cluster.key_of(other)
    other.always(b"GET", elsewhere, answer=b"-CLUSTERDOWN The cluster is down\r\n")
    other.always(b"MGET", elsewhere, answer=b"-CLUSTERDOWN Hash slot not served\r\n")
    await patient_with_an_open_breaker(hasty, node, key)
    client, patient = await hasty.connect(), await hasty.connect()

    told = await client.call("GET", elsewhere)
    await patient.ask("MGET", elsewhere)  # of that slot the node's silence says nothing

    begin = f"-CLUSTERDOWN the cluster is down, {node.address} has not answered "
    assert told.startswith(begin.encode())
    await cluster.restart(node)
    await until(lambda: hasty.proxy.breakers.opened_s(node.address) is None)
    asked = len(other.requests)
    await client.ask("GET", elsewhere)
    await until(lambda: len(other.requests) > asked + 5)
    other.forget_script()
    assert await client.read_reply() == b"$-1\r\n"
    assert await patient.read_reply() == b"*1\r\n$-1\r\n"


async def test_a_successor_takes_over_from_a_node_whose_breaker_is_open(
    cluster: FakeCluster, hasty: Served
) -> None:
    node, successor = cluster.nodes[:2]
    key = cluster.key_of(node)
    await node.crash()
    await open_breaker(hasty, node, key)
    client = await hasty.connect()

    cluster.give_all(node, successor)
    hasty.proxy.watcher.suspect()

    await until(lambda: hasty.topology.owner(key_slot(key)).address == successor.address)
    assert await client.call("SET", key, 1) == b"+OK\r\n"


async def test_a_hung_nodes_sent_requests_keep_their_order_and_their_deadline(
    cluster: FakeCluster, hasty: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await hasty.connect()
    assert await client.call("SET", key, 0) == b"+OK\r\n"
    node.freeze()
    await client.ask("SET", key, 1)
    await until(lambda: pipeline_to(hasty, node).sent_count == 1)

    assert await client.read_reply() == replies.no_reply_to_write(str(node.address), HASTY_S)
    await open_breaker(hasty, node, key)
    node.thaw()
    await until(lambda: hasty.proxy.breakers.opened_s(node.address) is None)
    assert await client.call("APPEND", key, 2) == b":2\r\n"

    assert cluster.store[key] == b"12"


async def test_without_the_setting_no_breaker_opens(cluster: FakeCluster) -> None:
    async with serve(cluster, cluster={**HASTY, "breaker_after_s": 0.0}) as served:
        node = cluster.nodes[0]
        key = cluster.key_of(node)
        await node.crash()
        client = await served.connect()

        for _ in range(3):
            assert await client.call("SET", key, 1) == replies.never_sent(key_slot(key), HASTY_S)

        assert served.proxy.breakers.opened == 0


async def test_switching_breakers_off_closes_them(cluster: FakeCluster, hasty: Served) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    await node.crash()
    await open_breaker(hasty, node, key)

    hasty.proxy.reloader.change("cluster.breaker_after_s", "0")

    assert hasty.proxy.breakers.opened_s(node.address) is None
    client = await hasty.connect()
    assert await client.call("SET", key, 1) == replies.never_sent(key_slot(key), HASTY_S)


async def test_a_kind_of_command_has_its_own_time_and_its_text_says_which(
    cluster: FakeCluster,
) -> None:
    async with serve(
        cluster, cluster={"request_timeout_s": 30.0}, timeouts={"read_s": 0.2, "admin_s": 0.2}
    ) as served:
        node = cluster.nodes[0]
        key = cluster.key_of(node)
        client, other = await served.connect(), await served.connect()
        held = node.hold(b"GET")

        reply = await client.call("GET", key)
        await other.ask("SET", key, 1)
        held.let_go()
        assert await other.read_reply() == b"+OK\r\n"
        node.hold(b"DBSIZE")
        everywhere = await client.call("DBSIZE")

    assert (
        reply
        == (
            f"-IOERR no reply from {node.address} within the setting timeouts.read_s (0.2); "
            "it was a read and can be sent again\r\n"
        ).encode()
    )
    assert b"timeouts.admin_s (0.2)" in everywhere
