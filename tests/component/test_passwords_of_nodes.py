"""Nodes have another password than the settings say: who waits, and what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog
from fake_node import FakeNode, Fate
from pace import PACE
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.cluster.slots import key_slot
from proxy.resp.replies_nodes import not_let_in

HASTY_S = 0.5
OLD, NEW = b"old", b"new"
WRONG = b"WRONGPASS invalid username-password pair"


async def change_password(cluster: FakeCluster, served: Served) -> None:
    """Let nobody in any more who comes with the old one, and wait until the proxy knows."""
    cluster.password = NEW
    for node in cluster.nodes:
        node.lose_connections(Fate.CLOSE)
    known = served.proxy.watcher.nodes
    await until(lambda: all(known.refusal_of(node.address) for node in cluster.nodes))


@pytest.fixture
async def locked(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy whose password is not that of its cluster any more."""
    cluster.password = OLD
    settings = {"password": OLD.decode(), "request_timeout_s": HASTY_S}
    async with serve(cluster, cluster=settings) as served:
        await change_password(cluster, served)
        yield served


def told(node: FakeNode, slot: int | None) -> bytes:
    return not_let_in(slot, str(node.address), WRONG, HASTY_S)


@pytest.mark.parametrize("resp", [2, 3])
async def test_who_waits_for_a_node_is_told_that_it_does_not_let_the_proxy_in(
    cluster: FakeCluster, locked: Served, resp: int
) -> None:
    client = await (locked.connect() if resp == 2 else locked.connect_resp3())
    node = cluster.nodes[1]
    key = cluster.key_of(node)

    assert await client.call("GET", key) == told(node, key_slot(key))


async def test_so_is_who_asks_everybody(cluster: FakeCluster, locked: Served) -> None:
    client = await locked.connect()

    answer = await client.call("DBSIZE")
    page = await client.call("SCAN", 0)

    texts = [told(node, None).removeprefix(b"-CLUSTERDOWN ") for node in cluster.nodes]
    assert any(answer.endswith(text) for text in texts), answer
    assert any(page.endswith(text) for text in texts), page


async def test_with_the_right_password_all_is_well_again(
    cluster: FakeCluster, locked: Served
) -> None:
    client = await locked.connect()
    node = cluster.nodes[2]
    key = cluster.key_of(node)
    await client.ask("SET", key, 1)
    await node.wait_for(b"AUTH", OLD)

    locked.proxy.reloader.change("cluster.password", NEW.decode())

    await client.expect(b"+OK\r\n")
    assert await client.call("DBSIZE") == b":1\r\n"


async def test_a_health_check_that_is_not_let_in_is_a_sign_of_life_and_no_news(
    cluster: FakeCluster,
) -> None:
    cluster.password = OLD
    settings = {"password": OLD.decode(), "health_interval_s": 0.05 * PACE}
    async with serve(cluster, cluster=settings) as served:
        await change_password(cluster, served)
        vitals = served.proxy.pulse.vitals
        asked = {node: vitals[node.address].checks for node in cluster.nodes}

        with structlog.testing.capture_logs() as lines:
            await until(lambda: all(vitals[n.address].checks > asked[n] + 5 for n in asked))

        assert "node reachable again" not in [line["event"] for line in lines]
