"""Who listens to what, and at which nodes it has to be subscribed: bookkeeping, no I/O.

Strategy: a *topic* is one channel, pattern or shard channel of one account (the user
that the nodes know); it is subscribed at the nodes once, however many clients listen.
``places`` says where. A regular channel's messages reach every node over the cluster
bus, so one primary is enough, and the slot of its name picks it: every proxy then asks
the same one, and PUBLISH there counts all. Keyspace events stay at the node where
the key is: what may bring them is subscribed at all primaries.

While a topic moves from one node to another, both bring its messages for a moment.
``Overlap`` lets each message through once (``overlap.py``).

Cost: a few dictionary entries for each client and topic; nothing here is proportional
to the number of topics but ``receivers``, which tries every pattern, as a server does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from proxy.cluster.slots import key_slot
from proxy.cluster.tags import TEMPORARY_PREFIX
from proxy.commands.glob import compile_glob, may_match_beginning
from proxy.control.overlap import Overlap

if TYPE_CHECKING:
    from proxy.control.connection import Credentials

Client = TypeVar("Client")
Place = TypeVar("Place")

REMEMBERED = 1000  # messages of a topic; chosen: 50 ms of a busy one, on their way over the bus

EVENT_PREFIXES = (b"__keyspace@", b"__keyevent@")


class Kind(Enum):
    """What a subscription is to; the words of the protocol for each."""

    CHANNEL = (b"subscribe", b"unsubscribe", b"message")
    PATTERN = (b"psubscribe", b"punsubscribe", b"pmessage")
    SHARD = (b"ssubscribe", b"sunsubscribe", b"smessage")

    def __init__(self, subscribe: bytes, unsubscribe: bytes, message: bytes) -> None:
        self.subscribe = subscribe
        self.unsubscribe = unsubscribe
        self.message = message


def is_event(channel: bytes) -> bool:
    """Return whether the messages of a channel stay at the node where they arise."""
    return channel.startswith(EVENT_PREFIXES)


def is_about_temporary(channel: bytes, frame: bytes) -> bool:
    """Return whether a message tells of a key that the proxy itself has made for a moment."""
    return is_event(channel) and b"{" + TEMPORARY_PREFIX in frame


def brings_events(kind: Kind, name: bytes) -> bool:
    """Return whether a subscription may bring keyspace events, which every primary has."""
    if kind is Kind.CHANNEL:
        return is_event(name)
    return kind is Kind.PATTERN and any(
        may_match_beginning(name, prefix) for prefix in EVENT_PREFIXES
    )


@dataclass(eq=False, slots=True)
class Topic(Generic[Client, Place]):
    """One channel, pattern or shard channel, as one account listens to it."""

    account: Credentials | None
    kind: Kind
    name: bytes
    slot: int = -1
    is_wide: bool = False
    """It may bring keyspace events."""
    members: dict[Client, None] = field(default_factory=dict)
    """Who gets its messages, in the order they came."""
    waiting: int = 0
    """Clients that will be members once it is live."""
    targets: set[Place] = field(default_factory=set)
    """Where it has to be subscribed."""
    asked: set[Place] = field(default_factory=set)
    """Where SUBSCRIBE was sent and is not confirmed."""
    live: set[Place] = field(default_factory=set)
    """Where it is subscribed, by the node's word."""
    leaving: set[Place] = field(default_factory=set)
    """Where it is, but UNSUBSCRIBE was sent."""
    home: Place | None = None
    """The target that brings what every node has."""
    overlap: Overlap[Place] | None = None
    """While more than the targets bring its messages, and a little longer."""
    recent: deque[int] | None = None
    """Hashes of the messages delivered last: where it moves to may bring them again."""

    def __post_init__(self) -> None:
        self.slot = key_slot(self.name)
        self.is_wide = brings_events(self.kind, self.name)

    @property
    def is_needed(self) -> bool:
        """Whether anybody listens or is about to."""
        return bool(self.members) or self.waiting > 0

    @property
    def is_live(self) -> bool:
        """Whether a message that is published now would arrive."""
        return bool(self.targets) and self.targets <= self.live - self.leaving

    @property
    def held_at(self) -> set[Place]:
        """Where it would stay subscribed if nobody said anything more."""
        return (self.live - self.leaving) | self.asked

    def aim(self, targets: set[Place], home: Place | None) -> tuple[set[Place], set[Place]]:
        """Take over where it has to be subscribed.

        What it leaves stays subscribed until all of the new ones are live, so that
        nothing is missed.

        Returns:
            (where to subscribe now, where to unsubscribe now).
        """
        missing = targets - self.held_at
        self.targets, self.home = targets, home
        self.asked |= missing
        if self.live - targets and (self.overlap is None or self.overlap.is_closing):
            self.overlap = Overlap(delivered=self.recent or (), by=self.live)
        return missing, self._settle()

    def confirm(self, place: Place) -> set[Place]:
        """Note that it is subscribed somewhere; return where to unsubscribe now."""
        self.asked.discard(place)
        self.live.add(place)
        return self._settle()

    def gone(self, place: Place) -> None:
        """Note that it is unsubscribed somewhere, as was asked."""
        if place in self.leaving:
            self.leaving.discard(place)
            self.live.discard(place)
            if self.overlap is not None and self.live <= self.targets:
                self.overlap.close(place)

    def lose(self, place: Place) -> None:
        """Note that it is subscribed there no more, and nobody had asked for that."""
        for places in (self.targets, self.asked, self.live, self.leaving):
            places.discard(place)
        if self.home == place:
            self.home = None
        if self.overlap is not None and self.live <= self.targets:
            self.overlap.close(place)

    def _settle(self) -> set[Place]:
        """Leave what is not needed any more, once all that is needed is there."""
        if not self.is_live:
            return set()
        left = self.live - self.targets - self.leaving
        self.leaving |= left
        if self.overlap is not None:
            if left:
                self.overlap.mark()
            elif self.live <= self.targets and not self.overlap.is_closing:
                self.overlap = None
        return left

    def end_overlap(self) -> None:
        """Take every message for a new one again, unless it moves once more."""
        if self.overlap is not None and self.overlap.is_closing:
            self.overlap = None

    def is_due(self, place: Place, channel: bytes, frame: bytes) -> bool:
        """Return whether a message from there has to be delivered."""
        if place not in self.live or is_about_temporary(channel, frame):
            return False
        if self.is_wide and not is_event(channel):
            return place == (self.home if self.home in self.live else min(self.live, key=id))
        if self.is_wide:
            return True
        if self.overlap is not None and not self.overlap.is_new(place, frame):
            return False
        if self.recent is None:
            self.recent = deque(maxlen=REMEMBERED)
        self.recent.append(hash(frame))
        return True


JoinDone = Callable[["bytes | None"], object]
"""Takes the error that a node has answered with, or None when all is live."""


@dataclass(eq=False, slots=True)
class Join(Generic[Client, Place]):
    """A client that waits until everything it has asked for is live."""

    client: Client
    topics: list[Topic[Client, Place]]
    on_done: JoinDone
    pending: set[Topic[Client, Place]]
    """Those that are not live yet."""
    is_over: bool = False


def places(
    kind: Kind,
    name: bytes,
    slot: int,
    *,
    primaries: Collection[Place],
    owner: Callable[[int], Place | None],
) -> tuple[set[Place], Place | None]:
    """Return (where a topic has to be subscribed, which of these is its home).

    Nothing, while the slot has no owner: that will change.
    """
    home = owner(slot)
    if home is None:
        return set(), None
    if brings_events(kind, name):
        return {*primaries, home}, home
    return {home}, home


class Book(Generic[Client, Place]):
    """Every topic, and every client's share in them."""

    def __init__(self) -> None:
        self.topics: dict[tuple[Credentials | None, Kind, bytes], Topic[Client, Place]] = {}
        self.shares: dict[Client, dict[Kind, dict[bytes, Topic[Client, Place]]]] = {}
        self._by_name: dict[tuple[Kind, bytes], dict[Client, None]] = {}
        self._matchers: dict[bytes, Callable[[bytes], bool]] = {}

    # ---- clients ----------------------------------------------------------------

    def join(self, client: Client, topic: Topic[Client, Place]) -> None:
        """Make a client a member; nothing happens if it is one."""
        share = self.shares.setdefault(client, {kind: {} for kind in Kind})
        if topic.name in share[topic.kind]:
            return
        share[topic.kind][topic.name] = topic
        topic.members[client] = None
        place = (topic.kind, topic.name)
        self._by_name.setdefault(place, {})[client] = None
        if topic.kind is Kind.PATTERN and topic.name not in self._matchers:
            self._matchers[topic.name] = channel_matcher(topic.name)

    def part(self, client: Client, kind: Kind, name: bytes) -> Topic[Client, Place] | None:
        """Make a client a member no more; return what it was a member of."""
        share = self.shares.get(client)
        topic = share[kind].pop(name, None) if share else None
        if share is None or topic is None:
            return None
        if not any(share.values()):
            del self.shares[client]
        del topic.members[client]
        listeners = self._by_name[kind, name]
        del listeners[client]
        if not listeners:
            del self._by_name[kind, name]
            if kind is Kind.PATTERN:
                del self._matchers[name]
        return topic

    def has(self, client: Client, kind: Kind, name: bytes) -> bool:
        """Return whether a client listens to this."""
        share = self.shares.get(client)
        return share is not None and name in share[kind]

    def names_of(self, client: Client, kind: Kind) -> list[bytes]:
        """Return what a client listens to, in the order it asked."""
        share = self.shares.get(client)
        return list(share[kind]) if share else []

    def counts_of(self, client: Client) -> tuple[int, int, int]:
        """Return how many channels, patterns and shard channels a client listens to."""
        share = self.shares.get(client)
        if share is None:
            return (0, 0, 0)
        return (len(share[Kind.CHANNEL]), len(share[Kind.PATTERN]), len(share[Kind.SHARD]))

    # ---- topics -----------------------------------------------------------------

    def topic(self, account: Credentials | None, kind: Kind, name: bytes) -> Topic[Client, Place]:
        """Return a topic; it is made if there is none."""
        key = (account, kind, name)
        found = self.topics.get(key)
        if found is None:
            found = self.topics[key] = Topic(account, kind, name)
        return found

    def accounts(self) -> set[Credentials | None]:
        """Return those that have any topic."""
        return {topic.account for topic in self.topics.values()}

    def drop(self, topic: Topic[Client, Place]) -> None:
        """Forget a topic that nobody needs."""
        del self.topics[topic.account, topic.kind, topic.name]

    def __len__(self) -> int:
        return len(self.topics)

    # ---- what PUBLISH and PUBSUB ask ----------------------------------------------

    def listeners(self, kind: Kind, name: bytes) -> int:
        """Return how many clients listen to exactly this."""
        return len(self._by_name.get((kind, name), ()))

    def receivers(self, kind: Kind, channel: bytes) -> int:
        """Return how many times a message of this channel is delivered."""
        count = self.listeners(kind, channel)
        if kind is Kind.CHANNEL:
            count += sum(self.listeners(Kind.PATTERN, name) for name in self.matching(channel))
        return count

    def matching(self, channel: bytes) -> Iterator[bytes]:
        """Return the patterns that match a channel."""
        return (name for name, matches in self._matchers.items() if matches(channel))

    def info(self) -> dict[bytes, bytes]:
        """Return the fields of INFO that are about subscribers."""
        kinds = Counter(kind for kind, _ in self._by_name)
        return {
            b"pubsub_channels": b"%d" % kinds[Kind.CHANNEL],
            b"pubsub_patterns": b"%d" % kinds[Kind.PATTERN],
            b"pubsubshard_channels": b"%d" % kinds[Kind.SHARD],
            b"pubsub_clients": b"%d" % len(self.shares),
        }

    def names(self, kind: Kind) -> list[bytes]:
        """Return everything of a kind that any client listens to."""
        return [name for of, name in self._by_name if of is kind]


def channel_matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """Return a function that says whether a channel matches, as PUBLISH asks it.

    It differs from KEYS in one case: ``*`` alone does not match the empty name.
    """
    return bool if pattern == b"*" else compile_glob(pattern)
