"""Ready or not, and in which words."""

from __future__ import annotations

from dataclasses import replace

from chronicle_maps import whole_map, with_owners

from proxy.insight.readiness import readiness

WELL = {"is_listening": True, "is_draining": False, "has_commands": True}


def test_a_proxy_that_lacks_nothing_is_ready() -> None:
    view = readiness(whole_map(), **WELL)

    assert view.ready
    assert view.missing == ()


def test_everything_that_is_missing_is_said_at_once() -> None:
    topology = replace(with_owners(whole_map(), {7: None, 9: None}), is_serving=False)

    view = readiness(topology, is_listening=False, is_draining=False, has_commands=False)

    assert not view.ready
    assert view.missing == (
        "the proxy does not listen yet",
        "2 of 16384 slots have no owner",
        "the cluster says that its state is not ok",
        "no node has told its commands",
    )


def test_a_proxy_without_a_map_or_that_drains_is_not_ready() -> None:
    assert readiness(None, **WELL).missing == ("no node has told the cluster's map",)
    assert readiness(whole_map(), **{**WELL, "is_draining": True}).missing == (
        "the proxy is draining",
    )


def test_while_there_is_no_map_to_go_by_the_last_view_says_how_the_cluster_is() -> None:
    topology = whole_map()
    failed = replace(topology.primaries[0], failed=True)
    nodes = tuple(failed if node.id == failed.id else node for node in topology.nodes)
    refused = replace(topology, nodes=nodes, is_serving=False)
    lost = sum(
        owner is not None and owner.id == failed.id for owner in map(topology.owner, range(16384))
    )

    view = readiness(topology, **WELL, is_lost=True, refused=refused)

    assert view.missing == (
        f"{lost} of 16384 slots have an owner that has failed",
        "the cluster says that its state is not ok",
    )
    assert (view.covered_slots, view.serving) == (16384 - lost, False)


def test_a_cluster_of_which_nobody_answers_is_not_there() -> None:
    view = readiness(whole_map(), **WELL, is_lost=True)

    assert view.missing == ("no node of the cluster answers",)
