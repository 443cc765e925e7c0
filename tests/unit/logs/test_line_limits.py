"""How many lines of a kind may be written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.logs.limits import MAX_NAMES, OTHERS, LineLimits


def test_a_few_come_at_once_and_then_one_a_second() -> None:
    limits = LineLimits(burst=3, per_s=1.0)

    assert [limits.allow("lost", 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [limits.allow("lost", 101.0) for _ in range(2)] == [True, False]
    assert [limits.allow("lost", 1000.0) for _ in range(5)] == [True, True, True, False, False]


def test_one_kind_does_not_use_up_what_another_may_have() -> None:
    limits = LineLimits(burst=1)

    assert limits.allow("lost", 0.0)
    assert limits.allow("back", 0.0)
    assert not limits.allow("lost", 0.0)


def test_what_was_left_out_is_told_once() -> None:
    limits = LineLimits(burst=1)
    for _ in range(4):
        limits.allow("lost", 0.0)
    limits.allow("back", 0.0)

    assert limits.take_left_out() == {"lost": 3}
    assert limits.take_left_out() == {}


def test_names_without_end_share_one_bucket() -> None:
    limits = LineLimits(burst=1)

    allowed = sum(limits.allow(f"name {number}", 0.0) for number in range(MAX_NAMES + 100))

    assert allowed == MAX_NAMES + 1
    assert limits.take_left_out() == {OTHERS: 99}


@given(st.lists(st.floats(0, 2), max_size=200))
def test_no_rhythm_gets_more_through(pauses: list[float]) -> None:
    limits = LineLimits(burst=5, per_s=1.0)
    now = 0.0
    allowed = 0
    for pause in pauses:
        now += pause
        allowed += limits.allow("lost", now)

    assert allowed <= 5 + now
    assert allowed + sum(limits.take_left_out().values()) == len(pauses)
