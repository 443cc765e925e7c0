"""Between a plan and the yes to it a node may go away: that is said, and nothing is done."""

from __future__ import annotations

import pytest
from paper_cluster import PaperCluster

from proxy.manage import member_run
from proxy.manage.errors import CannotPlan, NodeUnreachable
from proxy.manage.links import Links
from proxy.manage.member_plan import plan_failover


def test_an_heir_that_has_gone_is_unreachable() -> None:
    cluster = PaperCluster.whole()
    plan = plan_failover(cluster.view(), str(cluster.nodes[0].address))
    heir = cluster.nodes.index(next(node for node in cluster.nodes if node.id == plan.heir_id))

    with Links() as links, pytest.raises(NodeUnreachable, match="timed out"):
        member_run.failover(links, lambda: cluster.view(frozenset({heir})), plan)


def test_a_replica_that_has_gone_is_unreachable() -> None:
    cluster = PaperCluster.whole()
    pair = (cluster.nodes[4].id, cluster.nodes[0].id)

    with Links() as links, pytest.raises(NodeUnreachable, match="timed out"):
        member_run.replicate(links, lambda: cluster.view(frozenset({4})), [pair])


def test_a_node_that_nobody_knows_any_more_is_none() -> None:
    cluster = PaperCluster.whole()

    with Links() as links, pytest.raises(CannotPlan, match="ffff is no node of this cluster"):
        member_run.replicate(links, cluster.view, [("f" * 40, cluster.nodes[0].id)])
