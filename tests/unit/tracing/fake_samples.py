"""Samples as the data plane makes them, without one."""

from __future__ import annotations

from dataclasses import dataclass, field

BEGAN_S = 1_700_000_000.0


@dataclass(frozen=True)
class FakeEvent:
    """See ``sample.Event``."""

    after_s: float
    kind: str
    node: int = -1
    slot: int = -1


@dataclass(frozen=True)
class FakePart:
    """See ``sample.Part``."""

    slot: int
    node: int
    sent_s: float | None = None
    answered_s: float | None = None


@dataclass(frozen=True)
class FakeClient:
    """The little of a client that is asked for."""

    id: int = 7
    address: str = "10.1.2.3:50007"


@dataclass(frozen=True)
class FakeSample:
    """See ``sample.Sample``."""

    command: bytes = b"get"
    family: str = "string"
    road: str = "forward"
    keys: tuple[bytes, ...] = (b"secret:key",)
    arguments: tuple[bytes, ...] = (b"get", b"secret:key", b"secret value")
    argument_count: int = 2
    is_write: bool = False
    is_sampled: bool = True
    is_answered: bool = True
    client_id: int = 7
    client: FakeClient = field(default_factory=FakeClient)
    frame_bytes: int = 30
    reply_bytes: int = 5
    error: bytes = b""
    began_s: float = 100.0
    began_unix_s: float = BEGAN_S
    duration_s: float = 0.010
    parts: tuple[FakePart, ...] = ()
    events: tuple[FakeEvent, ...] = ()


def a_get(*events: FakeEvent, **fields: object) -> FakeSample:
    """Return a GET of slot 93 that went to node 1, unless told otherwise."""
    happened = events or (FakeEvent(0.001, "sent", 1, 93), FakeEvent(0.009, "answered", 1, 93))
    return FakeSample(parts=(FakePart(93, 1, 100.001, 100.009),), events=happened, **fields)
