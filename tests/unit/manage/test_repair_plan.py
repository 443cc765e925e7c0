"""A repair follows from who owns a slot, who has marked it, and who has its keys."""

from __future__ import annotations

import pytest
from paper_cluster import PaperCluster

from proxy.manage.repair_plan import (
    Assign,
    Bump,
    Close,
    Gather,
    GoOn,
    Step,
    doubtful_slots,
    plan_repair,
)

SLOT = 5
A, B, C = (f"{number:040x}" for number in range(3))


def plan(cluster: PaperCluster, **keys: int) -> list[Step]:
    names = {"a": A, "b": B, "c": C}
    counted = {(names[name], SLOT): count for name, count in keys.items()}
    return list(plan_repair(cluster.view(), counted).steps)


def marked(*marks: tuple[int, str]) -> PaperCluster:
    cluster = PaperCluster.whole()
    for number, mark in marks:
        cluster.nodes[number].open_slots.append(f"[{SLOT}{mark}]")
    return cluster


TO_B, FROM_A = (0, f"->-{B}"), (1, f"-<-{A}")


@pytest.mark.parametrize(
    ("marks", "keys", "steps"),
    [
        ([], {"a": 3}, []),
        ([TO_B], {"a": 3}, [Close(SLOT, A)]),
        ([FROM_A], {"a": 3}, [Close(SLOT, B)]),
        # Node 4 copies B: it does what B is told, and has nobody else to ask.
        ([(4, f"-<-{A}")], {"a": 3}, [Close(SLOT, B)]),
        ([FROM_A, (4, f"-<-{A}")], {"a": 3}, [Close(SLOT, B)]),
        ([TO_B, FROM_A], {"a": 3}, [GoOn(SLOT, A, B)]),
        ([TO_B, FROM_A], {"a": 3, "b": 1}, [GoOn(SLOT, A, B)]),
        ([FROM_A], {"a": 3, "b": 1}, [GoOn(SLOT, A, B)]),
        ([TO_B], {"a": 3, "c": 1}, [GoOn(SLOT, A, C)]),
        (
            [TO_B, FROM_A, (2, f"-<-{A}")],
            {"a": 1, "b": 1, "c": 1},
            [Gather(SLOT, C, B, A), GoOn(SLOT, A, B)],
        ),
        ([TO_B, FROM_A, (2, f"-<-{A}")], {"b": 1}, [Close(SLOT, C), GoOn(SLOT, A, B)]),
    ],
)
def test_an_open_slot_goes_where_its_keys_are(
    marks: list[tuple[int, str]], keys: dict[str, int], steps: list[Step]
) -> None:
    cluster = marked(*marks)

    assert plan(cluster, **keys) == steps
    assert doubtful_slots(cluster.view()) == ([SLOT] if marks else [])


def test_a_slot_on_its_way_to_a_dead_node_goes_to_who_has_its_keys() -> None:
    cluster = marked((0, f"->-{'f' * 40}"))

    assert plan(cluster, a=1, c=2) == [GoOn(SLOT, A, C)]
    assert plan(cluster, a=1) == [Close(SLOT, A)]


def test_a_slot_without_an_owner_goes_to_who_has_most_of_its_keys() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[0].slots.remove(SLOT)

    assert plan(cluster, b=1, c=2) == [
        Assign((SLOT,), C, 2),
        Gather(SLOT, B, C, C),
    ]


def test_slots_without_an_owner_or_keys_stay_together() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[0].slots = list(range(100, 5461))

    (step,) = plan(cluster)

    assert step == Assign(tuple(range(100)), A, 0)


def test_equal_epochs_are_told_apart() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[1].epoch = cluster.nodes[0].epoch

    (step,) = plan(cluster)

    assert isinstance(step, Bump)
    assert step.node == B


def test_a_claim_that_somebody_does_not_believe_gets_a_new_epoch() -> None:
    cluster = PaperCluster.whole()
    # Node B has got slot 5 from A, and C goes on believing A.
    cluster.nodes[0].slots.remove(SLOT)
    cluster.nodes[1].slots.insert(0, SLOT)
    old = [SLOT, *cluster.nodes[0].slots]
    cluster.nodes[2].believes = {A: sorted(old), B: cluster.nodes[1].slots[1:]}

    assert [step.node for step in plan(cluster) if isinstance(step, Bump)] == [B]


def test_a_dead_shard_is_only_noted_unless_its_slots_are_given_up() -> None:
    cluster = PaperCluster.whole(replicas=0)
    cluster.nodes[0].flags.add("fail")
    view = cluster.view(silent=frozenset({0}))

    kept, given = plan_repair(view, {}), plan_repair(view, {}, lost=True)

    assert kept.steps == ()
    assert "5461 slots" in kept.notes[0]
    assert sum(len(step.slots) for step in given.steps if isinstance(step, Assign)) == 5461
