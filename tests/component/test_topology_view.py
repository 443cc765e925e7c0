"""The view of the cluster: how nodes are, as the proxy's own connections find them."""

from __future__ import annotations

from fake_node import FakeNode
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.insight.views import Health, NodeView
from proxy.resp.encode import bulk


def view_of(served: Served, node: FakeNode) -> NodeView:
    """Return what is told of a node."""
    shards = served.proxy.observatory.insight.topology().shards
    return next(s.primary for s in shards if s.primary.address == str(node.address))


async def test_the_map_is_told_in_the_order_of_its_slots(
    cluster: FakeCluster, served: Served
) -> None:
    cluster.give(6000, cluster.nodes[2])
    served.proxy.watcher.suspect()
    await until(lambda: served.topology.generation == 2)

    view = served.proxy.observatory.insight.topology()

    assert [shard.primary.address for shard in view.shards] == [
        str(node.address) for node in cluster.nodes
    ]
    assert view.shards[1].ranges == ((5462, 5999), (6001, 10922))
    assert [shard.slots for shard in view.shards] == [5462, 5460, 5462]
    assert (view.known, view.serving, view.generation, view.covered_slots) == (True, True, 2, 16384)
    assert view.age_s is not None
    assert view.age_s < 5.0


async def test_a_node_that_crashes_is_lost(cluster: FakeCluster, served: Served) -> None:
    node = cluster.nodes[0]
    client = await served.connect()
    await client.call("GET", cluster.key_of(node))
    connected = view_of(served, node)

    await node.crash()
    await until(lambda: view_of(served, node).health is Health.LOST)

    assert connected.health is Health.CONNECTED
    assert (connected.connections, connected.in_flight) == (1, 0)
    assert connected.heard_s is not None
    assert connected.latency.count == 1
    assert "connection_lost" in kinds(served)


async def test_a_node_that_owes_a_reply_is_silent_until_it_speaks(cluster: FakeCluster) -> None:
    async with serve(cluster, cluster={"silence_timeout_s": 0.05}) as served:
        node = cluster.nodes[0]
        client = await served.connect()
        key = cluster.key_of(node)
        await client.call("GET", key)
        held = node.hold(b"GET", key)
        await client.ask("GET", key)
        await until(lambda: view_of(served, node).health is Health.SILENT)
        silent = view_of(served, node)
        await until(lambda: "node_silent" in kinds(served))
        held.let_go()
        await client.read_reply()

        assert silent.in_flight == 1
        assert view_of(served, node).health is Health.CONNECTED
        assert kinds(served).count("node_silent") == 1


async def test_nodes_are_asked_only_when_somebody_looks(
    cluster: FakeCluster, served: Served
) -> None:
    await all_is_quiet()
    before = asked(cluster)

    served.proxy.observatory.insight.topology()

    assert before == 0
    await until(lambda: asked(cluster) == 3)


async def test_what_nodes_say_of_replication_is_told(cluster: FakeCluster, served: Served) -> None:
    text = b"# Replication\r\nrole:master\r\nmaster_repl_offset:1234\r\n"
    node = cluster.nodes[1]
    node.always(b"INFO", b"replication", answer=bulk(text))
    node.always(b"INFO", b"server", answer=bulk(b"# Server\r\navailability_zone:eu-1a\r\n"))

    await until(lambda: view_of(served, node).offset is not None)

    told = view_of(served, node)
    assert (told.offset, told.zone) == (1234, "eu-1a")


async def test_a_migration_without_traffic_is_seen_by_asking_its_source(
    cluster: FakeCluster, served: Served
) -> None:
    source, target = cluster.nodes[:2]
    mine = cluster.nodes_text(source).replace(b"0-5461", b"0-5461 [7->-%b]" % target.id.encode())
    source.view = mine
    insight = served.proxy.observatory.insight

    await until(lambda: insight.topology().moving)
    (moving,) = insight.topology().moving
    source.view = None
    cluster.give(7, target)
    await until(lambda: not insight.topology().moving)

    assert (moving.slot, moving.source, moving.target) == (
        7,
        str(source.address),
        str(target.address),
    )
    await until(lambda: insight.topology().shards[0].ranges == ((0, 6), (8, 5461)))


def asked(cluster: FakeCluster) -> int:
    """Return how many nodes were asked about replication."""
    return sum(bool(node.seen(b"INFO", b"replication")) for node in cluster.nodes)


def kinds(served: Served) -> list[str]:
    """Return of what kinds the events so far are."""
    return [event.kind for event in served.proxy.observatory.insight.events().events]
