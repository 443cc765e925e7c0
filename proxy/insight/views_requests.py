"""More views: single requests that were slow, and keys that are hot or big.

Strategy: as ``views.py``; plain values, shown alike everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRequest:
    """A request that took longer than ``insight.slow_log_ms``."""

    number: int
    at: float
    took_ms: float
    backend_ms: float | None
    """The slowest node's share of it."""
    command: bytes
    args: tuple[bytes, ...]
    """Cut short, the command's name first."""
    client: str
    """Address."""
    client_name: bytes
    nodes: tuple[str, ...]
    redirects: int | None
    """None: it was not looked at from its beginning (``insight.sample_every``)."""
    retries: int | None
    error: str
    """Class of the error it ended with; empty if with none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowlogView:
    """The slow log, the newest first."""

    at: float
    threshold_ms: float
    total: int
    """Since the start or the last reset."""
    entries: tuple[SlowRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotKey:
    """A key that is much used."""

    key: bytes
    per_s: float
    """Estimate; never below the truth by more than chance, above it by ``error_per_s`` at most."""
    error_per_s: float
    slot: int | None
    """None: the key is too long to be known whole."""
    node: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HotkeysView:
    """The most used keys, by samples of the requests; the hottest first."""

    at: float
    sample_every: int
    """One request in so many is looked at; 0: none is."""
    samples: int
    """Keys looked at since the start."""
    keys: tuple[HotKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BigKey:
    """A key with a big value, or that a big reply came from."""

    key: bytes
    size_bytes: int
    """Of the biggest value sent, or reply got."""
    command: bytes
    is_reply: bool
    """The reply was big; else the request."""
    at: float
    """When it was seen last."""
    count: int
    """How often it was seen."""
    slot: int | None
    node: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BigkeysView:
    """Keys with big values, the biggest first."""

    at: float
    threshold_bytes: int
    keys: tuple[BigKey, ...]
