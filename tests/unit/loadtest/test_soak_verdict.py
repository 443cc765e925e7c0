"""Whether a soak has left something behind, judged on soaks made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from soak_samples import Change, leaking, noisy, sample, soak_of
from soaking.sample import Sample
from soaking.verdict import Limits, judge, shift_of, slope

LIMITS = Limits()


def test_a_flat_soak_is_passed() -> None:
    verdict = judge(soak_of(), LIMITS)

    assert verdict.problems == ()
    assert verdict.bytes_per_command == verdict.growth_bytes == verdict.shift_bytes == 0


def test_an_allocators_noise_is_no_leak() -> None:
    assert judge(soak_of(noisy), LIMITS).problems == ()


def test_what_grows_in_the_warm_up_does_not_count() -> None:
    def warming(number: int, rest: Sample) -> Sample:
        return replace(rest, resident_bytes=rest.resident_bytes - max(0, 8 - number) * (10 << 20))

    assert judge(soak_of(warming), LIMITS).problems == ()


@pytest.mark.parametrize("leak", [0.1, 1.0, 16.0])
def test_a_leak_of_a_fraction_of_a_byte_a_command_is_found(leak: float) -> None:
    verdict = judge(soak_of(leaking(leak)), LIMITS)

    assert verdict.bytes_per_command == pytest.approx(leak, rel=0.2)
    assert len(verdict.problems) == 1
    assert verdict.problems[0].startswith("memory grew by ")


def test_what_grew_once_and_stayed_is_found() -> None:
    def jumping(number: int, rest: Sample) -> Sample:
        return replace(rest, resident_bytes=rest.resident_bytes + (number > 33) * (10 << 20))

    verdict = judge(soak_of(jumping), LIMITS)

    assert verdict.growth_bytes == 0
    (problem,) = verdict.problems
    assert problem.endswith("from the first third to the last by 10.0 MiB")


def test_one_sample_that_is_off_bends_nothing() -> None:
    def spiking(number: int, rest: Sample) -> Sample:
        return replace(rest, resident_bytes=rest.resident_bytes << (number == 39))

    assert judge(soak_of(spiking), LIMITS).problems == ()


def descriptor_a_round(number: int, rest: Sample) -> Sample:
    return replace(rest, descriptors=rest.descriptors + number)


def node_connection_a_round(number: int, rest: Sample) -> Sample:
    return replace(
        rest,
        descriptors=rest.descriptors + 3 * number,
        node_connections=rest.node_connections + 3 * number,
    )


def thread_at_last(number: int, rest: Sample) -> Sample:
    return replace(rest, threads=2 + (number > 30))


def lane_of_a_client_that_left(number: int, rest: Sample) -> Sample:
    return replace(rest, lanes=4 + (number > 30))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (descriptor_a_round, "other descriptors grew by 22"),
        (node_connection_a_round, "node connections grew by 66"),
        (thread_at_last, "threads grew by 1"),
        (lane_of_a_client_that_left, "lanes grew by 1"),
    ],
)
def test_what_is_not_memory_may_not_grow_either(change: Change, problem: str) -> None:
    assert judge(soak_of(change), LIMITS).problems == (problem,)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("clients", 41, "41 clients instead of 40"),
        ("in_flight", 2, "2 pieces in flight"),
        ("leftovers", 1, "1 things kept for clients that have left"),
    ],
)
def test_a_proxy_at_rest_holds_nothing_for_anybody(field: str, value: int, problem: str) -> None:
    def once(number: int, rest: Sample) -> Sample:
        return replace(rest, **{field: value}) if number == 20 else rest

    assert f"after 20000000 commands {problem}" in judge(soak_of(once), LIMITS).problems


def test_a_proxy_under_load_is_not_judged() -> None:
    quiet = [each for each in soak_of() if each.is_quiet]

    assert judge(soak_of(), LIMITS) == judge(quiet, LIMITS)


@pytest.mark.parametrize("samples", [[], [sample(number) for number in range(1, 6)]])
def test_too_few_samples_say_nothing(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="quiet samples after the warm-up say nothing"):
        judge(samples, LIMITS)


def test_the_slope_is_that_of_most_pairs() -> None:
    assert slope([(0, 0), (1, 2), (2, 4), (2, 5), (3, 100), (4, 8)]) == 2


def test_a_shift_is_between_the_thirds() -> None:
    values = [sample(number) for number in (1, 2, 3, 50, 51, 52, 7, 8, 9)]

    assert shift_of(values, lambda each: each.visits) == 60_000
