"""Topics on their way from one node to another: when the old one is left, when the move is over.

Strategy: a node that a topic has left brings its messages for ``OVERLAP_S`` more. Over the
cluster bus the new one gets them late, also such as the old one had before the new one was
subscribed: while both bring them, each passes once (``overlap.py``), and so do those that came
shortly before. A topic that is silent remembers nothing. Keyspace events do not come
over the bus, and a node that is no primary any more has them too, so that is left at once.

Cost: an entry for each topic that has moved or has brought anything in the last seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import trio

from proxy.control.hub_link import HubLink, Name
from proxy.control.subscriptions import Topic
from proxy.dataplane.client import Client

OVERLAP_S = 1.0  # chosen: how far one node may be behind another with the same message

_Topic = Topic[Client, HubLink]


class Moves:
    """All that are under way."""

    def __init__(self) -> None:
        self._talking: set[_Topic] = set()
        self._talked: set[_Topic] = set()
        self._forgets_at = 0.0
        self._left: dict[_Topic, dict[HubLink, float]] = {}
        self._closing: dict[_Topic, float] = {}

    def leave(self, topic: _Topic, links: Iterable[HubLink]) -> None:
        """Unsubscribe a topic where it was, now that it is live elsewhere."""
        if topic.is_wide:
            for link in links:
                link.unsubscribe([name_of(topic)])
        else:
            when = trio.current_time() + OVERLAP_S
            self._left[topic] = {**self._left.get(topic, {}), **dict.fromkeys(links, when)}

    def leave_now(self, topic: _Topic, links: Collection[HubLink] | None = None) -> None:
        """Unsubscribe where that was put off, at all nodes or at some."""
        left = self._left.get(topic, {})
        for link in [each for each in left if links is None or each in links]:
            del left[link]
            link.unsubscribe([name_of(topic)])

    def spoke(self, topic: _Topic) -> None:
        """Note that a topic has brought a message: it is remembered for a while."""
        self._talking.add(topic)

    def lost(self, topic: _Topic, link: HubLink) -> None:
        """Note that a topic is not subscribed there any more."""
        self._left.get(topic, {}).pop(link, None)
        self.settle(topic)

    def settle(self, topic: _Topic) -> None:
        """Note that a topic may have only one node left, which may be behind."""
        if topic.overlap is not None and topic.overlap.is_closing:
            self._closing[topic] = trio.current_time() + OVERLAP_S

    def look(self, now: float) -> None:
        """Do what it is time for."""
        if now >= self._forgets_at:
            self._forgets_at = now + OVERLAP_S
            for topic in self._talked - self._talking:
                topic.recent = None
            self._talked, self._talking = self._talking, set()
        unwanted: dict[HubLink, list[Name]] = defaultdict(list)
        for topic, left in list(self._left.items()):
            for link in [link for link, when in left.items() if when <= now]:
                del left[link]
                unwanted[link].append(name_of(topic))
            if not left:
                del self._left[topic]
        for link, names in unwanted.items():
            link.unsubscribe(names)
        for topic, when in list(self._closing.items()):
            if when <= now:
                del self._closing[topic]
                topic.end_overlap()


def name_of(topic: _Topic) -> Name:
    """Return what the servers call a topic."""
    return Name(topic.kind, topic.name)
