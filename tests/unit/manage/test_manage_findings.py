"""Each thing that can be wrong has a finding, and a cluster in order has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from paper_cluster import PaperCluster, PaperNode

from proxy.manage.health import health, unreachable


def codes(cluster: PaperCluster, silent: frozenset[int] = frozenset()) -> dict[str, str]:
    return {finding.code: finding.severity for finding in health(cluster.view(silent)).findings}


def test_a_cluster_in_order_is_healthy() -> None:
    found = health(PaperCluster.whole().view())

    assert found.findings == ()
    assert found.status == "healthy"
    assert (found.survives_any_node, found.survives_any_host) == (True, True)


def says(**pairs: str) -> Callable[[PaperCluster, PaperNode], None]:
    return lambda _cluster, node: node.info.update(pairs)


def is_behind(cluster: PaperCluster, node: PaperNode) -> None:
    assert node.primary is not None
    node.primary.info["master_repl_offset"] = str(50 << 20)
    node.info["slave_repl_offset"] = "1"


def has_failed(_cluster: PaperCluster, node: PaperNode) -> None:
    node.flags.add("fail")


REPLICA, PRIMARY = 3, 0


@pytest.mark.parametrize(
    ("code", "severity", "number", "change"),
    [
        ("state", "problem", PRIMARY, lambda c, n: n.cluster_info.update(cluster_state="fail")),
        ("coverage", "problem", PRIMARY, lambda c, n: n.slots.remove(7)),
        ("failed", "problem", REPLICA, has_failed),
        ("link", "warning", REPLICA, lambda c, n: n.flags.add("fail?")),
        ("link", "warning", REPLICA, lambda c, n: setattr(n, "link", "disconnected")),
        ("handshake", "warning", REPLICA, lambda c, n: n.flags.add("handshake")),
        ("disagreement", "problem", REPLICA, lambda c, n: n.believes.update({c.nodes[0].id: [1]})),
        (
            "open_slots",
            "warning",
            PRIMARY,
            lambda c, n: n.open_slots.append(f"[5->-{c.nodes[1].id}]"),
        ),
        ("epoch_collision", "warning", PRIMARY, lambda c, n: setattr(n, "epoch", 2)),
        ("replica_link", "problem", REPLICA, says(master_link_status="down")),
        ("replica_lag", "warning", REPLICA, is_behind),
        ("replica_lag", "warning", REPLICA, says(master_last_io_seconds_ago="60")),
        ("version_mix", "warning", PRIMARY, says(redis_version="7.2.4")),
        ("memory", "warning", PRIMARY, says(used_memory="95", maxmemory="100")),
        (
            "memory",
            "problem",
            PRIMARY,
            says(used_memory="100", maxmemory="100", maxmemory_policy="noeviction"),
        ),
        (
            "fragmentation",
            "warning",
            PRIMARY,
            says(mem_fragmentation_ratio="1.9", mem_fragmentation_bytes=str(1 << 30)),
        ),
        ("persistence", "problem", PRIMARY, says(rdb_last_bgsave_status="err")),
        ("persistence", "problem", REPLICA, says(aof_last_write_status="err")),
        ("loading", "problem", PRIMARY, says(loading="1")),
    ],
)
def test_what_is_wrong_is_found(
    code: str, severity: str, number: int, change: Callable[[PaperCluster, PaperNode], None]
) -> None:
    cluster = PaperCluster.whole()
    change(cluster, cluster.nodes[number])

    assert codes(cluster)[code] == severity


def test_silence_and_a_missing_replica_are_found() -> None:
    assert codes(PaperCluster.whole(), silent=frozenset({4}))["silent"] == "problem"
    assert codes(PaperCluster.whole(replicas=0))["no_replica"] == "warning"


def test_one_host_for_all_survives_a_node_and_no_host() -> None:
    found = health(PaperCluster.whole(hosts=1).view())

    assert (found.survives_any_node, found.survives_any_host) == (True, False)
    assert {finding.code for finding in found.findings} == {"same_host", "host_loss"}
    assert found.status == "warning"


def test_crossed_over_two_hosts_the_majority_is_what_is_missing() -> None:
    """Two of three primaries are on one host: its loss leaves one vote of the needed two."""
    cluster = PaperCluster.whole(hosts=2)

    found = {v.loss: v for v in health(cluster.view()).verdicts if v.loss.startswith("host")}

    assert [verdict.survives for verdict in found.values()] == [False, True]
    assert "of the primaries 1 would be left to vote" in found["host 10.0.0.1"].reason


def test_a_replica_that_may_not_take_over_does_not_count() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[3].flags.add("nofailover")

    found = {verdict.loss: verdict for verdict in health(cluster.view()).verdicts}

    assert not found[f"node {cluster.nodes[0].address}"].survives
    assert found[f"node {cluster.nodes[1].address}"].survives


def test_a_cluster_that_is_not_there_is_unhealthy() -> None:
    found = unreachable("nobody answers")

    assert (found.status, found.findings[0].code) == ("unhealthy", "unreachable")
