"""One connection of a soak: what is still to be sent, and what must come.

Cost: a reply is compared as it comes, a piece at a time; nothing is kept or parsed.
"""

from __future__ import annotations

import errno
import socket
import time
from enum import Enum, auto

from proxy.cluster.topology import Address
from soaking.steps import Dialogue

READ_BYTES = 1 << 18
SHOWN_BYTES = 200


class WrongAnswer(Exception):
    """Other bytes came than must, or none. The text shows what."""


class Wish(Enum):
    """What a guest waits for."""

    NOTHING = auto()
    REPLY = auto()
    ANYTHING = auto()
    END = auto()


class Guest:
    """A connection, and where its dialogue stands.

    Attributes:
        dialogue: None for one that does only what others tell.
        wish: What it waits for.
        since_s: Since when, by the monotonic clock.
        is_deaf: Nothing is read any more.
        is_over: The other side has ended it, as it should.
        events: What the loop watches its socket for; None if it does not.
    """

    __slots__ = (
        "_commands",
        "_ends_input",
        "_ends_there",
        "_expected",
        "_matched",
        "_outgoing",
        "_request",
        "connection",
        "dialogue",
        "events",
        "is_deaf",
        "is_over",
        "since_s",
        "wish",
    )

    def __init__(self, address: Address, dialogue: Dialogue | None) -> None:
        """Connect, or begin to.

        Raises:
            OSError: Nobody listens there.
        """
        self.connection = socket.socket()
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        problem = self.connection.connect_ex((address.host, address.port))
        if problem not in (0, errno.EINPROGRESS):
            self.connection.close()
            raise OSError(problem, f"cannot connect to {address}")
        self.dialogue = dialogue
        self.wish = Wish.NOTHING
        self.since_s = 0.0
        self.is_deaf = False
        self.is_over = False
        self.events: int | None = None
        self._request = self._outgoing = self._expected = b""
        self._matched = 0
        self._commands = 0
        self._ends_input = False
        self._ends_there = False

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed."""
        return self.connection.fileno() < 0

    @property
    def wants_to_send(self) -> bool:
        """Whether the kernel has not taken all yet."""
        return bool(self._outgoing)

    def say(self, request: bytes) -> None:
        """Send, as far as there is room; ``send`` does the rest."""
        self._request = request
        self._outgoing = self._outgoing + request if self._outgoing else request
        self.send()

    def send(self) -> None:
        """Send what is left.

        Raises:
            WrongAnswer: The other side has ended the connection.
        """
        try:
            sent = self.connection.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError as problem:
            raise self._wrong(f"the connection broke ({problem})") from None
        self._outgoing = self._outgoing[sent:]
        if self._ends_input and not self._outgoing:
            self.connection.shutdown(socket.SHUT_WR)

    def end_input(self) -> None:
        """Close our half of the connection once all is sent; nothing may be said afterwards."""
        self._ends_input = True
        if not self._outgoing:
            self.connection.shutdown(socket.SHUT_WR)

    def expect(self, reply: bytes, commands: int = 0, *, is_last: bool = False) -> None:
        """Wait until this has come, behind what is waited for already.

        Args:
            reply: Whole.
            commands: How many it answers; ``hear`` gives them back when it has come.
            is_last: Whether the other side must end the connection then.
        """
        self._expected = self._expected[self._matched :] + reply
        self._matched = 0
        self._commands += commands
        self._ends_there = is_last
        self.wait_for(Wish.REPLY)

    def wait_for(self, wish: Wish) -> None:
        """Wait for this from now on."""
        self.wish = wish
        self.since_s = time.monotonic()

    def hear(self) -> int | None:
        """Read once.

        Returns:
            How many commands are answered now, if what was waited for is there; else None.

        Raises:
            WrongAnswer: Something else came.
        """
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as problem:
            raise self._wrong(f"the connection broke ({problem})") from None
        match self.wish:
            case Wish.REPLY:
                return self._match(data)
            case Wish.ANYTHING if data:
                self.is_deaf = True
            case Wish.END if not data:
                self.is_over = True
            case _:
                said = f"nobody had asked for {data[:SHOWN_BYTES]!r}"
                raise self._wrong(said if data else "the connection was ended")
        self.wish = Wish.NOTHING
        return 0

    def overdue(self) -> WrongAnswer:
        """Return the complaint that what is waited for has not come."""
        rest = self._expected[self._matched :][:SHOWN_BYTES]
        return self._wrong(f"no answer: {self.wish.name.lower()}, {rest!r}")

    def _match(self, data: bytes) -> int | None:
        if not data:
            raise self._wrong("the connection was ended within a reply")
        if not self._expected.startswith(data, self._matched):
            raise self._wrong(difference(self._expected[self._matched :], data))
        self._matched += len(data)
        if self._matched < len(self._expected):
            return None
        answered, self._commands = self._commands, 0
        self._expected, self._matched = b"", 0
        if self._ends_there:
            self.wish = Wish.END
            return None
        self.wish = Wish.NOTHING
        return answered

    def _wrong(self, what: str) -> WrongAnswer:
        kind = self.dialogue.__name__ if self.dialogue is not None else "teller"
        return WrongAnswer(f"{kind}, after {self._request[-SHOWN_BYTES:]!r}: {what}")


def difference(expected: bytes, data: bytes) -> str:
    """Return where two byte strings part, in words."""
    place = next(
        (at for at, (a, b) in enumerate(zip(expected, data, strict=False)) if a != b),
        min(len(expected), len(data)),
    )
    start = max(0, place - SHOWN_BYTES // 4)
    return (
        f"after {place} right bytes came {data[start : place + SHOWN_BYTES]!r} "
        f"instead of {expected[start : place + SHOWN_BYTES]!r}"
    )
