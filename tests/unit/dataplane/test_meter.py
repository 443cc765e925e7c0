"""Histograms: where a value is counted, and what is read of it."""

from __future__ import annotations

import math
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.families import FAMILIES
from proxy.config.limits import Limits
from proxy.dataplane.histogram import LATENCY_BOUNDS_S, Histogram, histogram_of
from proxy.dataplane.meter import ERROR_CODES, LIMITS, WIDTH_BOUNDS, Meter

TIMES = st.floats(min_value=0, max_value=200)


def test_the_bounds_are_fifty_microseconds_doubled_and_the_middle_of_each_step() -> None:
    assert LATENCY_BOUNDS_S[:7] == (0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0004)
    assert LATENCY_BOUNDS_S[-1] == 104.8576
    assert len(LATENCY_BOUNDS_S) == 43
    assert [2.0**power for power in range(1, 15)] == list(WIDTH_BOUNDS)


@given(TIMES)
def test_a_time_is_counted_below_the_bound_above_it(seconds: float) -> None:
    histogram = histogram_of([seconds])

    place = histogram.counts.index(1)
    # At a bound itself, either side of it is right: 0.0001 * 20000 is no whole number.
    nearest = {bisect_right(LATENCY_BOUNDS_S, seconds * near) for near in (1 - 1e-12, 1 + 1e-12)}
    assert place in nearest
    assert (histogram.count, histogram.sum) == (1, seconds)


@pytest.mark.parametrize("seconds", [0.0, -1e-9, -5.0])
def test_a_clock_that_did_not_go_on_counts_as_nothing(seconds: float) -> None:
    assert histogram_of([seconds]).counts[0] == 1


@pytest.mark.parametrize("seconds", [104.8577, 1e6, math.inf])
def test_what_is_beyond_the_last_bound_is_counted_too(seconds: float) -> None:
    assert histogram_of([seconds]).counts[-1] == 1


@given(st.lists(TIMES, min_size=1, max_size=50), st.floats(min_value=0, max_value=1))
def test_a_quantile_is_in_the_bucket_of_the_true_one(times: list[float], q: float) -> None:
    found = histogram_of(times).quantile(q)

    true = sorted(times)[max(math.ceil(q * len(times)) - 1, 0)]
    place = histogram_of([true]).counts.index(1)
    lower, upper = (0.0, *LATENCY_BOUNDS_S)[place], (*LATENCY_BOUNDS_S, 104.8576)[place]
    assert lower * (1 - 1e-9) <= found <= upper * (1 + 1e-9)


@given(st.lists(TIMES, max_size=50))
def test_quantiles_rise(times: list[float]) -> None:
    histogram = histogram_of(times)

    quantiles = [histogram.quantile(tenth / 10) for tenth in range(11)]

    assert quantiles == sorted(quantiles)


def test_a_quantile_is_interpolated() -> None:
    histogram = Histogram((1.0, 2.0, 4.0), (0, 4, 0, 1), 10.0)

    assert [histogram.quantile(q) for q in (0, 0.2, 0.4, 0.8, 1)] == [1.0, 1.25, 1.5, 2.0, 4.0]


def test_without_values_everything_is_nought() -> None:
    histogram = histogram_of([])

    assert histogram.count == histogram.sum == histogram.mean == histogram.quantile(0.99) == 0


@given(st.lists(TIMES, max_size=50), st.integers(min_value=1, max_value=5))
def test_cumulated_counts_rise_to_all(times: list[float], every: int) -> None:
    pairs = histogram_of(times).cumulated(every)

    assert [bound for bound, _ in pairs] == [*LATENCY_BOUNDS_S[::every], math.inf]
    assert pairs[-1][1] == len(times)
    assert [count for _, count in pairs] == sorted(count for _, count in pairs)
    for bound, count in pairs[:-1]:
        assert count == sum(
            histogram_of([seconds]).counts.index(1) <= LATENCY_BOUNDS_S.index(bound)
            for seconds in times
        )


@given(st.lists(TIMES, max_size=20), st.lists(TIMES, max_size=20))
def test_histograms_add_up_and_are_taken_from_each_other(a: list[float], b: list[float]) -> None:
    both = histogram_of(a) + histogram_of(b)

    assert both.counts == histogram_of(a + b).counts
    assert (both - histogram_of(b)).counts == histogram_of(a).counts
    assert both.sum == pytest.approx(sum(a) + sum(b))
    assert both.mean == pytest.approx(sum(a + b) / max(len(a + b), 1))


def test_the_labels_are_closed_sets_without_doubles() -> None:
    meter = Meter()

    assert tuple(meter.families) == FAMILIES
    assert tuple(meter.errors) == ERROR_CODES
    for names in (FAMILIES, ERROR_CODES, LIMITS):
        assert len(set(names)) == len(names)
    assert meter.nodes == {}


def test_every_limit_of_the_settings_is_counted() -> None:
    # A duration; and a memory that is meant to be full.
    others = {"pubsub_output_soft_s", "script_memory_bytes"}

    assert set(Limits.model_fields) - others <= set(LIMITS)
