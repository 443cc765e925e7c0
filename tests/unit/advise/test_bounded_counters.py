"""Counters keep to their limit, and are right about what they say is certain."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.advise.counting import FirstCome, Heavy

VALUES = st.lists(st.sampled_from([bytes([n]) for n in range(12)]), max_size=200)


def test_what_does_not_fit_is_counted_among_the_others() -> None:
    counter: FirstCome[str] = FirstCome(2)

    added = [counter.add(name) for name in ("a", "b", "c", "a", "c")]

    assert added == [True, True, False, True, False]
    assert counter.most() == [("a", 2), ("b", 1)]
    assert counter.others == 2


@given(values=VALUES)
def test_a_heavy_counter_never_claims_too_much(values: list[bytes]) -> None:
    truth = Counter(values)
    heavy = Heavy(4)

    for value in values:
        heavy.add(value)

    assert heavy.total == len(values)
    assert all(count <= truth[value] for value, count in heavy.certain().items())


@given(values=VALUES)
def test_what_has_more_than_its_part_is_always_there(values: list[bytes]) -> None:
    heavy = Heavy(4)

    for value in values:
        heavy.add(value)

    wanted = {value for value, count in Counter(values).items() if count > len(values) / 4}
    assert wanted <= set(heavy.certain())


@given(first=VALUES, second=VALUES)
def test_merged_counters_claim_no_more_than_is_true(
    first: list[bytes], second: list[bytes]
) -> None:
    truth = Counter(first + second)
    merged, other = Heavy(4), Heavy(4)
    for value in first:
        merged.add(value)
    for value in second:
        other.add(value)

    merged.merge(other)

    assert merged.total == len(first) + len(second)
    assert all(count <= truth[value] for value, count in merged.certain().items())
