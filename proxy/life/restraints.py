"""The tables ``[[rate]]`` and ``[[guard]]`` as the rooms below take them: as values."""

from __future__ import annotations

from proxy.config import Settings
from proxy.control.rates import RateRule
from proxy.dataplane.hooks import Guard
from proxy.sessions.guard import GuardRule


def rates_of(settings: Settings) -> tuple[RateRule, ...]:
    """Return the rules about how fast users may send."""
    return tuple(
        RateRule(
            users=rate.users,
            commands_per_s=rate.commands_per_s,
            bytes_per_s=rate.bytes_per_s,
            burst_s=rate.burst_s,
            is_shared=rate.per == "user",
            refuses=rate.mode == "refuse",
        )
        for rate in settings.rate
    )


def guards_of(settings: Settings) -> tuple[GuardRule, ...]:
    """Return the rules about who may send which commands."""
    return tuple(
        GuardRule(
            commands=frozenset(name.encode() for name in guard.commands),
            users=guard.users,
            action=Guard[guard.action.upper()],
        )
        for guard in settings.guard
    )
