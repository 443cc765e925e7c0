"""The settings: every key, its default and its limits.

Strategy: one frozen pydantic model for each table of proxy.toml; ``sources.py``
fills them. Only app, cli and check see these models; the rooms below receive
plain values.

Cost: read once, at start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, field_validator

from proxy.commands.pins import Pin as KeyPin
from proxy.commands.pins import PinError, PinTable
from proxy.config.clients import Clients
from proxy.config.cluster import Cluster
from proxy.config.commands import Commands, Pin
from proxy.config.limits import Limits
from proxy.config.listen import Listen
from proxy.config.operation import Admin, Insight, Log, Reload, Tracing
from proxy.config.reads import Reads
from proxy.config.restraints import Guard, Rate
from proxy.config.timeouts import Timeouts
from proxy.config.tls import Tls
from proxy.config.values import Table, parse_tables

__all__ = [
    "Admin",
    "Clients",
    "Cluster",
    "Commands",
    "Guard",
    "Insight",
    "Limits",
    "Listen",
    "Log",
    "Pin",
    "Rate",
    "Reads",
    "Reload",
    "Settings",
    "Timeouts",
    "Tls",
    "Tracing",
]


def _split_pins(value: object) -> object:
    """Let ``prefix=tag,prefix=tag`` stand for a list of pins; ``=tag`` pins everything."""
    if isinstance(value, str):
        pairs = [word.strip().rpartition("=") for word in value.split(",") if word.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("prefix=tag, several of them with commas between")
        return tuple({"prefix": prefix, "tag": tag} for prefix, _, tag in pairs)
    return value


class Settings(Table):
    """Everything that can be set."""

    listen: Listen = Listen()
    tls: Tls = Tls()
    cluster: Cluster = Cluster()
    timeouts: Timeouts = Timeouts()
    reads: Reads = Reads()
    clients: Clients = Clients()
    commands: Commands = Commands()
    limits: Limits = Limits()
    reload: Reload = Reload()
    admin: Admin = Admin()
    insight: Insight = Insight()
    log: Log = Log()
    tracing: Tracing = Tracing()
    guard: Annotated[tuple[Guard, ...], BeforeValidator(parse_tables)] = ()
    """Who may send which commands."""
    rate: Annotated[tuple[Rate, ...], BeforeValidator(parse_tables)] = ()
    """How fast users may send."""
    pin: Annotated[tuple[Pin, ...], BeforeValidator(_split_pins)] = ()
    """Keys that live in one slot."""

    @field_validator("pin")
    @classmethod
    def _pins_are_possible(cls, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        try:
            _pin_table(pins)
        except PinError as problem:
            raise ValueError(problem.allowed) from None
        return pins

    def pin_table(self) -> PinTable:
        """Return the pins as a value."""
        return _pin_table(self.pin)


def _pin_table(pins: Iterable[Pin]) -> PinTable:
    return PinTable(KeyPin(pin.prefix.encode(), pin.tag.encode()) for pin in pins)
