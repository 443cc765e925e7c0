"""Which client is held to which rate.

Strategy: a client's user decides, so a client is looked at when it comes, when it logs in or out,
and when the settings change; its requests are counted in the data plane. What the clients of
one user share is kept as long as the settings hold, else who reconnects would begin with a
full bucket.

Cost: a comparison a login; without rates, nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.dataplane.allowance import Allowance
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine

EVERYONE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRule:
    """What ``[[rate]]`` says; 0: any number."""

    users: tuple[str, ...]
    commands_per_s: float
    bytes_per_s: float
    burst_s: float
    is_shared: bool
    """All clients of a user share it."""
    refuses: bool
    """What is too much is refused, else it is read later."""

    def names(self, user: bytes) -> bool:
        """Return whether the rule is about a user."""
        return EVERYONE in self.users or user.decode("utf-8", "replace") in self.users


@dataclass(frozen=True, slots=True)
class Held:
    """Whose allowance it is, and by which rule."""

    user: bytes
    rule: RateRule


class RateBook:
    """The rules in force, and what each user has left.

    Attributes:
        rules: The first that names a user counts.
    """

    def __init__(self, engine: Engine) -> None:
        self.rules: tuple[RateRule, ...] = ()
        self._engine = engine
        self._shared: dict[bytes, Allowance] = {}

    def replace(self, rules: Iterable[RateRule]) -> None:
        """Use other rules; everyone begins with what may be saved up."""
        self.rules = tuple(rules)
        self._shared.clear()
        for client in list(self._engine.clients.values()):
            self.settle(client)

    def settle(self, client: Client) -> None:
        """Hold a client to what its user may send; without effect if that is so already."""
        if not self.rules and client.allowance is None:
            return
        user = client.state.user
        rule = None if client.is_gated else self.rule_of(user)
        held = None if rule is None else Held(user, rule)
        if held != (None if client.allowance is None else client.allowance.rule):
            self._engine.use_allowance(client, None if held is None else self._allowance(held))

    def rule_of(self, user: bytes) -> RateRule | None:
        """Return the rule for a user, or None."""
        return next((rule for rule in self.rules if rule.names(user)), None)

    def _allowance(self, held: Held) -> Allowance:
        found = self._shared.get(held.user) if held.rule.is_shared else None
        if found is None:
            found = Allowance(
                held.rule.commands_per_s,
                held.rule.bytes_per_s,
                held.rule.burst_s,
                refuses=held.rule.refuses,
                rule=held,
            )
            if held.rule.is_shared:
                self._shared[held.user] = found
        return found
