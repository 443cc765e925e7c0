"""A backup is read as it was written, tells what has changed, and makes a plan of its shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_cluster import PaperCluster

from proxy.cluster.addresses import Address
from proxy.cluster.slots import slot_ranges
from proxy.manage import (
    Backup,
    BackupNode,
    CannotPlan,
    as_json_text,
    as_toml,
    differences,
    parse_places,
    places_in_order,
    read_backup,
)
from proxy.manage.backup import take_backup
from proxy.manage.create_plan import next_phase
from proxy.manage.restore_plan import plan_restore
from proxy.manage.view import View

few = settings(max_examples=30)
# Text that a file can hold: no halves of surrogate pairs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def backup_of(cluster: PaperCluster) -> Backup:
    said = {node.address: {"cluster-node-timeout": "15000"} for node in cluster.nodes}
    return take_backup(cluster.view(), said, "2026-01-01T00:00:00+00:00")


def asked(backup: Backup) -> tuple[Address, ...]:
    return tuple(node.address for node in backup.nodes)


def test_a_backup_has_the_shards_in_order_with_their_replicas() -> None:
    saved = backup_of(PaperCluster.whole(3, replicas=2))

    assert [node.role for node in saved.nodes] == ["primary", "replica", "replica"] * 3
    assert [node.slots[0] for node in saved.nodes if node.slots] == [0, 5461, 10923]
    assert saved.uncovered == ()
    assert saved.nodes[0].settings == {"cluster-node-timeout": "15000"}
    assert saved.nodes[4].copies == saved.nodes[3].id


@few
@given(
    st.lists(
        st.tuples(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2)), min_size=1, max_size=4
    ),
    st.sets(st.integers(0, 16383), max_size=20),
    st.booleans(),
)
def test_what_is_written_is_read(
    texts: list[tuple[str, str, dict[str, str]]], slots: set[int], is_json: bool
) -> None:
    nodes = tuple(
        BackupNode(
            id=f"{number:040x}",
            address=Address("::1" if number % 2 else "h", 7000 + number),
            hostname=hostname,
            role="primary" if number == 0 else "replica",
            copies=None if number == 0 else f"{0:040x}",
            slots=tuple(sorted(slots)) if number == 0 else (),
            config_epoch=number,
            engine="valkey",
            version=version,
            settings=pairs,
        )
        for number, (hostname, version, pairs) in enumerate(texts)
    )
    saved = Backup("2026-01-01T00:00:00+00:00", nodes)

    text = as_json_text(saved) if is_json else as_toml(saved)

    assert read_backup(text, is_json=is_json) == saved


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('slots = "0-5460"', 'slots = "0-16384"', "do not exist"),
        ('slots = "0-5460"', 'slots = "0-9000"', "the same slot"),
        ('role = "replica"', 'role = "master"', "is not primary or replica"),
        ('copies = ""', 'copies = "me"', "a primary nobody"),
        ("format = 1", "format = 2", "format 2 is not 1"),
        ('address = "10.0.0.2:7001"', 'address = "10.0.0.1:7000"', "the same address"),
        ('taken_at = "2026', 'took_at = "2026', "no backup: it has no 'taken_at'"),
    ],
)
def test_what_is_no_backup_is_refused(old: str, new: str, words: str) -> None:
    text = as_toml(backup_of(PaperCluster.whole()))
    assert old in text

    with pytest.raises(ValueError, match=words):
        read_backup(text.replace(old, new), is_json=False)


@pytest.mark.parametrize("is_json", [True, False])
def test_lists_in_lists_without_end_are_no_backup(is_json: bool) -> None:
    with pytest.raises(ValueError, match="no backup"):
        read_backup("[" * 20_000 if is_json else "a = " + "[" * 20_000, is_json=is_json)


def test_the_same_shape_does_not_differ_even_with_other_ids_and_epochs() -> None:
    saved = backup_of(PaperCluster.whole())
    ids = {node.id: f"{index:x}" * 40 for index, node in enumerate(saved.nodes)}
    other = replace(
        saved,
        nodes=tuple(
            replace(
                node, id=ids[node.id], copies=ids.get(node.copies or ""), config_epoch=index + 50
            )
            for index, node in enumerate(saved.nodes)
        ),
    )

    assert differences(saved, saved) == ()
    assert differences(saved, other) == ()


def test_a_moved_slot_a_new_role_and_a_setting_are_told() -> None:
    cluster = PaperCluster.whole()
    saved = backup_of(cluster)
    first, second, _, heir = cluster.nodes[:4]
    first.slots, second.slots = first.slots[1:], [0, *second.slots]
    heir.info["redis_version"] = "7.2.0"
    heir.primary = second
    view = cluster.view()

    now = take_backup(view, {second.address: {"cluster-node-timeout": "500"}}, "later")

    assert [(each.kind, each.node, each.words) for each in differences(saved, now)] == [
        ("slots", first.address, "it no longer owns 0"),
        (
            "role",
            heir.address,
            "it is a replica of 10.0.0.2:7001, it was a replica of 10.0.0.1:7000",
        ),
        ("version", heir.address, "redis 7.2.0, it was redis 7.0.15"),
        ("slots", second.address, "it did not own 0"),
        ("setting", second.address, "cluster-node-timeout is '500', was '15000'"),
    ]


@few
@given(st.integers(0, 5), st.integers(0, 5))
def test_a_node_that_is_gone_or_new_is_told(gone: int, moved: int) -> None:
    saved = backup_of(PaperCluster.whole())
    place = Address("10.9.9.9", 1)
    elsewhere = saved.at({saved.nodes[moved].address: place})
    less = replace(saved, nodes=saved.nodes[:gone] + saved.nodes[gone + 1 :])

    kinds = [each.kind for each in differences(saved, less)]
    assert [kind for kind in kinds if kind != "role"] == ["missing"]
    assert [each.kind for each in differences(less, saved) if each.kind != "role"] == ["extra"]
    assert [(each.kind, each.node) for each in differences(saved, elsewhere)] == [
        ("address", place)
    ]


def test_a_shape_is_planned_on_empty_nodes_and_carried_out_by_creation() -> None:
    old = PaperCluster.whole()
    first, _, third = old.nodes[:3]
    first.slots, third.slots = [*first.slots[1:], 16383], [0, *third.slots[:-1]]
    first.epoch = 9  # the last to have changed: it comes last again
    saved = backup_of(old)
    fresh = PaperCluster.bare(6)
    target = saved.at(places_in_order(saved, [node.address for node in fresh.nodes]))

    plan = plan_restore(target, fresh.view(), asked(target))

    slots = {node.address: node.slots for node in plan.primaries}
    assert slots == {node.address: node.slots for node in target.nodes if node.slots}
    assert plan.primaries[-1].slots == tuple(first.slots)
    copied = {node.address: node.primary_address for node in plan.replicas}
    place = {node.id: node.address for node in target.nodes}
    assert copied == {node.address: place[node.copies] for node in target.nodes if node.copies}
    assert "no keys and no values" in plan.notes[0]
    phase = next_phase(plan, fresh.view())
    assert phase is not None
    assert len(phase.tells) == 3


def test_a_primary_without_slots_is_given_none() -> None:
    old = PaperCluster.whole(4, replicas=0)
    old.nodes[0].slots, old.nodes[3].slots = [*old.nodes[0].slots, *old.nodes[3].slots], []
    saved = backup_of(old)
    fresh = PaperCluster.bare(4)
    target = saved.at(places_in_order(saved, [node.address for node in fresh.nodes]))

    plan = plan_restore(target, fresh.view(), asked(target))

    phase = next_phase(plan, fresh.view())
    assert phase is not None
    assert len(phase.tells) == 3
    assert sorted(len(node.ranges) for node in plan.primaries) == [0, 1, 1, 2]


def test_nodes_that_hold_something_and_slots_without_owner_are_in_the_way() -> None:
    saved = backup_of(PaperCluster.whole())
    fresh = PaperCluster.bare(6)
    fresh.nodes[1].info["db0"] = "keys=3,expires=0,avg_ttl=0"
    fresh.nodes[2].slots = [7]
    places = tuple(node.address for node in fresh.nodes)

    with pytest.raises(CannotPlan, match="it owns other slots already"):
        plan_restore(saved, fresh.view(), places)
    with pytest.raises(CannotPlan, match="timed out"):
        plan_restore(saved, fresh.view(frozenset({5})), places)
    headless = replace(saved, nodes=(replace(saved.nodes[0], slots=()), *saved.nodes[1:]))
    with pytest.raises(CannotPlan, match="nobody owns slots 0-5460"):
        plan_restore(headless, View(PaperCluster.bare(6).view().reports), places)


def test_new_places_are_read_and_counted() -> None:
    saved = backup_of(PaperCluster.whole(3, replicas=0))

    assert parse_places(["a:1=b:2"]) == {Address("a", 1): Address("b", 2)}
    for wrong in (["a:1"], ["a:1=b:2", "a:1=c:3"]):
        with pytest.raises(ValueError, match=r"old=new|twice"):
            parse_places(wrong)
    with pytest.raises(ValueError, match="has 3 nodes, and 2"):
        places_in_order(saved, [Address("a", 1), Address("b", 1)])


def test_two_nodes_are_not_put_at_the_same_place() -> None:
    saved = backup_of(PaperCluster.whole(3, replicas=0))
    first, second, third = (node.address for node in saved.nodes)

    assert saved.at({first: second, second: first}).nodes[0].address == second
    for places in (
        places_in_order(saved, [first, second, first]),
        {first: Address("a", 1), second: Address("a", 1)},
        {first: third},
    ):
        with pytest.raises(ValueError, match="2 nodes cannot all be at"):
            saved.at(places)


@given(st.sets(st.integers(0, 16383), max_size=50))
def test_ranges_hold_exactly_the_slots(slots: set[int]) -> None:
    ranges = slot_ranges(tuple(sorted(slots)))

    assert [slot for first, last in ranges for slot in range(first, last + 1)] == sorted(slots)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ranges))
