"""An idle proxy notices what becomes of its nodes, and a slow one is not taken for dead."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog
from fake_node import FakeNode, Fate
from pace import PACE
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.control.vitals import Vitals
from proxy.insight.views import Health

QUICK = {"health_interval_s": 0.05 * PACE, "health_failures": 2}


@pytest.fixture
async def watched(cluster: FakeCluster) -> AsyncIterator[Served]:
    """Return a proxy that asks its nodes twenty times a second."""
    async with serve(cluster, cluster=QUICK) as served:
        await until(lambda: all(vitals_of(served, node).rtt_s for node in cluster.nodes))
        yield served


def vitals_of(served: Served, node: FakeNode) -> Vitals:
    """Return what is known of a node."""
    return served.proxy.pulse.vitals.get(node.address, Vitals())


def kinds(served: Served) -> list[str]:
    """Return the kinds of all events."""
    view = served.proxy.observatory.insight.events(0)
    return [str(event.kind) for event in view.events]


def missing(served: Served) -> tuple[str, ...]:
    """Return what /readyz lacks."""
    return served.proxy.observatory.insight.readiness().missing


async def test_an_idle_proxy_notices_a_dead_node_and_its_return(
    cluster: FakeCluster, watched: Served
) -> None:
    node = cluster.nodes[0]
    refreshes = watched.proxy.watcher.refreshes

    await node.crash()
    await until(lambda: vitals_of(watched, node).is_down)

    assert watched.proxy.watcher.refreshes > refreshes
    assert missing(watched) == ("5462 of 16384 slots have an owner that does not answer",)
    await cluster.restart(node)
    await until(lambda: not vitals_of(watched, node).is_down)
    assert missing(watched) == ()
    assert [kind for kind in kinds(watched) if kind in ("node_down", "node_up")] == [
        "node_down",
        "node_up",
    ]


async def test_a_node_that_is_down_is_said_to_be_silent_since_it_first_was(
    cluster: FakeCluster,
) -> None:
    interval_s = 0.1 * PACE
    checks = {"health_interval_s": interval_s, "health_failures": 3}
    async with serve(cluster, cluster=checks) as served:
        node = cluster.nodes[0]
        await until(lambda: vitals_of(served, node).rtt_s)

        await node.crash()
        await until(lambda: "node_down" in kinds(served))

        events = served.proxy.observatory.insight.events(0).events
        (text,) = [event.text for event in events if str(event.kind) == "node_down"]

    found = re.search(r"missed its health checks for ([\d.]+) s", text)
    assert found, text
    # Three were missed, an interval after one another; in the text there is one decimal.
    assert float(found[1]) >= round(2 * interval_s, 1)


async def test_a_health_check_whose_connection_has_ended_says_nothing_of_reaching_the_node(
    cluster: FakeCluster, watched: Served
) -> None:
    node = cluster.nodes[0]

    with structlog.testing.capture_logs() as lines:
        # This one alone: another may be an attempt to read the map.
        node.seen(b"PING")[-1].connection.end(Fate.CLOSE)
        await until(lambda: vitals_of(watched, node).misses)
        await until(lambda: not vitals_of(watched, node).misses_in_a_row)

    # On a busy machine an attempt may be late, which is another problem.
    assert not [line for line in lines if "closed the connection" in line.get("problem", "")]


async def test_a_node_that_leaves_the_map_and_is_back_at_once_is_asked_on(
    cluster: FakeCluster, watched: Served
) -> None:
    pulse, topology = watched.proxy.pulse, watched.proxy.watcher.topology
    assert topology is not None

    for _ in range(2):
        pulse.map_read(replace(topology, nodes=()))
        pulse.map_read(topology)

    for node in cluster.nodes:
        asked = len(node.seen(b"PING"))
        await until(lambda node=node, asked=asked: len(node.seen(b"PING")) > asked + 1)
        assert vitals_of(watched, node).rtt_s is not None


async def test_a_hung_node_is_down_and_its_late_answer_is_its_sign_of_life(
    cluster: FakeCluster, watched: Served
) -> None:
    node = cluster.nodes[1]

    node.freeze()
    await until(lambda: vitals_of(watched, node).is_down)
    view = watched.proxy.observatory.insight.topology()
    down = [n.health for shard in view.shards for n in (shard.primary,)]
    asked = len(node.seen(b"PING"))
    node.thaw()
    await until(lambda: not vitals_of(watched, node).is_down)

    assert down.count(Health.DOWN) == 1
    # While it was silent nothing more was asked of it.
    assert len(node.seen(b"PING")) - asked <= 3
    assert len({seen.connection for seen in node.seen(b"PING")}) == 1


async def test_a_busy_node_counts_as_down_and_no_request_fails_because_of_it(
    cluster: FakeCluster, watched: Served
) -> None:
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    client = await watched.connect()

    node.freeze()
    await client.ask("SET", key, 1)
    await until(lambda: vitals_of(watched, node).is_down)
    node.thaw()

    await client.expect(b"+OK\r\n")


async def test_a_node_that_refuses_us_lives(cluster: FakeCluster) -> None:
    async with serve(cluster, cluster=QUICK) as served:
        await until(lambda: all(vitals_of(served, node).rtt_s for node in cluster.nodes))
        node = cluster.nodes[0]
        node.always(b"PING", answer=b"-LOADING the dataset\r\n")
        checks = vitals_of(served, node).checks

        await until(lambda: vitals_of(served, node).checks > checks + 3)

        assert vitals_of(served, node).misses == 0


async def test_without_an_interval_nobody_is_asked(cluster: FakeCluster, served: Served) -> None:
    client = await served.connect()
    await client.call("GET", "key")

    assert served.proxy.pulse.vitals == {}
    assert not any(node.seen(b"PING") for node in cluster.nodes)


async def test_the_interval_can_be_changed_while_the_proxy_runs(
    cluster: FakeCluster, watched: Served
) -> None:
    watched.proxy.reloader.change("cluster.health_interval_s", "0")
    assert watched.proxy.pulse.vitals == {}

    watched.proxy.reloader.change("cluster.health_interval_s", "0.05")

    await until(lambda: all(vitals_of(watched, node).rtt_s for node in cluster.nodes))
