"""A sampled request as spans: the client's request, its parts, each node that was asked.

Strategy: pure. The request is one span, each part of a split one is a span below it, and
each time that something was written to a node is a span at the bottom, until that node's
reply. What made a piece go elsewhere or wait is an event of the part, or of a request that
was not split. Names and attributes are OpenTelemetry's semantic conventions for databases;
what they have no name for begins with ``slotway.``. Values never appear, and of keys only
what ``log.access_keys`` allows.

Cost: 30 us for a request with one part (CPython 3.11, CI machine).

Source: opentelemetry.io, "Semantic conventions for Redis".
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from proxy.cluster.addresses import Address

if TYPE_CHECKING:
    from proxy.dataplane.sample import Event, Part, Sample

Attribute = str | int | float | Sequence[str]

PARTS_SHOWN = 64  # a split request can have 16384
EVENTS_SHOWN = 64  # of one span
NS = 1_000_000_000

# Kinds of the data plane's events that end a node's turn without a reply for the client.
REFUSALS = frozenset(
    {"moved", "ask", "tryagain", "clusterdown", "loading", "readonly", "masterdown", "noscript"}
)
ENDS = REFUSALS | {"answered", "lost", "expired", "left"}
# What a piece is held for, until it is sent again.
HOLDS = REFUSALS | {"lost", "uncovered"}


class Kind(Enum):
    """Whose work a span is, in OpenTelemetry's terms."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Attribute]


@dataclass(slots=True)
class Span:
    """What a span is made of; times are unix nanoseconds."""

    name: str
    kind: Kind
    began_ns: int
    ended_ns: int
    attributes: dict[str, Attribute]
    moments: list[Moment] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)
    failed: str = ""
    """Class of the error; empty if there was none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's number leads."""

    address: Address
    shard: str
    """The slots that it serves, ``0-5460``; empty if it serves none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sample does not know itself."""

    place: Callable[[int], Place | None]
    """Returns where a node's number leads."""
    database: Callable[[Sample], int]
    """Returns which database the client had selected."""
    keys: Callable[[Sequence[bytes]], list[str]]
    """Returns what may be told of keys."""


def spans_of(sample: Sample, facts: Facts) -> Span:
    """Return the span of a request, with those of its parts and nodes below it."""
    return _Maker(sample, facts).make()


class _Maker:
    def __init__(self, sample: Sample, facts: Facts) -> None:
        self._sample = sample
        self._facts = facts
        self._began_ns = round(sample.began_unix_s * NS)
        self._ended_ns = self._began_ns + round(sample.duration_s * NS)
        self._operation = sample.command.decode("ascii", "replace").upper().replace("|", " ")

    def make(self) -> Span:
        sample = self._sample
        root = Span(
            self._operation,
            Kind.SERVER,
            self._began_ns,
            self._ended_ns,
            self._attributes_of_request(),
            failed=_failure(sample),
        )
        if sample.error:
            root.attributes["db.response.status_code"] = _word(sample.error)
        by_slot: defaultdict[int, list[Event]] = defaultdict(list)
        for event in sample.events:
            by_slot[event.slot].append(event)
        if len(sample.parts) == 1:
            self._tell(root, sample.events)
            return root
        for part in sample.parts[:PARTS_SHOWN]:
            root.children.append(self._part(part, by_slot.pop(part.slot, [])))
        self._tell(root, [event for events in by_slot.values() for event in events])
        return root

    def _attributes_of_request(self) -> dict[str, Attribute]:
        sample = self._sample
        attributes: dict[str, Attribute] = {
            **self._attributes_of_database(),
            "slotway.client.id": sample.client_id,
            "slotway.command.family": sample.family,
            "slotway.road": sample.road,
            "slotway.parts": len(sample.parts),
            "slotway.request.bytes": sample.frame_bytes,
            "slotway.reply.bytes": sample.reply_bytes,
        }
        host, _, port = sample.client.address.rpartition(":")
        if host and port.isdigit():
            attributes["network.peer.address"] = host.strip("[]")
            attributes["network.peer.port"] = int(port)
        if words := self._facts.keys(sample.keys):
            attributes["slotway.keys"] = words
        return attributes

    def _attributes_of_database(self) -> dict[str, Attribute]:
        return {
            "db.system.name": "redis",
            "db.operation.name": self._operation,
            "db.namespace": str(self._facts.database(self._sample)),
        }

    def _part(self, part: Part, events: Sequence[Event]) -> Span:
        span = Span(
            f"{self._operation} part",
            Kind.INTERNAL,
            self._began_ns,
            self._ended_ns,
            {"slotway.slot": part.slot},
        )
        self._tell(span, events)
        if span.children:
            span.ended_ns = span.children[-1].ended_ns
        return span

    def _tell(self, span: Span, events: Sequence[Event]) -> None:
        """Give a span the nodes that were asked, and what else happened."""
        asked: Span | None = None
        held_since_s: float | None = None
        for event in events:
            if event.kind == "sent":
                asked = self._asked(event)
                span.children.append(asked)
                continue
            if event.kind in ENDS and asked is not None:
                self._end(asked, event)
                asked = None
            if event.kind == "answered":
                continue
            attributes = self._where(event)
            if event.kind in HOLDS and held_since_s is None:
                held_since_s = event.after_s
            elif event.kind == "resent" and held_since_s is not None:
                attributes["slotway.held_ms"] = round(1000 * (event.after_s - held_since_s), 3)
                held_since_s = None
            if len(span.moments) < EVENTS_SHOWN:
                span.moments.append(Moment(f"slotway.{event.kind}", self._at_ns(event), attributes))

    def _asked(self, event: Event) -> Span:
        """Return the span of a piece at a node; it ends with the request unless told otherwise."""
        place = self._facts.place(event.node)
        attributes = self._attributes_of_database()
        if event.slot >= 0:
            attributes["slotway.slot"] = event.slot
        name = self._operation
        if place is not None:
            attributes["server.address"] = place.address.host
            attributes["server.port"] = place.address.port
            if _is_ip(place.address.host):
                attributes["network.peer.address"] = place.address.host
                attributes["network.peer.port"] = place.address.port
            if place.shard:
                attributes["slotway.shard"] = place.shard
            name = f"{self._operation} {place.address}"
        return Span(name, Kind.CLIENT, self._at_ns(event), self._ended_ns, attributes)

    def _end(self, asked: Span, event: Event) -> None:
        asked.ended_ns = self._at_ns(event)
        if event.kind == "answered":
            # A part's own error is not in the sample; a whole request's is.
            if len(self._sample.parts) == 1 and self._sample.error:
                asked.failed = asked.attributes["error.type"] = _word(self._sample.error)
                asked.attributes["db.response.status_code"] = asked.failed
            return
        asked.failed = event.kind.upper() if event.kind in REFUSALS else event.kind
        asked.attributes["error.type"] = asked.failed
        if event.kind in REFUSALS:
            asked.attributes["db.response.status_code"] = asked.failed

    def _where(self, event: Event) -> dict[str, Attribute]:
        attributes: dict[str, Attribute] = {}
        if event.slot >= 0:
            attributes["slotway.slot"] = event.slot
        place = self._facts.place(event.node) if event.node >= 0 else None
        if place is not None:
            attributes["slotway.node"] = str(place.address)
        return attributes

    def _at_ns(self, event: Event) -> int:
        return self._began_ns + round(event.after_s * NS)


def _failure(sample: Sample) -> str:
    return _word(sample.error) if sample.is_answered else "left"


def _word(error: bytes) -> str:
    return error.decode("ascii", "replace")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
