"""A new cluster is planned from what the nodes say, and so is what is left of a half-made one."""

from __future__ import annotations

import pytest
from paper_cluster import PaperCluster

from proxy.manage.create_plan import next_phase, plan_create
from proxy.manage.errors import CannotPlan
from proxy.manage.view import View


def problems(cluster: PaperCluster, replicas: int = 1, silent: frozenset[int] = frozenset()) -> str:
    with pytest.raises(CannotPlan) as raised:
        plan_create(cluster.view(silent), replicas)
    return str(raised.value)


def test_six_nodes_on_three_hosts_become_three_shards_over_all_hosts() -> None:
    plan = plan_create(PaperCluster.bare(6, hosts=3).view(), 1)

    assert [node.ranges for node in plan.primaries] == [
        ((0, 5460),),
        ((5461, 10922),),
        ((10923, 16383),),
    ]
    host = {node.id: node.host for node in plan.primaries}
    assert len(set(host.values())) == 3
    assert all(host[replica.primary_id] != replica.host for replica in plan.replicas)
    assert plan.notes == ()
    assert not plan.is_begun


def test_one_host_is_possible_and_said() -> None:
    plan = plan_create(PaperCluster.bare(6, hosts=1).view(), 1)

    assert len(plan.notes) == 3
    assert "on the host of its primary" in plan.notes[0]


def test_a_spare_node_becomes_one_more_replica() -> None:
    plan = plan_create(PaperCluster.bare(7).view(), 1)

    assert (len(plan.primaries), len(plan.replicas)) == (3, 4)


def test_two_primaries_are_too_few() -> None:
    assert "5 nodes make 2 shards of a primary and 1 replica; a cluster needs 3" in problems(
        PaperCluster.bare(5)
    )


def test_keys_slots_strangers_and_silence_are_in_the_way() -> None:
    cluster = PaperCluster.bare(6)
    cluster.nodes[0].info["db0"] = "keys=3,expires=0,avg_ttl=0"
    cluster.nodes[1].slots = [7]
    cluster.nodes[3].info["redis_version"] = "6.0.16"

    assert "timed out" in problems(cluster, silent=frozenset({5}))
    assert "redis 6.0.16 is older than 6.2" in problems(cluster)
    cluster.nodes[3].info.clear()
    found = problems(cluster)
    assert "it is not empty: 3 keys" in found
    assert "it owns other slots already" in found


def test_a_node_of_another_cluster_is_in_the_way() -> None:
    cluster = PaperCluster.bare(7)
    cluster.nodes[0].knows = {cluster.nodes[6].id}

    with pytest.raises(CannotPlan, match="in a cluster with other nodes already"):
        plan_create(View(cluster.view().reports[:6]), 1)


def test_a_server_that_is_no_clusters_node_is_in_the_way() -> None:
    cluster = PaperCluster.bare(6)
    cluster.nodes[2].info["cluster_enabled"] = "0"

    assert "not in cluster mode" in problems(cluster)


def test_loopback_addresses_do_not_mix_with_others() -> None:
    cluster = PaperCluster.bare(6)
    cluster.nodes[2].peer_host = "127.0.0.1"

    assert "loopback" in problems(cluster)


def test_phases_follow_from_what_the_nodes_say() -> None:
    cluster = PaperCluster.bare(6)
    plan = plan_create(cluster.view(), 1)
    words = []

    def phase() -> str:
        found = next_phase(plan, cluster.view())
        words.append(found.words if found else "done")
        return words[-1]

    assert "slots" in phase()
    for node, planned in zip(cluster.nodes, plan.primaries, strict=False):
        node.slots = list(planned.slots)
    assert "epoch" in phase()
    for number, node in enumerate(cluster.nodes, 1):
        node.epoch = number
    assert "introduce" in phase()
    for node in cluster.nodes:
        node.knows = None
    assert "copy" in phase()
    for node, planned in zip(cluster.nodes[3:], plan.replicas, strict=True):
        node.primary = next(each for each in cluster.nodes if each.id == planned.primary_id)
    assert phase() == "done"


def test_a_half_made_cluster_is_planned_as_before() -> None:
    cluster = PaperCluster.bare(6)
    before = plan_create(cluster.view(), 1)
    cluster.nodes[0].slots = list(range(5461))
    cluster.nodes[1].knows = {cluster.nodes[0].id}

    after = plan_create(cluster.view(), 1)

    assert after.is_begun
    assert after.nodes == before.nodes
