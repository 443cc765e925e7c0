"""What happens to a cluster, and which events are made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chronicle_maps import B2, NODES, A, B, C, node, whole_map, with_failover, with_owners

from proxy.cluster.addresses import Address
from proxy.insight.chronicle import Chronicle, ranges_text
from proxy.insight.events import EventLog
from proxy.insight.views_answers import Event, EventKind, Level


class Watched:
    """A chronicle, its log, and how often it had the map read."""

    def __init__(self) -> None:
        self.log = EventLog(lambda: 1_700_000_000.0)
        self.suspicions = 0
        self.chronicle = Chronicle(self.log, self._suspect)

    def _suspect(self) -> None:
        self.suspicions += 1

    def since(self, number: int) -> list[Event]:
        return list(self.log.after(number).events)

    @property
    def last(self) -> int:
        return self.log.after(0).last


@pytest.fixture
def watched() -> Watched:
    """A chronicle that has read a whole map."""
    watched = Watched()
    watched.chronicle.map_read(whole_map())
    return watched


def kinds(events: list[Event]) -> list[EventKind]:
    return [event.kind for event in events]


# ---- the map ----------------------------------------------------------------------


def test_the_first_map_is_told(watched: Watched) -> None:
    (event,) = watched.since(0)

    assert event.kind is EventKind.MAP_CHANGED
    assert event.text == "map 1: 3 shards, 6 nodes, 16384 slots covered"


def test_the_same_map_again_is_not(watched: Watched) -> None:
    watched.chronicle.map_read(whole_map())

    assert watched.since(1) == []


def test_a_replica_that_takes_over_is_a_failover_and_no_moved_slots(watched: Watched) -> None:
    watched.chronicle.map_read(with_failover(whole_map(), "b", "b2"))

    changed, failed, failover = watched.since(1)
    assert kinds([changed, failed]) == [EventKind.MAP_CHANGED, EventKind.NODE_FAILED]
    assert (failover.kind, failover.level) == (EventKind.FAILOVER, Level.WARNING)
    assert failover.node == str(B2)
    assert failover.text == f"{B2} has taken over slots 5462-10922 from {B}"


def test_a_moved_slot_to_a_replica_waits_for_the_map_that_tells_of_the_failover(
    watched: Watched,
) -> None:
    watched.chronicle.slot_moved(6000, B2)
    assert watched.since(1) == []

    watched.chronicle.map_read(with_failover(whole_map(), "b", "b2"))

    assert EventKind.SLOT_MOVED not in kinds(watched.since(1))


def test_slots_with_another_owner_are_one_event_for_each_pair_of_nodes(watched: Watched) -> None:
    moved = with_owners(whole_map(), dict.fromkeys((*range(100), 200), "b"))
    watched.chronicle.map_read(moved)

    _, event = watched.since(1)
    assert event.kind is EventKind.SLOT_MOVED
    assert event.text == f"slots 0-99, 200 moved from {A} to {B}"
    assert (event.slot, event.count, event.node) == (0, 101, str(B))


def test_a_slot_without_an_owner_is_an_error(watched: Watched) -> None:
    watched.chronicle.map_read(with_owners(whole_map(), {7: None}))

    *_, event = watched.since(1)
    assert (event.kind, event.level) == (EventKind.SLOT_MOVED, Level.ERROR)
    assert event.text == f"slot 7 moved from {A} to nobody"


def test_what_a_moved_has_told_the_map_does_not_tell_again(watched: Watched) -> None:
    watched.chronicle.slot_moved(7, B)
    watched.chronicle.map_read(with_owners(whole_map(), {7: "b"}))

    events = watched.since(1)
    assert kinds(events) == [EventKind.SLOT_MOVED, EventKind.MAP_CHANGED]
    assert events[0].text == f"slot 7 has moved from {A} to {B}"


def test_a_move_back_is_told_though_the_move_was(watched: Watched) -> None:
    watched.chronicle.slot_moved(7, B)
    watched.chronicle.map_read(with_owners(whole_map(), {7: "b"}))
    watched.chronicle.map_read(replace(whole_map(), generation=3))

    assert watched.since(3)[-1].text == f"slot 7 moved from {B} to {A}"


def test_nodes_that_fail_come_back_appear_and_go_are_told(watched: Watched) -> None:
    down = tuple(replace(each, failed=each.id == "c2") for each in NODES)
    new = node("d", Address("127.0.0.1", 7006))
    watched.chronicle.map_read(whole_map(nodes=down))
    watched.chronicle.map_read(whole_map(nodes=(*NODES, new)))
    watched.chronicle.map_read(whole_map())

    assert [(event.kind, event.node) for event in watched.since(1)] == [
        (EventKind.NODE_FAILED, "127.0.0.1:7005"),
        (EventKind.NODE_BACK, "127.0.0.1:7005"),
        (EventKind.NODE_ADDED, "127.0.0.1:7006"),
        (EventKind.NODE_GONE, "127.0.0.1:7006"),
    ]


# ---- slots on the move ------------------------------------------------------------


def test_a_migration_is_told_once_whoever_tells_it(watched: Watched) -> None:
    watched.chronicle.asked(7, A, B)
    watched.chronicle.asked(7, A, B)
    watched.chronicle.surveyed({7: ("a", "b")}, frozenset("abc"))
    watched.chronicle.map_read(whole_map(migrating={7: "b"}))

    (event,) = watched.since(1)
    assert event.kind is EventKind.MIGRATION_BEGUN
    assert event.text == f"slot 7 is being moved from {A} to {B}"
    assert [moving.slot for moving in watched.chronicle.moving.values()] == [7]


def test_a_migration_ends_with_the_new_owner(watched: Watched) -> None:
    watched.chronicle.asked(7, A, B)
    watched.chronicle.slot_moved(7, B)

    assert kinds(watched.since(2)) == [EventKind.SLOT_MOVED, EventKind.MIGRATION_ENDED]
    assert watched.chronicle.moving == {}


def test_a_migration_ends_when_the_map_has_the_new_owner(watched: Watched) -> None:
    watched.chronicle.asked(7, A, C)
    watched.chronicle.map_read(with_owners(whole_map(), {7: "c"}))

    assert watched.chronicle.moving == {}


def test_a_migration_that_its_source_has_given_up_ends(watched: Watched) -> None:
    watched.chronicle.map_read(whole_map(migrating={7: "b"}))
    watched.chronicle.map_read(whole_map(migrating={}))

    assert kinds(watched.since(1)) == [EventKind.MIGRATION_BEGUN, EventKind.MIGRATION_ENDED]


def test_another_nodes_silence_about_a_migration_says_nothing(watched: Watched) -> None:
    watched.chronicle.map_read(whole_map(migrating={7: "b"}))
    watched.chronicle.map_read(whole_map(asked_id="c"))
    watched.chronicle.surveyed({}, frozenset("bc"))

    assert list(watched.chronicle.moving) == [7]


def test_a_survey_that_finds_it_over_has_the_map_read(watched: Watched) -> None:
    watched.chronicle.surveyed({7: ("a", "b")}, frozenset("abc"))
    assert watched.suspicions == 0

    watched.chronicle.surveyed({}, frozenset("abc"))

    assert watched.chronicle.moving == {}
    assert watched.suspicions == 1


def test_an_import_is_one_while_its_source_still_has_the_slot(watched: Watched) -> None:
    watched.chronicle.map_read(whole_map(importing={6000: "b"}))
    begun = list(watched.chronicle.moving)
    moved = with_owners(whole_map(), {6000: "a"})
    watched.chronicle.map_read(replace(moved, importing={6000: "b"}))

    assert begun == [6000]
    assert watched.chronicle.moving == {}


# ---- connections ------------------------------------------------------------------


def test_a_lost_connection_and_the_next_are_told(watched: Watched) -> None:
    watched.chronicle.connected(A)
    watched.chronicle.lost(A)
    was_broken = A in watched.chronicle.broken
    watched.chronicle.unreachable(A, "cannot connect")
    watched.chronicle.connected(A)

    assert kinds(watched.since(1)) == [
        EventKind.CONNECTION_LOST,
        EventKind.UNREACHABLE,
        EventKind.CONNECTED,
    ]
    assert was_broken
    assert not watched.chronicle.broken
    assert watched.chronicle.lost_connections == 1


def test_a_silence_is_told_once_while_it_lasts(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("proxy.insight.chronicle.time.monotonic", lambda: now)
    for _ in range(30):
        watched.chronicle.silent(A, 1.0)
        now += 0.1
        watched.chronicle.look_at_silence()
    assert kinds(watched.since(1)) == [EventKind.NODE_SILENT]

    now += 10.0
    watched.chronicle.look_at_silence()
    watched.chronicle.silent(A, 1.0)

    assert kinds(watched.since(1)) == [EventKind.NODE_SILENT] * 2


def test_a_node_that_has_gone_is_not_remembered_as_broken(watched: Watched) -> None:
    watched.chronicle.lost(Address("127.0.0.1", 7006))
    watched.chronicle.map_read(whole_map())

    assert not watched.chronicle.broken


RANGES = {
    "one": ([5], "slot 5"),
    "a range": ([5, 6, 7], "slots 5-7"),
    "several": ([1, 3, 4], "slots 1, 3-4"),
    "too many": ([1, 3, 5, 7, 9, 10, 12], "slots 1, 3, 5, 7 and 3 more"),
}


@pytest.mark.parametrize(("slots", "text"), RANGES.values(), ids=RANGES.keys())
def test_slots_are_told_in_few_words(slots: list[int], text: str) -> None:
    assert ranges_text(slots) == text
