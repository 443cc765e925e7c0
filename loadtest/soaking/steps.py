"""What a client of a soak does next. A dialogue is a generator of these."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """Send, and wait until exactly these bytes have come."""

    request: bytes
    reply: bytes
    commands: int


@dataclass(frozen=True, slots=True)
class Say:
    """Send, and go on."""

    request: bytes
    commands: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Have somebody else send one command, and go on; exactly this reply must come to them."""

    request: bytes
    reply: bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait until exactly these bytes have come.

    Attributes:
        reply: All of them.
        is_last: Whether the other side must end the connection then.
    """

    reply: bytes
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class HearSome:
    """Wait until anything has come, whatever it is, and read nothing more."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Be there, until all clients together have sent so many commands more.

    Nothing may come meanwhile, unless the client is deaf.
    """

    commands: int


@dataclass(frozen=True, slots=True)
class TurnDeaf:
    """Read nothing from now on."""


@dataclass(frozen=True, slots=True)
class EndInput:
    """Close our half of the connection."""


@dataclass(frozen=True, slots=True)
class Vanish:
    """Reset the connection, as a process that is killed with bytes unread does."""


Step = Ask | Say | Tell | Hear | HearSome | Stay | TurnDeaf | EndInput | Vanish
Dialogue = Generator[Step, None, None]
