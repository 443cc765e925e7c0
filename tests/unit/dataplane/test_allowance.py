"""Two token buckets: what may pass at which time, without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.allowance import Allowance


def test_as_many_commands_pass_at_once_as_the_bucket_holds() -> None:
    allowance = Allowance(10, 0)

    passed = [allowance.take(100.0, 50) for _ in range(11)]

    assert passed == [None] * 10 + ["commands"]


def test_tokens_come_back_by_time() -> None:
    allowance = Allowance(10, 0)
    while allowance.take(100.0, 1) is None:
        pass

    assert allowance.take(100.05, 1) == "commands"
    assert allowance.take(100.11, 1) is None
    assert allowance.take(100.11, 1) == "commands"


def test_no_more_is_saved_up_than_the_burst() -> None:
    allowance = Allowance(10, 0, 0.5)

    passed = [allowance.take(1000.0, 1) for _ in range(6)]

    assert passed == [None] * 5 + ["commands"]


def test_less_than_one_command_a_second_lets_one_pass_now_and_then() -> None:
    allowance = Allowance(0.1, 0)

    assert allowance.take(0.0, 1) is None
    assert allowance.take(5.0, 1) == "commands"
    assert allowance.take(10.0, 1) is None


def test_what_is_longer_than_the_bucket_passes_and_the_next_waits_until_it_is_paid() -> None:
    allowance = Allowance(0, 1000)

    assert allowance.take(0.0, 5000) is None
    assert allowance.take(3.9, 1) == "bytes"
    assert allowance.take(4.1, 1) is None


def test_a_request_that_lacks_bytes_costs_no_command() -> None:
    allowance = Allowance(2, 10)
    assert allowance.take(0.0, 20) is None
    assert allowance.take(0.0, 1) == "bytes"

    assert allowance.take(2.0, 1) is None


@pytest.mark.parametrize("now", [5.0, 4.0])
def test_time_that_stands_still_or_goes_back_brings_nothing(now: float) -> None:
    allowance = Allowance(1, 0)
    assert allowance.take(5.0, 1) is None

    assert allowance.take(now, 1) == "commands"


@given(
    steps=st.lists(st.floats(min_value=0, max_value=3), max_size=200),
    rate=st.floats(min_value=0.1, max_value=50),
    burst_s=st.floats(min_value=0, max_value=3),
)
def test_never_more_than_the_rate_and_one_burst(
    steps: list[float], rate: float, burst_s: float
) -> None:
    allowance = Allowance(rate, 0, burst_s)
    now, passed = 1.0, 0

    for step in steps:
        now += step
        passed += allowance.take(now, 1) is None

    assert passed <= rate * (now - 1.0) + max(1.0, rate * burst_s) + 1e-6
