"""What is different between two maps, as people say it."""

from __future__ import annotations

import dataclasses

import pytest
from test_map import a_map, primary, replica

from proxy.cluster.addresses import Address
from proxy.cluster.changes import Failover, find_changes
from proxy.cluster.map import Topology
from proxy.cluster.slots import SLOT_COUNT

A, B, R = primary("a"), primary("b"), replica("r", "a")
BEFORE = a_map(A, B, R, owned=(0, 1))
HALF = SLOT_COUNT // 2


def with_owners(topology: Topology, owners: dict[int, int | None]) -> Topology:
    """Return the map with these slots given to the nodes of these indexes."""
    changed = [owners.get(slot, owner) for slot, owner in enumerate(topology.owners)]
    return dataclasses.replace(topology, owners=tuple(changed))


def words(before: Topology, after: Topology) -> list[str]:
    return [str(change) for change in find_changes(before, after)]


def test_two_maps_of_the_same_owners_do_not_differ_whatever_their_order() -> None:
    again = a_map(B, R, A, owned=(2, 0))

    assert find_changes(BEFORE, again) == ()


def test_a_replica_that_has_all_slots_of_its_primary_is_a_failover() -> None:
    dead = dataclasses.replace(A, failed=True)
    after = a_map(dead, B, dataclasses.replace(R, is_primary=True, primary_id=None), owned=(2, 1))

    assert words(BEFORE, after) == [f"failover from a:7000 to r:7000, {HALF} slots"]
    (change,) = find_changes(BEFORE, after)
    assert isinstance(change, Failover)
    assert change.slots == tuple(range(HALF))


def test_a_replica_that_nobody_had_heard_of_is_known_by_whom_it_demoted() -> None:
    demoted = dataclasses.replace(A, is_primary=False, primary_id="r")
    after = a_map(demoted, B, primary("r"), owned=(2, 1))

    assert words(a_map(A, B, owned=(0, 1)), after) == [
        f"failover from a:7000 to r:7000, {HALF} slots"
    ]


@pytest.mark.parametrize(
    ("slots", "named"),
    [
        ([93], "slot 93"),
        ([5, 6, 7], "slots 5-7"),
        ([5, 9, 11], "3 slots"),
    ],
)
def test_slots_that_moved_are_named_if_a_few_words_can_do_it(slots: list[int], named: str) -> None:
    after = with_owners(BEFORE, dict.fromkeys(slots, 1))

    assert words(BEFORE, after) == [f"{named} from a:7000 to b:7000"]


def test_a_primary_that_gave_everything_to_another_was_not_failed_over() -> None:
    after = with_owners(BEFORE, dict.fromkeys(range(HALF), 1))

    assert words(BEFORE, after) == [f"slots 0-{HALF - 1} from a:7000 to b:7000"]


def test_slots_that_lose_their_owner_or_get_one_are_told() -> None:
    without = with_owners(BEFORE, {0: None, 1: None})

    assert words(BEFORE, without) == ["slots 0-1 of a:7000 served by nobody"]
    assert words(without, BEFORE) == ["slots 0-1 served by a:7000"]


def test_a_node_that_came_back_under_another_address_is_the_same_node() -> None:
    moved = dataclasses.replace(A, address=Address("elsewhere", 7001))

    assert words(BEFORE, a_map(moved, B, R, owned=(0, 1))) == ["a:7000 is now at elsewhere:7001"]
