"""Whether a soak has left something behind: pure, from samples to what is wrong.

Strategy: only quiet samples count, for then the proxy holds what it keeps and nothing else.
Memory is judged twice. The slope (Theil and Sen's: the median of the slopes between any two
samples) finds what grows all the time, and a single sample that is off does not bend it. The
medians of the first and the last third find what grew once and stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from soaking.sample import Sample

WARM_UP_SHARE = 0.2
FEWEST_SAMPLES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is still flat.

    Attributes:
        growth_bytes: Of resident memory, from the end of the warm-up to the end. What is freed
            comes back to the kernel only as whole pages, so it is never exactly none.
        node_connections: More in the last third than in the first: how many the proxy keeps for
            whoever may want them next depends on who came last.
        other_descriptors: The same; connections for health checks come and go with the nodes.
    """

    growth_bytes: int = 2 << 20
    node_connections: int = 64
    other_descriptors: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found.

    Attributes:
        warm: The first quiet sample that counts.
        last: The last one.
        bytes_per_command: The slope of resident memory.
        growth_bytes: By the slope, from ``warm`` to ``last``.
        shift_bytes: The median of the last third less that of the first.
        problems: What is wrong, in words; empty if the soak is passed.
    """

    warm: Sample
    last: Sample
    bytes_per_command: float
    growth_bytes: float
    shift_bytes: float
    problems: tuple[str, ...]


def judge(samples: Sequence[Sample], limits: Limits) -> Verdict:
    """Return the verdict on a soak.

    Raises:
        ValueError: There are too few quiet samples to say anything.
    """
    quiet = [sample for sample in samples if sample.is_quiet]
    begin = WARM_UP_SHARE * quiet[-1].commands if quiet else 0
    counted = [sample for sample in quiet if sample.commands >= begin]
    if len(counted) < FEWEST_SAMPLES:
        raise ValueError(f"{len(counted)} quiet samples after the warm-up say nothing")
    rate = slope([(sample.commands, sample.resident_bytes) for sample in counted])
    growth = rate * (counted[-1].commands - counted[0].commands)
    shift = shift_of(counted, lambda sample: sample.resident_bytes)
    problems = []
    if max(growth, shift) > limits.growth_bytes:
        problems.append(
            f"memory grew by {growth / 2**20:.1f} MiB, {rate:.2f} bytes a command; "
            f"from the first third to the last by {shift / 2**20:.1f} MiB"
        )
    allowed: tuple[tuple[str, Callable[[Sample], int], int], ...] = (
        ("node connections", lambda sample: sample.node_connections, limits.node_connections),
        (
            "other descriptors",
            lambda sample: sample.other_descriptors,
            limits.other_descriptors,
        ),
        ("lanes", lambda sample: sample.lanes, 0),
        ("threads", lambda sample: sample.threads, 0),
    )
    for name, value, most in allowed:
        if (more := shift_of(counted, value)) > most:
            problems.append(f"{name} grew by {more:g}")
    problems += [
        f"after {sample.commands} commands {words}" for sample in counted for words in _kept(sample)
    ]
    return Verdict(
        warm=counted[0],
        last=counted[-1],
        bytes_per_command=rate,
        growth_bytes=growth,
        shift_bytes=shift,
        problems=tuple(problems),
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between any two points with different places."""
    return median(
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2
    )


def shift_of(samples: Sequence[Sample], value: Callable[[Sample], int]) -> float:
    """Return by how much the median of the last third is above that of the first."""
    third = max(1, len(samples) // 3)
    values = [value(sample) for sample in samples]
    return median(values[-third:]) - median(values[:third])


def _kept(sample: Sample) -> list[str]:
    """Return what a quiet proxy has and must not have."""
    kept = []
    if sample.clients != sample.connections:
        kept.append(f"{sample.clients} clients instead of {sample.connections}")
    if sample.in_flight:
        kept.append(f"{sample.in_flight} pieces in flight")
    if sample.leftovers:
        kept.append(f"{sample.leftovers} things kept for clients that have left")
    return kept
