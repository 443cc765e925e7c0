"""What clients asked and were told, with times: the one thing that is judged afterwards.

Strategy: a record for each request, in the order in which its client sent them. Each client
writes to a log of its own, so nothing is locked; the judges (``judging/``) read all of them when
the clients have ended. Replies are kept as values: what a judge needs of them is who wrote
them, and every value says that itself (``client:number``).

Cost: about 300 bytes a request; ``RECORDS_LIMIT`` bounds each client.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

from proxy.cluster.slots import key_slot

RECORDS_LIMIT = 200_000  # chosen: a client that is let run does a tenth of it in the longest fault


class HistoryFull(Exception):
    """A client has made more requests than a history holds."""


class Closed(enum.Enum):
    """What a request gets instead of a reply when its connection ends."""

    CLOSED = "closed"


class Refusal(str):
    """The text of an error reply, code first."""

    __slots__ = ()

    @property
    def is_unknown(self) -> bool:
        """Whether the command, or some part of it, may have run."""
        return "outcome unknown" in self or " parts of '" in self


Reply = int | bytes | list["Reply"] | Refusal | Closed | None


@dataclass(slots=True)
class Record:
    """One request and what became of it."""

    number: int
    """Of its client's requests: the first is 0."""
    command: str
    """Its name as sent: ``SET``. What a client only reads at the end is ``LAST GET`` and so on."""
    keys: tuple[bytes, ...]
    value: bytes
    """What it writes, or is to be answered with; empty: nothing."""
    sent_at: float
    """Monotonic seconds, like all times here."""
    answered_at: float | None = None
    """None: neither a reply nor the end of the connection ever came."""
    reply: Reply = None
    is_confirmed: bool = False
    """WAIT has counted a replica that has it."""

    @property
    def is_open(self) -> bool:
        """Whether nothing has come for it."""
        return self.answered_at is None

    @property
    def is_unknown(self) -> bool:
        """Whether it may have run, as far as its client was told."""
        reply = self.reply
        lost = reply is Closed.CLOSED or self.answered_at is None
        return lost or (isinstance(reply, Refusal) and reply.is_unknown)

    @property
    def is_refused(self) -> bool:
        """Whether its client was told that it did not run."""
        return isinstance(self.reply, Refusal) and not self.reply.is_unknown

    @property
    def is_acknowledged(self) -> bool:
        """Whether it was answered, and not with an error."""
        return not self.is_unknown and not self.is_refused

    @property
    def waited_s(self) -> float:
        """From the request to its reply; 0 while there is none."""
        return 0.0 if self.answered_at is None else self.answered_at - self.sent_at


@dataclass(slots=True)
class Message:
    """What a subscriber was told."""

    heard_at: float
    channel: bytes
    value: bytes


@dataclass
class ClientLog:
    """All that one client did."""

    name: str
    slots: Container[int]
    """Where its keys lie."""
    records: list[Record] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    closed_at: list[float] = field(default_factory=list)
    """When its connection ended without its doing."""
    only_reads: bool = False
    """It never writes, so that nothing excuses an error."""
    oddities: list[str] = field(default_factory=list)
    """What came that no request had asked for."""

    def ask(
        self, command: str, keys: Sequence[bytes], value: bytes, now: float, *, ends: bool = False
    ) -> Record:
        """Begin a record.

        Args:
            ends: The client has stopped writing, and looks what became of it all.

        Raises:
            HistoryFull: It has ``RECORDS_LIMIT`` of them.
        """
        if len(self.records) >= RECORDS_LIMIT:
            raise HistoryFull(f"{self.name} has made {RECORDS_LIMIT} requests")
        name = f"LAST {command}" if ends else command
        record = Record(len(self.records), name, tuple(keys), value, now)
        self.records.append(record)
        return record


@dataclass(frozen=True, slots=True)
class Loss:
    """Acknowledged writes that may be gone: replication is asynchronous."""

    slots: Container[int]
    from_s: float
    until_s: float

    def explains(self, record: Record) -> bool:
        """Whether a write may be gone although it was acknowledged, and not confirmed."""
        if record.is_confirmed or record.answered_at is None:
            return False
        is_then = self.from_s <= record.answered_at and record.sent_at <= self.until_s
        return is_then and all(key_slot(key) in self.slots for key in record.keys)


@dataclass
class History:
    """What all clients did under one fault."""

    logs: list[ClientLog]
    losses: tuple[Loss, ...] = ()
    cuts: tuple[tuple[float, float], ...] = ()
    """From when to when connections to a server ended without warning."""
    disturbed: tuple[float, float] = (0.0, 0.0)
    """From when to when the fault was there, and the cluster not yet itself again."""

    def all_records(self) -> Iterator[tuple[ClientLog, Record]]:
        """Return every record with its client's log."""
        return ((log, record) for log in self.logs for record in log.records)

    def count(self, command: str, key: bytes, is_so: Callable[[Record], bool]) -> int:
        """Return how many requests with this command and key are so."""
        return sum(
            record.command == command and record.keys == (key,) and is_so(record)
            for _, record in self.all_records()
        )

    def is_excused(self, record: Record) -> bool:
        """Whether the fault explains that this acknowledged write is gone."""
        return any(loss.explains(record) for loss in self.losses)

    def is_disturbed(self, record: Record) -> bool:
        """Whether the fault was there while this request was on its way."""
        from_s, until_s = self.disturbed
        is_over = record.answered_at is not None and record.answered_at < from_s
        return not is_over and record.sent_at <= until_s

    def is_cut(self, record: Record) -> bool:
        """Whether a server may have been lost while this request was with it."""
        return record.answered_at is not None and any(
            record.sent_at <= until_s and record.answered_at >= from_s
            for from_s, until_s in self.cuts
        )
