"""Soaks made by hand: what was seen of a proxy that keeps nothing, and of one that leaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from soaking.sample import Sample

ROUND_COMMANDS = 1_000_000
ROUND_VISITS = 10_000
STEADY = 40

Change = Callable[[int, Sample], Sample]


def sample(number: int) -> Sample:
    """Return what a proxy that keeps nothing looks like at rest after so many rounds."""
    return Sample(
        seconds=20.0 * number,
        commands=number * ROUND_COMMANDS,
        visits=number * ROUND_VISITS,
        is_quiet=True,
        event="",
        connections=STEADY,
        resident_bytes=100 << 20,
        held_bytes=1000,
        descriptors=STEADY + 20 + 200,
        threads=2,
        cpu_s=10.0 * number,
        clients=STEADY,
        node_connections=200,
        in_flight=0,
        lanes=4,
        leftovers=0,
    )


def loaded(number: int) -> Sample:
    """Return the same proxy in the middle of the round before."""
    rest = sample(number)
    return replace(
        rest,
        commands=rest.commands - ROUND_COMMANDS // 2,
        is_quiet=False,
        connections=5000,
        clients=5000,
        in_flight=300,
        leftovers=400,
        resident_bytes=rest.resident_bytes + (40 << 20),
        descriptors=6000,
    )


def soak_of(change: Change = lambda _number, rest: rest, rounds: int = 40) -> list[Sample]:
    """Return a whole soak; ``change`` says what is different at rest after each round."""
    samples = []
    for number in range(1, rounds + 1):
        samples += [loaded(number), change(number, sample(number))]
    last = samples[-1]
    return [*samples, replace(last, is_quiet=False, connections=0, clients=0)]


def noisy(number: int, rest: Sample) -> Sample:
    """Return a sample with the noise of an allocator: up to 1 MiB more, another each time."""
    return replace(
        rest, resident_bytes=rest.resident_bytes + random.Random(number).randrange(1 << 20)
    )


def leaking(bytes_per_command: float) -> Change:
    """Return the change of a proxy that keeps so many bytes of each command, besides noise."""

    def change(number: int, rest: Sample) -> Sample:
        leaked = int(bytes_per_command * rest.commands)
        return replace(
            noisy(number, rest), resident_bytes=noisy(number, rest).resident_bytes + leaked
        )

    return change
