"""What the proxy knows of itself: one face for PROXY, the admin port and the page.

Strategy: each view is made when it is asked for, by the part that knows; here they only
have one place. What needs rooms above this one (clients' state, settings, EXPLAIN) is
handed in.

Cost: a view is made in well below a millisecond, but for a long list of clients (8 us each).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.insight.views import ClientsView, StatsView, TopologyView
from proxy.insight.views_answers import ConfigView, EventsView, Explanation, ReadinessView
from proxy.insight.views_requests import BigkeysView, HotkeysView, SlowlogView

CLIENTS_SHOWN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who makes each view."""

    topology: Callable[[], TopologyView]
    clients: Callable[[int], ClientsView]
    stats: Callable[[], StatsView]
    slowlog: Callable[[int | None], SlowlogView]
    reset_slowlog: Callable[[], None]
    hotkeys: Callable[[int | None], HotkeysView]
    bigkeys: Callable[[int | None], BigkeysView]
    events: Callable[[int], EventsView]
    readiness: Callable[[], ReadinessView]
    config: Callable[[], ConfigView]
    explain: Callable[[Sequence[bytes]], Explanation]


class Insight:
    """Everything that can be asked about this proxy.

    Args:
        sources: Who makes each view.
    """

    def __init__(self, sources: Sources) -> None:
        self._of = sources

    def topology(self) -> TopologyView:
        """Return the cluster as the proxy sees it."""
        return self._of.topology()

    def clients(self, limit: int = CLIENTS_SHOWN) -> ClientsView:
        """Return no more than ``limit`` clients, the longest connected first."""
        return self._of.clients(limit)

    def stats(self) -> StatsView:
        """Return counters, rates and latencies."""
        return self._of.stats()

    def slowlog(self, limit: int | None = None) -> SlowlogView:
        """Return the slow requests that are kept, the newest first."""
        return self._of.slowlog(limit)

    def reset_slowlog(self) -> None:
        """Forget the slow requests."""
        self._of.reset_slowlog()

    def hotkeys(self, limit: int | None = None) -> HotkeysView:
        """Return the most used keys, the hottest first."""
        return self._of.hotkeys(limit)

    def bigkeys(self, limit: int | None = None) -> BigkeysView:
        """Return the keys with big values, the biggest first."""
        return self._of.bigkeys(limit)

    def events(self, after: int = 0) -> EventsView:
        """Return what happened since the event with this number, the oldest first."""
        return self._of.events(after)

    def readiness(self) -> ReadinessView:
        """Return whether clients should be sent here, and what is missing."""
        return self._of.readiness()

    def config(self) -> ConfigView:
        """Return every setting; secrets are hidden."""
        return self._of.config()

    def explain(self, args: Sequence[bytes]) -> Explanation:
        """Return what would become of a request; nothing is sent.

        Args:
            args: The request, at least its name.
        """
        return self._of.explain(args)
