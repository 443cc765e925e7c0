"""Who comes, when, and which keys they ask for: the load test's plain functions."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from load.mixture import parse_mix
from load.schedules import Run, users_at
from load.zipf import Zipf

KNOWN = {"cache": 8, "queue": 3, "pubsub": 2}
RUN = Run(users=100, seconds=90.0, steps=9)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("all", KNOWN),
        ("queue", {"queue": 3}),
        ("queue, cache", {"queue": 3, "cache": 8}),
        ("cache=1,queue=20", {"cache": 1, "queue": 20}),
    ],
)
def test_a_mix_names_users_and_weights(text: str, chosen: dict[str, int]) -> None:
    assert parse_mix(text, KNOWN) == chosen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cashe", "'cashe' is not one of all, cache, queue, pubsub"),
        ("", "'' is not one of"),
        ("cache,cache", "'cache' comes twice"),
        ("cache=0", "cache: the weight '0'"),
        ("cache=many", "cache: the weight 'many'"),
        ("cache=", "cache: the weight ''"),
    ],
)
def test_a_wrong_mix_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="^" + words):
        parse_mix(text, KNOWN)


@pytest.mark.parametrize(
    ("shape", "elapsed_s", "users"),
    [
        ("ramp", 0.0, 11),
        ("ramp", 9.9, 11),
        ("ramp", 10.0, 22),
        ("ramp", 89.9, 100),
        ("spike", 29.9, 10),
        ("spike", 30.1, 100),
        ("spike", 60.1, 10),
        ("soak", 0.0, 1),
        ("soak", 2.25, 50),
        ("soak", 4.5, 100),
        ("soak", 89.9, 100),
    ],
)
def test_a_shape_says_how_many_users_there_are(shape: str, elapsed_s: float, users: int) -> None:
    assert users_at(shape, RUN, elapsed_s) == users


@pytest.mark.parametrize("shape", ["ramp", "spike", "soak"])
def test_a_shape_ends_with_its_time_and_is_never_empty_before(shape: str) -> None:
    one = Run(users=1, seconds=10.0, steps=3)

    assert all(users_at(shape, one, tenth / 10) == 1 for tenth in range(100))
    assert users_at(shape, one, 10.0) is None


def test_the_favourites_of_zipf_are_drawn_as_often_as_the_law_says() -> None:
    keys = Zipf(1000, 1.0, Random(4))
    draws = 20_000

    drawn = Counter(keys.draw() for _ in range(draws))

    harmonic = sum(1 / rank for rank in range(1, 1001))
    for number in (0, 1, 9):
        expected = draws / (number + 1) / harmonic
        assert drawn[number] == pytest.approx(expected, rel=0.15)
        assert keys.share(number) == pytest.approx(1 / (number + 1) / harmonic)
    assert min(drawn) >= 0
    assert max(drawn) <= 999


def test_zipf_with_exponent_zero_likes_all_alike() -> None:
    keys = Zipf(4, 0.0, Random(4))

    assert [keys.share(number) for number in range(4)] == pytest.approx([0.25] * 4)
    assert {keys.draw() for _ in range(200)} == {0, 1, 2, 3}
