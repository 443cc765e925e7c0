"""What all kinds of client have in common: batches of requests over a raw socket, recorded.

Strategy: a thread and a socket, so that nothing is retried or converted on the way. A client
sends a batch at once, reads its replies, and pauses: an application that asks at its pace, not one
that takes the machine from the servers. When its connection ends, what was open is noted as
closed and it connects again, as clients do.
"""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import hiredis
from history import ClientLog, Closed, Record, Refusal, Reply

from proxy.cluster.topology import Address
from proxy.embedded import wait_for
from proxy.resp.decode import ReplyReader, Value
from proxy.resp.encode import encode_command

# Longer than the proxy's patience (cluster.request_timeout_s is 20): what comes later is stuck.
ANSWER_DEADLINE_S = 45.0
CONNECT_DEADLINE_S = 30.0
PAUSE_S = 0.02  # chosen: about 40 batches a second, so that all clients leave the servers room
READ_BYTES = 1 << 16


class Stuck(Exception):
    """A request was neither answered nor its connection closed."""


class Gone(Exception):
    """The connection has ended, in the middle of a batch."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to be made."""

    words: tuple[bytes | str | int, ...]
    keys: tuple[bytes, ...] = ()
    value: bytes = b""

    @property
    def command(self) -> str:
        """Its name."""
        return str(self.words[0])


class Client(ABC):
    """One client: ``run`` is the body of its thread; ``turns`` may be read meanwhile."""

    resp = 2
    pause_s = PAUSE_S

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        self.log = ClientLog(name, slots)
        self.turns = 0  # batches that were answered whole
        self._address = address
        self._ends = False
        self._socket: socket.socket | None = None
        self._reader = ReplyReader()

    @property
    def name(self) -> str:
        """What its values begin with."""
        return self.log.name

    @property
    def next_number(self) -> int:
        """The number of the request that it will make next."""
        return len(self.log.records)

    @property
    def waiting_s(self) -> float:
        """For how long it has been waiting for the reply that it misses most; 0: for none."""
        last = self.log.records[-1:]
        return time.monotonic() - last[0].sent_at if last and last[0].is_open else 0.0

    @abstractmethod
    def batches(self) -> Iterator[Sequence[Ask]]:
        """Return without end what it asks, a batch at a time, each when the last is answered."""

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        """Return what it reads at the end, when nobody writes any more."""
        return iter(())

    def run(self, stopping: threading.Event, rest: threading.Barrier) -> None:
        """Ask until ``stopping``, then look at everything once more.

        Args:
            rest: Where all clients meet before the first of them looks.

        Raises:
            Stuck: A reply never came, to this client or to another.
            NotInTime: The proxy could not be reached.
        """
        try:
            for batch in self.batches():
                if stopping.is_set():
                    break
                self.exchange(batch)
                stopping.wait(self.pause_s)
            try:
                rest.wait(2 * ANSWER_DEADLINE_S)
            except threading.BrokenBarrierError:
                raise Stuck(f"{self.name} has ended, and others have not") from None
            self._ends = True
            for batch in self.last_looks():
                while any(record.reply is Closed.CLOSED for record in self.exchange(batch)):
                    pass
        except BaseException:
            rest.abort()
            raise
        finally:
            self._disconnect()

    def exchange(self, batch: Sequence[Ask]) -> list[Record]:
        """Send a batch, wait for all its replies, and return its records."""
        self._connect()
        now = time.monotonic()
        records = [
            self.log.ask(ask.command, ask.keys, ask.value, now, ends=self._ends) for ask in batch
        ]
        try:
            self._send(batch)
            self._take(records)
            self.turns += 1
        except Gone:
            now = time.monotonic()
            self.log.closed_at.append(now)
            for record in records:
                if record.is_open:
                    record.reply, record.answered_at = Closed.CLOSED, now
            self._disconnect()
        return records

    def take_unasked(self, value: Value) -> bool:
        """Take what is no reply; return whether this was not one."""
        return False

    def _send(self, batch: Sequence[Ask]) -> None:
        assert self._socket is not None
        try:
            self._socket.sendall(b"".join(encode_command(*ask.words) for ask in batch))
        except OSError as problem:
            raise Gone from problem

    def _take(self, records: Sequence[Record]) -> None:
        waiting = iter(records)
        missing = len(records)
        while missing:
            for value in self.read():
                if self.take_unasked(value):
                    continue
                record = next(waiting, None)
                if record is None:
                    self.log.oddities.append(f"a reply nobody asked for: {value!r:.200}")
                    continue
                record.reply, record.answered_at = _reply_of(value), time.monotonic()
                missing -= 1

    def read(self) -> list[Value]:
        """Return the values that have come, at least one.

        Raises:
            Gone: The connection has ended.
            Stuck: Nothing has come for ``ANSWER_DEADLINE_S``.
        """
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                raise Stuck(f"{self.name}: no reply within {ANSWER_DEADLINE_S:g} s") from None
            except OSError as problem:
                raise Gone from problem
            if not data:
                raise Gone
            values = self._reader.feed(data)
            if values:
                return values

    def on_connect(self) -> None:  # noqa: B027  most kinds have nothing to set up
        """Set the connection up; whatever it reads is not recorded."""

    def _connect(self) -> None:
        if self._socket is None:
            wait_for(self._connected, CONNECT_DEADLINE_S, f"{self.name} to be let in")

    def _connected(self) -> bool:
        place = (self._address.host, self._address.port)
        try:
            self._socket = socket.create_connection(place, ANSWER_DEADLINE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = ReplyReader()
            if self.resp == 3:
                self._send([Ask(("HELLO", 3))])
                self.read()
            self.on_connect()
        except (OSError, Gone):
            self._disconnect()
            return False
        return True

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _reply_of(value: Value) -> Reply:
    if isinstance(value, hiredis.ReplyError):
        return Refusal(str(value))
    if isinstance(value, list):
        return [_reply_of(item) for item in value]
    assert isinstance(value, bytes | int | None), f"no reply of these commands: {value!r}"
    return value
