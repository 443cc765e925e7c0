"""Plans of moves: everybody gets the share that is asked for, and nothing moves without need."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_cluster import PaperCluster

from proxy.cluster.slots import SLOT_COUNT
from proxy.manage.errors import CannotPlan
from proxy.manage.move_plan import (
    Move,
    apportion,
    pick_slots,
    plan_drain,
    plan_rebalance,
    plan_reshard,
    remaining_moves,
)
from proxy.manage.view import View


def cut_up(cuts: Sequence[int], extra: int = 0) -> PaperCluster:
    """Return a cluster whose shards begin at these slots, and ``extra`` empty primaries."""
    cluster = PaperCluster.whole(len(cuts) + 1 + extra, replicas=0)
    bounds = [0, *sorted(cuts), SLOT_COUNT]
    for number, node in enumerate(cluster.nodes):
        node.slots = (
            list(range(bounds[number], bounds[number + 1])) if number < len(bounds) - 1 else []
        )
    return cluster


def owners_after(view: View, moves: Sequence[Move]) -> Counter[str]:
    """Carry the moves out on paper, checking that each is possible; return slots by node."""
    owner = {slot: view.topology.owner(slot).id for slot in range(SLOT_COUNT)}
    for move in moves:
        for slot in move.slots:
            assert owner[slot] == move.source
            owner[slot] = move.target
    assert len(owner) == SLOT_COUNT
    return Counter(owner.values())


few = settings(max_examples=25)  # a cluster on paper costs some milliseconds
CUTS = st.lists(st.integers(1, SLOT_COUNT - 1), min_size=1, max_size=6, unique=True)


@few
@given(CUTS, st.integers(0, 3))
def test_a_rebalance_leaves_shares_that_differ_by_one(cuts: list[int], extra: int) -> None:
    view = cut_up(cuts, extra).view()

    after = owners_after(view, plan_rebalance(view))

    sizes = [after[report.id] for report in view.reports]
    assert max(sizes) - min(sizes) <= 1


@few
@given(CUTS, st.integers(0, 3))
def test_a_rebalance_moves_only_what_somebody_has_too_much(cuts: list[int], extra: int) -> None:
    view = cut_up(cuts, extra).view()
    ceiling = -(-SLOT_COUNT // len(view.reports))

    moves = plan_rebalance(view)

    after = owners_after(view, moves)
    moved = sum(len(move.slots) for move in moves)
    given_up = sum(
        max(0, len(view.slots_of(report.id)) - after[report.id]) for report in view.reports
    )
    assert moved == given_up
    # Nobody below the ceiling gives, nobody above the floor takes.
    assert all(len(view.slots_of(move.source)) >= ceiling for move in moves)


@few
@given(CUTS, st.lists(st.integers(0, 5), min_size=7, max_size=7))
def test_weights_are_obeyed_within_one_slot(cuts: list[int], numbers: list[int]) -> None:
    view = cut_up(cuts).view()
    weights = {
        report.id: float(number) for report, number in zip(view.reports, numbers, strict=False)
    }
    if not sum(weights.values()):
        return

    after = owners_after(view, plan_rebalance(view, weights))

    for node, weight in weights.items():
        assert abs(after[node] - SLOT_COUNT * weight / sum(weights.values())) < 1


@pytest.mark.parametrize(
    ("cuts", "extra"), [([8192], 0), ([1, 2], 1), ([100, 16000], 2), ([4000, 8000, 12000], 1)]
)
def test_loads_are_level_as_far_as_single_slots_allow(cuts: list[int], extra: int) -> None:
    rng = random.Random(1)
    view = cut_up(cuts, extra).view()
    loads = {slot: float(rng.choice([0, 1, 1, 2, 5])) for slot in range(SLOT_COUNT)}

    moves = plan_rebalance(view, loads=loads)

    owners_after(view, moves)
    load = {
        report.id: sum(loads[slot] for slot in view.slots_of(report.id)) for report in view.reports
    }
    for move in moves:
        for slot in move.slots:
            load[move.source] -= loads[slot]
            load[move.target] += loads[slot]
    mean = sum(load.values()) / len(load)
    assert max(load.values()) <= mean * 1.01 + 5
    assert all(loads[slot] for move in moves for slot in move.slots)


def test_a_few_heavy_slots_move_instead_of_many_light_ones() -> None:
    view = cut_up([8192]).view()
    loads = dict.fromkeys(range(SLOT_COUNT), 1.0) | {0: 5000.0, 1: 2490.0, 2: 2490.0}

    assert [move.slots for move in plan_rebalance(view, loads=loads)] == [(1, 2)]


def test_a_slot_too_heavy_for_any_balance_stays() -> None:
    view = cut_up([8192]).view()

    assert plan_rebalance(view, loads={0: 1000.0}) == ()


def test_weight_zero_by_load_leaves_no_slot() -> None:
    cluster = cut_up([5000, 10000])
    view = cluster.view()

    moves = plan_rebalance(view, {cluster.nodes[0].id: 0.0}, dict.fromkeys(range(100), 1.0))

    assert owners_after(view, moves)[cluster.nodes[0].id] == 0


@few
@given(CUTS)
def test_a_drained_node_is_empty_and_the_others_only_take(cuts: list[int]) -> None:
    view = cut_up(cuts).view()
    leaving = view.reports[0].id

    moves = plan_drain(view, leaving)

    after = owners_after(view, moves)
    assert after[leaving] == 0
    assert {move.source for move in moves} <= {leaving}
    grown = [after[r.id] for r in view.reports if any(move.target == r.id for move in moves)]
    assert not grown or max(grown) - min(grown) <= 1


def test_a_reshard_takes_from_each_source_by_what_it_has() -> None:
    cluster = cut_up([8192, 12288])
    view = cluster.view()
    first, second, third = (node.id for node in cluster.nodes)

    moves = plan_reshard(view, [first, second], third, 1200)

    assert {move.source: len(move.slots) for move in moves} == {first: 800, second: 400}
    assert owners_after(view, moves)[third] == 4096 + 1200


def test_a_reshard_of_more_than_there_is_cannot_be_planned() -> None:
    cluster = PaperCluster.whole()
    ids = [node.id for node in cluster.nodes]

    with pytest.raises(CannotPlan, match="who shall give them has 5,461"):
        plan_reshard(cluster.view(), ids[:1], ids[1], 6000)
    with pytest.raises(CannotPlan, match="is a replica"):
        plan_reshard(cluster.view(), ids[:1], ids[4], 1)


def test_a_primary_that_does_not_answer_neither_gives_nor_gets() -> None:
    cluster = cut_up([8192, 12288], extra=1)
    first, second, third, empty = (node.id for node in cluster.nodes)
    view, whole = cluster.view(frozenset({2})), cluster.view(frozenset({3}))

    for weights in ({}, {first: 2.0}):
        with pytest.raises(CannotPlan, match=r"10\.0\.0\.3:7002 does not answer"):
            plan_rebalance(view, weights)
    with pytest.raises(CannotPlan, match=r"10\.0\.0\.3:7002 does not answer"):
        remaining_moves([Move(third, first, (16000,))], view)
    assert {move.target for move in plan_drain(view, first)} == {second, empty}
    # Without slots it is in nobody's way.
    assert owners_after(whole, plan_rebalance(whole)) == {first: 5462, second: 5461, third: 5461}
    assert {move.target for move in plan_drain(whole, first)} == {second, third}


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, 1e308])
def test_a_weight_that_is_no_share_is_refused(weight: float) -> None:
    view = cut_up([8192, 12288]).view()

    with pytest.raises(CannotPlan, match="a weight is"):
        plan_rebalance(view, {view.reports[0].id: weight})


def test_what_is_done_is_not_done_again_and_failovers_are_followed() -> None:
    cluster = PaperCluster.whole()
    first, second, third, heir = (cluster.nodes[number] for number in (0, 1, 2, 3))
    moves = (Move(first.id, second.id, (0, 1, 2)),)
    second.slots = [0, *second.slots]
    first.slots = first.slots[1:]

    assert remaining_moves(moves, cluster.view()) == (Move(first.id, second.id, (1, 2)),)

    heir.primary, heir.slots, heir.epoch = None, first.slots, 9
    first.slots, first.primary = [], heir
    assert remaining_moves(moves, cluster.view()) == (Move(heir.id, second.id, (1, 2)),)
    third.slots, third.epoch = [*second.slots, *third.slots], 10
    second.primary, second.slots = third, []
    assert remaining_moves(moves, cluster.view()) == (Move(heir.id, third.id, (1, 2)),)


@given(
    st.integers(0, SLOT_COUNT),
    st.dictionaries(st.text(max_size=3), st.floats(0.1, 9), min_size=1, max_size=9),
)
def test_shares_add_up_and_are_within_one(count: int, weights: dict[str, float]) -> None:
    shares = apportion(count, weights)

    assert sum(shares.values()) == count
    total = sum(weights.values())
    assert all(abs(shares[name] - count * weights[name] / total) < 1.001 for name in weights)


def test_slots_are_picked_beside_those_of_the_target() -> None:
    assert pick_slots(range(100, 200), 10, range(50, 100)) == tuple(range(100, 110))
    assert pick_slots(range(100, 200), 10, range(200, 300)) == tuple(range(190, 200))
    assert pick_slots(range(100, 200), 0) == ()
