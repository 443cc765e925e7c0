"""What health checks make of a node: misses in a row, and one sign of life."""

from __future__ import annotations

from proxy.control.vitals import Vitals


def test_a_node_is_down_after_so_many_misses_in_a_row_and_is_told_once() -> None:
    vitals = Vitals()

    told = [vitals.missed(10.0, 3) for _ in range(5)]

    assert told == [False, False, True, False, False]
    assert vitals.is_down
    assert vitals.misses == 5


def test_an_answer_between_begins_the_count_anew() -> None:
    vitals = Vitals()
    vitals.missed(1.0, 3)
    vitals.missed(1.0, 3)

    assert vitals.answered(0.001) is None
    assert not vitals.missed(5.0, 3)
    assert not vitals.is_down


def test_a_sign_of_life_ends_it_and_tells_since_when_it_was_silent() -> None:
    vitals = Vitals()
    for asked_at in (7.0, 8.0, 9.0):
        vitals.missed(asked_at, 3)

    assert vitals.answered(None) == 7.0
    assert not vitals.is_down
    assert vitals.silent_since is None


def test_a_round_trip_is_smoothed() -> None:
    vitals = Vitals()
    vitals.answered(0.010)
    assert vitals.rtt_s == 0.010

    vitals.answered(0.090)

    assert vitals.rtt_s is not None
    assert abs(vitals.rtt_s - 0.020) < 1e-9
