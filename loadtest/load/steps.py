"""From the seconds of a ramp to its steps, and to the knee.

A step is a stretch of seconds with the same number of users. Its first
seconds are left out, because users are still connecting, and its last,
which is not whole. The knee is the step after which more users no longer buy
throughput, only waiting.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from load.timeline import Second, percentile

SETTLE_S = 2
# Of the best throughput: less is not worth a step, more is within what two
# runs of the same step differ by.
KNEE_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a number of users came to.

    Attributes:
        users: How many.
        start: Unix time of its first second that counts.
        seconds: How many seconds count.
        requests: In these seconds, failed ones included.
        failures: Failed ones.
        p50_ms: The median time of a request.
        p99_ms: The time that one request in a hundred exceeded.
        cores: CPU used by each of the parties, in cores.
    """

    users: int
    start: int
    seconds: int
    requests: int
    failures: int
    p50_ms: float
    p99_ms: float
    cores: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where a ramp bends.

    Attributes:
        step: The fewest users with nearly the best throughput.
        is_reached: Whether the ramp went on beyond it; else the bend may be further up.
    """

    step: Step
    is_reached: bool


def steps_of(seconds: Mapping[int, Second], settle_s: int = SETTLE_S) -> list[Step]:
    """Return the steps of a run in their order; those too short to count are left out."""
    steps = []
    known = sorted((moment, second) for moment, second in seconds.items() if second.users)
    for users, stretch in groupby(known, key=lambda item: item[1].users):
        counted = list(stretch)[settle_s:-1]
        if counted:
            times: Counter[float] = Counter()
            for _, second in counted:
                times.update(second.times)
            steps.append(
                Step(
                    users=users or 0,
                    start=counted[0][0],
                    seconds=len(counted),
                    requests=sum(times.values()),
                    failures=sum(second.failures for _, second in counted),
                    p50_ms=percentile(times, 0.5),
                    p99_ms=percentile(times, 0.99),
                )
            )
    return steps


def find_knee(steps: Sequence[Step], share: float = KNEE_SHARE) -> Knee | None:
    """Return the first step whose throughput is ``share`` of the best; None without steps."""
    if not steps:
        return None
    best = max(step.rate for step in steps)
    ordered = sorted(steps, key=lambda step: step.users)
    step = next(step for step in ordered if step.rate >= share * best)
    return Knee(step=step, is_reached=step is not ordered[-1])


def cores_between(
    samples: Iterable[tuple[float, Mapping[str, int]]], start: float, end: float
) -> dict[str, float]:
    """Return the CPU that each party used in a stretch of time, in cores.

    Args:
        samples: Unix time, and each party's CPU time so far in nanoseconds, in order.
        start: Unix time; the samples nearest within are taken.
        end: The same.

    Returns:
        Nothing if fewer than two samples lie within.
    """
    within = [sample for sample in samples if start <= sample[0] <= end]
    if len(within) < 2:
        return {}
    (first_s, first), (last_s, last) = within[0], within[-1]
    return {
        party: (last[party] - first[party]) / 1e9 / (last_s - first_s)
        for party in last
        if party in first
    }
