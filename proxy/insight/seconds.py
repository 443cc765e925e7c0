"""Make one event of what a second brought: redirects, retries, failures, limits.

Strategy: pure but for the log it tells; the difference of two readings is what happened.
Errors that the servers make are the application's business and no event.

Cost: 10 us a second.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.insight.chronicle import Chronicle
from proxy.insight.events import EventLog
from proxy.insight.readings import Reading
from proxy.insight.stats import redirects_of, retries_of
from proxy.insight.views_answers import EventKind, Level

_FAILURE_WORDS = {
    "expired": ("request", "given up at their deadline (cluster.request_timeout_s)"),
    "outcome_unknown": ("write", "of which nobody knows if they ran"),
}

# Limits above which a client waits and loses nothing: a long pipeline reaches them.
_BACKPRESSURE = ("in_flight_limit", "soft_bytes")


class Seconds:
    """Tells what each second brought."""

    def __init__(self, events: EventLog, chronicle: Chronicle) -> None:
        self._events = events
        self._chronicle = chronicle

    def tell(self, now: Reading, before: Reading) -> None:
        """Make events of the difference of two readings."""
        self._tell_sum(EventKind.REDIRECTS, "redirect", redirects_of(now), redirects_of(before))
        self._tell_sum(EventKind.RETRIES, "refusal", retries_of(now), retries_of(before))
        for name, count in _growth(now.failures, before.failures).items():
            noun, words = _FAILURE_WORDS[name]
            text = f"{_counted(count, noun)} {words}"
            self._events.note(EventKind.ERRORS, text, level=Level.ERROR, count=count)
        for name, count in _growth(now.limits, before.limits).items():
            text = f"{name} was reached {_counted(count, 'time')}"
            level = Level.INFO if name.endswith(_BACKPRESSURE) else Level.WARNING
            self._events.note(EventKind.LIMIT, text, level=level, count=count)
        self._chronicle.look_at_silence()
        self._events.settle()

    def _tell_sum(
        self, kind: EventKind, noun: str, now: Mapping[str, int], before: Mapping[str, int]
    ) -> None:
        grown = _growth(now, before)
        if grown:
            total = sum(grown.values())
            each = ", ".join(f"{count} {name}" for name, count in grown.items())
            self._events.note(kind, f"{_counted(total, noun)} by nodes: {each}", count=total)


def _growth(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in now.items() if count > before[name]}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
