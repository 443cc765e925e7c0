"""What is played through on paper: shapes that add up, figures that follow the formulas."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_cluster import PaperCluster

from proxy.cluster.slots import SLOT_COUNT
from proxy.manage import (
    Assumptions,
    CannotPlan,
    Event,
    Grow,
    LoseHost,
    LoseNode,
    Reshard,
    Standing,
    shape_of_backup,
    shape_of_flags,
    simulate,
)
from proxy.manage.backup import take_backup
from proxy.manage.survival import host_verdicts, node_verdicts

few = settings(max_examples=30, deadline=None)
CALL_LIMIT = 15_000_000  # of Python functions: 9.3 million are needed


def slots_of(standing: Standing) -> list[int]:
    return [shard.slots for shard in standing.shards]


@few
@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 4))
def test_flags_make_a_whole_cluster_with_copies_apart(
    shards: int, replicas: int, hosts: int
) -> None:
    shape = shape_of_flags(shards, replicas, hosts)

    assert shape.topology.covered_slots == SLOT_COUNT
    assert len({node.address for node in shape.nodes}) == shards * (replicas + 1)
    assert len({node.id for node in shape.nodes}) == shards * (replicas + 1)
    if not hosts or hosts > replicas:
        at = {node.id: node.address.host for node in shape.nodes}
        copies = Counter((node.primary_id or node.id, at[node.id]) for node in shape.nodes)
        assert set(copies.values()) == {1}


@few
@given(st.integers(3, 6), st.integers(0, 2), st.integers(0, 40))
def test_growth_gives_everybody_a_share_and_moves_the_least(
    shards: int, replicas: int, more: int
) -> None:
    count = (shards + 1 + more) * (replicas + 1)

    played = simulate(shape_of_flags(shards, replicas), [Grow(count)])

    (step,) = played.steps
    sizes = slots_of(step.after)
    assert step.after.nodes == count
    assert sum(sizes) == SLOT_COUNT
    assert max(sizes) - min(sizes) <= 1
    assert step.moves is not None
    assert step.moves.slots == sum(sizes[shards:])
    assert all(shard.replicas == replicas for shard in step.after.shards)


def test_a_thousand_nodes_and_their_loss_take_seconds_not_minutes() -> None:
    calls = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        played = simulate(
            shape_of_flags(3, 1), [Grow(1000), Reshard(100), LoseNode("node-1"), LoseHost("host-2")]
        )
    finally:
        sys.setprofile(None)

    assert calls < CALL_LIMIT
    assert [len(step.after.shards) for step in played.steps] == [500] * 4
    assert [sum(slots_of(step.after)) for step in played.steps] == [SLOT_COUNT] * 4


def test_the_figures_of_a_move_follow_the_formulas() -> None:
    given_ = Assumptions(
        requests_per_s=16384, keys=1_638_400, key_bytes=1000, keys_per_s=1000, bytes_per_s=1e6
    )

    moves = simulate(shape_of_flags(2, 0), [Reshard(100)], given_).steps[0].moves

    assert moves is not None
    assert (moves.slots, moves.keys, moves.bytes) == (100, 10_000, 10_000_000)
    assert moves.seconds == 20.1  # 10 s of keys, 10 s of bytes, 2 chunks
    assert moves.asks == round(100 * (10 / 2 + 0.0025))
    assert (moves.moved_at_most, moves.refreshes_at_most) == (15, 5)
    assert moves.direct_moved_at_most == 100


def test_a_lost_primary_is_replaced_and_the_next_loss_is_not_survived() -> None:
    shape = shape_of_flags(3, 1)
    given_ = Assumptions(requests_per_s=3000, node_timeout_s=2.0, request_timeout_s=3.0)

    played = simulate(shape, [LoseNode("node-1"), LoseNode("node-4")], given_)

    first, second = played.steps
    assert first.loss is not None
    assert (first.loss.verdict.survives, first.loss.slots) == (True, 5461)
    assert (first.loss.least_s, first.loss.most_s, first.loss.all_slots_s) == (2.5, 4.25, 1.1)
    assert first.loss.failed_at_most == pytest.approx(3000 / 3 * 1.25, abs=1)
    assert "host-4:7000" in {str(shard.primary) for shard in first.after.shards}
    assert played.before.survives_any_node
    assert not first.after.survives_any_node
    assert second.loss is not None
    assert not second.loss.verdict.survives
    assert (second.loss.slots, second.loss.most_s, second.loss.waiting_at_most) == (
        5461,
        None,
        None,
    )
    assert [shard.is_lost for shard in second.after.shards] == [False, False, True]


def test_a_lost_replica_costs_nothing_now() -> None:
    loss = simulate(shape_of_flags(3, 1), [LoseNode("node-4")]).steps[0].loss

    assert loss is not None
    assert (loss.slots, loss.most_s, loss.failed_at_most) == (0, 0.0, 0)


def test_a_host_with_a_primary_and_its_replica_is_not_survived() -> None:
    (step,) = simulate(shape_of_flags(3, 1, hosts=1), [LoseHost("host-1")]).steps

    assert step.loss is not None
    assert (step.loss.nodes, step.loss.slots) == (6, SLOT_COUNT)
    assert not step.loss.verdict.survives
    assert all(shard.is_lost for shard in step.after.shards)


def test_without_a_majority_nobody_is_promoted() -> None:
    shape = shape_of_flags(4, 1, hosts=2)

    (step,) = simulate(shape, [LoseHost("host-1")]).steps

    assert step.loss is not None
    assert "to vote" in step.loss.verdict.reason
    assert [shard.is_lost for shard in step.after.shards].count(True) == 2


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Grow(6), "do not grow"),
        (Grow(40_000), "so many primaries at most"),
        (Reshard(99_999), "who shall give them has"),
        (Reshard(1, "nobody"), "no node of this cluster"),
        (LoseNode("nobody"), "no node of this cluster"),
        (LoseHost("nowhere"), "no node is on host"),
    ],
)
def test_what_cannot_be_is_said(event: Event, words: str) -> None:
    with pytest.raises(CannotPlan, match=words):
        simulate(shape_of_flags(3, 1), [event])


def test_a_backup_is_played_with_as_the_cluster_it_was() -> None:
    view = PaperCluster.whole(3, replicas=1, hosts=2).view()
    shape = shape_of_backup(take_backup(view, {}, "now"))

    assert [shape.view.slots_of(report.id) for report in view.primaries] == [
        view.slots_of(report.id) for report in view.primaries
    ]
    for judge in (node_verdicts, host_verdicts):
        found = {each.loss: each.survives for each in judge(shape.view)}
        assert found == {each.loss: each.survives for each in judge(view)}
