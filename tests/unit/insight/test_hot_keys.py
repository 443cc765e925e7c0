"""The sketch of hot keys against exact counts that fade in the same way."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.insight.hot_keys import FADE_S, HotKeys

START_S = 1000.0

steps = st.lists(
    st.tuples(
        st.integers(0, 12),  # which key
        st.sampled_from([0.0, 0.001, 0.5, 7.0, 400.0, 5000.0]),  # seconds since the one before
        st.sampled_from([1.0, 200.0]),  # what a sample stands for
    ),
    max_size=200,
)


def exact(
    samples: list[tuple[int, float, float]],
) -> tuple[dict[bytes, float], float]:
    """Return each key's faded weight as of the last sample, and when that was."""
    times = []
    now_s = START_S
    for _, pause_s, _ in samples:
        now_s += pause_s
        times.append(now_s)
    weights: dict[bytes, float] = defaultdict(float)
    for (key, _, stands_for), at_s in zip(samples, times, strict=True):
        weights[b"%d" % key] += stands_for * math.exp((at_s - now_s) / FADE_S)
    return weights, now_s


def window_s(now_s: float) -> float:
    return FADE_S * (1 - math.exp(-max(now_s - START_S, 1.0) / FADE_S))


@given(steps, st.integers(1, 8))
def test_no_estimate_is_below_the_truth_or_above_it_by_more_than_its_bound(
    samples: list[tuple[int, float, float]], counters: int
) -> None:
    sketch = HotKeys(counters, START_S)
    now_s = START_S
    for key, pause_s, stands_for in samples:
        now_s += pause_s
        sketch.add(b"%d" % key, now_s, stands_for)

    weights, now_s = exact(samples)
    total = sum(weights.values())
    estimates = sketch.top(counters, now_s)
    slack = 1e-9 * (total + 1)
    for estimate in estimates:
        weight, error = (x * window_s(now_s) for x in (estimate.per_s, estimate.error_per_s))
        assert weights[estimate.key] <= weight + slack
        assert weight - error <= weights[estimate.key] + slack
        assert error <= total / counters + slack
    kept = {estimate.key for estimate in estimates}
    hot = {key for key, weight in weights.items() if weight > total / counters + slack}
    assert hot <= kept
    assert len(kept) <= counters
    assert estimates == sorted(estimates, key=lambda one: one.per_s, reverse=True)


def test_the_hottest_of_many_keys_are_found_in_their_order() -> None:
    chance = random.Random(4)
    names = [b"key:%d" % rank for rank in range(20_000)]
    weights = [1 / (rank + 1) for rank in range(len(names))]  # Zipf's law
    sketch = HotKeys(400, START_S)
    now_s = START_S

    for key in chance.choices(names, weights, k=30_000):
        now_s += 0.001
        sketch.add(key, now_s)

    top = sketch.top(5, now_s)
    assert [estimate.key for estimate in top[:3]] == names[:3]
    assert {estimate.key for estimate in top} == set(names[:5])
    share = weights[0] / sum(weights)
    assert top[0].per_s == pytest.approx(1000 * share, rel=0.1)
    assert len(sketch) == 400


def test_a_steady_key_is_told_with_its_rate_from_the_beginning_on() -> None:
    sketch = HotKeys(8, START_S)

    told = {}
    for tick in range(1, 1001):
        sketch.add(b"steady", START_S + tick / 10, 20)
        if tick in (20, 100, 1000):
            told[tick] = sketch.top(1, START_S + tick / 10)[0].per_s

    assert told == pytest.approx(dict.fromkeys(told, 200.0), rel=0.05)


def test_what_was_hot_cools_down() -> None:
    sketch = HotKeys(8, START_S)
    for _ in range(1000):
        sketch.add(b"was", START_S)
    later_s = START_S + 5 * FADE_S
    for _ in range(10):
        sketch.add(b"is", later_s)

    assert [estimate.key for estimate in sketch.top(2, later_s)] == [b"is", b"was"]


def test_fewer_counters_keep_the_hottest() -> None:
    sketch = HotKeys(8, START_S)
    for count in range(8):
        for _ in range(count + 1):
            sketch.add(b"%d" % count, START_S)

    sketch.resize(2)

    assert [estimate.key for estimate in sketch.top(8, START_S)] == [b"7", b"6"]
