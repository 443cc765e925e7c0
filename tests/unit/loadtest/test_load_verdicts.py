"""Whether a run of the load test passed, and the sentences that say why not."""

from __future__ import annotations

import pytest
from load.thresholds import Outcome, Thresholds, find_misses

GOOD = Outcome(requests=1000, failures=0, rate=250.0, p99_ms=12.0)


@pytest.mark.parametrize(
    "thresholds",
    [
        Thresholds(),
        Thresholds(max_p99_ms=12.0, min_rate=250.0),
        Thresholds(max_fail_ratio=0.5, max_p99_ms=1000, min_rate=1),
    ],
)
def test_what_is_held_exactly_is_held(thresholds: Thresholds) -> None:
    assert find_misses(GOOD, thresholds) == []


def test_each_miss_is_named_with_what_was_asked_and_what_there_was() -> None:
    outcome = Outcome(requests=1000, failures=20, rate=99.96, p99_ms=80.0, crashes=2)
    thresholds = Thresholds(max_fail_ratio=0.01, max_p99_ms=50, min_rate=100)

    assert find_misses(outcome, thresholds) == [
        "--max-fail-ratio 0.01: 20 of 1,000 requests failed (0.02)",
        "--max-p99-ms 50: p99 was 80 ms",
        "--min-rps 100: there were 100.0 a second",
        "the load test itself failed: 2 exceptions in tasks",
    ]


def test_one_failure_is_too_many_unless_some_are_allowed() -> None:
    outcome = Outcome(requests=1000, failures=1, rate=250.0, p99_ms=12.0)

    assert find_misses(outcome, Thresholds()) == [
        "--max-fail-ratio 0: 1 of 1,000 requests failed (0.001)"
    ]
    assert find_misses(outcome, Thresholds(max_fail_ratio=0.001)) == []


def test_a_run_without_requests_has_not_passed() -> None:
    nothing = Outcome(requests=0, failures=0, rate=0.0, p99_ms=0.0)

    assert find_misses(nothing, Thresholds()) == ["no request was made"]
