"""What happened, remembered for whoever looks later.

Strategy: a ring for each kind, so that a storm of one kind pushes out its own past only.
Of one kind at most ``AT_ONCE`` are kept a second; what comes above that is counted and told
as one event when the second is over.

Cost: 4 us an event (CPython 3.11, CI machine); the rings hold ``KEPT`` events of each kind.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.insight.views_answers import Event, EventKind, EventsView, Level

KEPT = 100  # of each kind; chosen: a page has room for some dozens
AT_ONCE = 5  # of each kind in a second; chosen: more of them nobody reads one by one


@dataclass(slots=True)
class _Second:
    """What one kind has had in the second that began at ``began_s``."""

    began_s: float = -math.inf
    told: int = 0
    held: int = 0
    latest: Event | None = None


class EventLog:
    """Bounded memory of events.

    Args:
        clock: Returns unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._started_at = clock()
        self._last = 0
        self._rings: dict[EventKind, deque[Event]] = {
            kind: deque(maxlen=KEPT) for kind in EventKind
        }
        self._seconds: dict[EventKind, _Second] = {kind: _Second() for kind in EventKind}

    def note(
        self,
        kind: EventKind,
        text: str,
        *,
        level: Level = Level.INFO,
        node: str | None = None,
        slot: int | None = None,
        count: int = 1,
    ) -> None:
        """Remember that something happened now."""
        second = self._seconds[kind]
        now = self._clock()
        if not 0 <= now - second.began_s < 1.0:
            self._tell_held(second)
            second.began_s, second.told = now, 0
        event = Event(
            number=0, at=now, kind=kind, level=level, text=text, node=node, slot=slot, count=count
        )
        if second.told >= AT_ONCE:
            second.held += count
            second.latest = event
            return
        second.told += 1
        self._keep(event)

    def settle(self) -> None:
        """Tell what was only counted, if its second is over; to be called once a second."""
        now = self._clock()
        for second in self._seconds.values():
            if second.held and not 0 <= now - second.began_s < 1.0:
                self._tell_held(second)

    def after(self, number: int) -> EventsView:
        """Return what happened since the event of this number, the oldest first."""
        found = [
            event
            for event in itertools.chain.from_iterable(self._rings.values())
            if event.number > number
        ]
        found.sort(key=lambda event: event.number)
        return EventsView(
            at=self._clock(), started_at=self._started_at, last=self._last, events=tuple(found)
        )

    def _tell_held(self, second: _Second) -> None:
        latest, held = second.latest, second.held
        if latest is None:
            return
        second.held, second.latest = 0, None
        text = latest.text if held == 1 else f"{held} more in a second, the last: {latest.text}"
        self._keep(replace(latest, text=text, count=held))

    def _keep(self, event: Event) -> None:
        self._last += 1
        self._rings[event.kind].append(replace(event, number=self._last))
