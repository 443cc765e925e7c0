"""The log of events: bounded, numbered, and no storm pushes out what else happened."""

from __future__ import annotations

from proxy.insight.events import AT_ONCE, KEPT, EventLog
from proxy.insight.views_answers import EventKind, Level


class Clock:
    """A time that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_whoever_asks_again_gets_only_what_is_new() -> None:
    log = EventLog(Clock())
    log.note(EventKind.MAP_CHANGED, "first")
    seen = log.after(0)
    log.note(EventKind.NODE_FAILED, "second", level=Level.ERROR, node="127.0.0.1:7000")

    new = log.after(seen.last)

    assert [event.text for event in seen.events] == ["first"]
    assert [(e.text, e.level, e.node, e.number) for e in new.events] == [
        ("second", Level.ERROR, "127.0.0.1:7000", 2)
    ]
    assert log.after(new.last).events == ()


def test_events_of_all_kinds_come_in_their_order() -> None:
    log = EventLog(Clock())
    kinds = [EventKind.LIMIT, EventKind.RELOAD, EventKind.LIMIT, EventKind.DRAIN]
    for kind in kinds:
        log.note(kind, kind.value)

    assert [event.kind for event in log.after(0).events] == kinds


def test_a_storm_is_told_as_one_event_when_its_second_is_over() -> None:
    clock = Clock()
    log = EventLog(clock)
    for number in range(AT_ONCE + 95):
        log.note(EventKind.SLOT_MOVED, f"slot {number}")
    assert len(log.after(0).events) == AT_ONCE

    log.settle()
    assert len(log.after(0).events) == AT_ONCE  # the second is not over

    clock.now += 1.0
    log.settle()

    *_, last = log.after(0).events
    assert last.count == 95
    assert last.text == "95 more in a second, the last: slot 99"
    log.settle()
    assert len(log.after(0).events) == AT_ONCE + 1


def test_the_next_second_tells_what_the_last_has_held() -> None:
    clock = Clock()
    log = EventLog(clock)
    for number in range(AT_ONCE + 1):
        log.note(EventKind.LIMIT, f"limit {number}")
    clock.now += 2.0

    log.note(EventKind.LIMIT, "later")

    assert [event.text for event in log.after(0).events[-2:]] == [f"limit {AT_ONCE}", "later"]


def test_a_long_storm_pushes_out_nothing_but_itself() -> None:
    clock = Clock()
    log = EventLog(clock)
    log.note(EventKind.FAILOVER, "what matters")
    for _ in range(10 * KEPT):
        clock.now += 1.0
        log.note(EventKind.REDIRECTS, "noise")

    events = log.after(0).events

    assert events[0].text == "what matters"
    assert len(events) == KEPT + 1


def test_a_clock_that_is_set_back_holds_nothing_for_ever() -> None:
    clock = Clock()
    log = EventLog(clock)
    for _ in range(AT_ONCE + 3):
        log.note(EventKind.LIMIT, "reached")
    clock.now -= 3600.0

    log.settle()

    assert log.after(0).events[-1].count == 3
