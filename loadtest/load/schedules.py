"""How many users there are at which moment of a run: ramp, spike, soak.

Each is a function of the elapsed share of the run, so a shape is the same
whether it lasts a minute or a day.
"""

from collections.abc import Callable
from dataclasses import dataclass

SPIKE_BASE = 0.1  # of the users
SOAK_ARRIVAL = 0.05  # of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is asked of a run.

    Attributes:
        users: The most there will be.
        seconds: How long it lasts.
        steps: Levels of a ramp; the other shapes ignore it.
    """

    users: int
    seconds: float
    steps: int


def ramp(run: Run, share: float) -> int:
    """Return more users at each of ``steps`` equal steps, all of them in the last: to the knee."""
    step = min(int(share * run.steps), run.steps - 1) + 1
    return max(1, round(run.users * step / run.steps))


def spike(run: Run, share: float) -> int:
    """Return a tenth of the users, in the middle third all of them: does it recover?"""
    base = max(1, round(run.users * SPIKE_BASE))
    return run.users if 1 / 3 <= share < 2 / 3 else base


def soak(run: Run, share: float) -> int:
    """Return all users from the first twentieth of the run on: does anything grow or rot?"""
    return max(1, round(run.users * min(1.0, share / SOAK_ARRIVAL)))


SCHEDULES: dict[str, Callable[[Run, float], int]] = {"ramp": ramp, "spike": spike, "soak": soak}


def users_at(name: str, run: Run, elapsed_s: float) -> int | None:
    """Return how many users a shape wants now; None when its time is over."""
    share = elapsed_s / run.seconds
    return None if share >= 1 else SCHEDULES[name](run, share)
