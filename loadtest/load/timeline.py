"""What happened in each second of a run: users, failures, how long requests took.

locust keeps percentiles of the whole run and of its last ten seconds, in
whole milliseconds; a step of a ramp is shorter, and a GET takes a fraction
of one. So each worker counts its requests by second and rounded time, sends
the counts to the master with locust's own reports, and the master adds up.

Cost: one dictionary look-up a request; some 100 different times a second.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import Any

DIGITS = 2  # as locust's own rounding above 100 ms: 3 % off at most


def rounded_ms(time_ms: float) -> float:
    """Return a time with two significant digits, not finer than a microsecond."""
    if time_ms < 0.001:
        return 0.0
    return round(time_ms, DIGITS - 1 - floor(log10(time_ms)))


def percentile(times: Mapping[float, int], share: float) -> float:
    """Return the time within which this share of the requests ended; 0 without requests."""
    wanted = ceil(sum(times.values()) * share)
    seen = 0
    for time_ms in sorted(times):
        seen += times[time_ms]
        if seen >= wanted:
            return time_ms
    return 0.0


@dataclass(slots=True)
class Second:
    """One second.

    Attributes:
        users: How many there were; None until the master has looked.
        failures: Requests that failed.
        times: Rounded time in milliseconds to number of requests, failed ones included.
    """

    users: int | None = None
    failures: int = 0
    times: Counter[float] = field(default_factory=Counter)


class Timeline:
    """Seconds by their Unix time."""

    def __init__(self) -> None:
        self.seconds: defaultdict[int, Second] = defaultdict(Second)

    def note(self, moment_s: float, time_ms: float, *, is_failure: bool) -> None:
        """Count a request that ended at ``moment_s``."""
        second = self.seconds[int(moment_s)]
        second.times[rounded_ms(time_ms)] += 1
        second.failures += is_failure

    def note_users(self, moment_s: float, users: int) -> None:
        """Keep how many users there are at a moment."""
        self.seconds[int(moment_s)].users = users

    def take(self) -> list[Any]:
        """Return everything as plain lists, for ``merge`` elsewhere, and forget it."""
        taken = [
            [moment, second.users, second.failures, list(map(list, second.times.items()))]
            for moment, second in sorted(self.seconds.items())
        ]
        self.seconds.clear()
        return taken

    def merge(self, taken: Iterable[Any]) -> None:
        """Add what another timeline gave."""
        for moment, users, failures, times in taken:
            second = self.seconds[moment]
            if users is not None:
                second.users = users
            second.failures += failures
            for time_ms, count in times:
                second.times[time_ms] += count
