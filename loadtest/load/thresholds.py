"""What a run must hold to pass, and the sentences that say what it did not hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        requests: All requests, failed ones included.
        failures: Failed ones: errors, and wrong values.
        rate: Requests per second over the whole run.
        p99_ms: The time that one request in a hundred exceeded.
        crashes: Exceptions that ended a task of the load test itself.
    """

    requests: int
    failures: int
    rate: float
    p99_ms: float
    crashes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What must be held; None is not asked.

    Attributes:
        max_fail_ratio: Failed requests by all requests.
        max_p99_ms: See ``Outcome``.
        min_rate: See ``Outcome``.
    """

    max_fail_ratio: float = 0.0
    max_p99_ms: float | None = None
    min_rate: float | None = None


def find_misses(outcome: Outcome, thresholds: Thresholds) -> list[str]:
    """Return one sentence for each threshold that was not held; none if the run passed."""
    if not outcome.requests:
        return ["no request was made"]
    misses = []
    ratio = outcome.failures / outcome.requests
    if ratio > thresholds.max_fail_ratio:
        misses.append(
            f"--max-fail-ratio {thresholds.max_fail_ratio:g}: {outcome.failures:,} of "
            f"{outcome.requests:,} requests failed ({ratio:.3g})"
        )
    if thresholds.max_p99_ms is not None and outcome.p99_ms > thresholds.max_p99_ms:
        misses.append(f"--max-p99-ms {thresholds.max_p99_ms:g}: p99 was {outcome.p99_ms:g} ms")
    if thresholds.min_rate is not None and outcome.rate < thresholds.min_rate:
        misses.append(f"--min-rps {thresholds.min_rate:g}: there were {outcome.rate:.1f} a second")
    if outcome.crashes:
        misses.append(f"the load test itself failed: {outcome.crashes} exceptions in tasks")
    return misses
