"""Guard rails: which user may send which command, and what must be confirmed first.

Strategy: the first rule that names user and command decides. A command that must be confirmed is
refused with a code; ``PROXY CONFIRM`` with that code lets the very same request pass on the same
connection for a few seconds. So a client library that sends again what was refused gets
nowhere, whoever types it in redis-cli copies one line, and the reply comes to the command
itself. Only a digest is kept of a request that waits for its confirmation.

A row of the hot road that any rule names is looked into there (``hooks.Hooks.guard``); all
others come by here anyway.

Cost: nothing for commands that no rule names; else a call, 1 us (CPython 3.11, CI machine).
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from proxy.commands.table import is_denied
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Guard
from proxy.dataplane.restraint import guard_commands
from proxy.dataplane.tables import Command
from proxy.resp import replies
from proxy.resp import replies_limits as say

EVERYONE = "*"

# Long enough to read and to copy a code, short enough that nobody has forgotten what it is for.
CODE_LIVES_S = 60.0  # chosen
PASSES_S = 10.0  # chosen
CODE_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """What ``[[guard]]`` says."""

    commands: frozenset[bytes]
    """Lower case; a container's name stands for all of its subcommands."""
    users: tuple[str, ...]
    action: Guard

    def names(self, user: bytes) -> bool:
        """Return whether the rule is about a user."""
        return EVERYONE in self.users or user.decode("utf-8", "replace") in self.users


@dataclass(slots=True)
class Confirmation:
    """A request of one client that waits for its confirmation, or has it."""

    code: bytes
    digest: bytes
    ends_s: float
    """When the code, or the permission, ends."""
    is_given: bool = False


class Guards:
    """The rules in force.

    Args:
        now_s: Tells the time, in seconds that never go back.
    """

    def __init__(self, engine: Engine, now_s: Callable[[], float] = time.monotonic) -> None:
        self.rules: tuple[GuardRule, ...] = ()
        self._engine = engine
        self._now_s = now_s
        # Client, and the number of its request that was refused last.
        self._refused: tuple[int, int] | None = None
        # By client: the digest of the request that the hot road has just turned aside.
        self._turned_aside: tuple[int, bytes] | None = None

    def replace(self, rules: Iterable[GuardRule]) -> None:
        """Use other rules, at once."""
        self.rules = tuple(rules)
        self.mark()

    def mark(self) -> None:
        """Have the commands that any rule names looked into; a new table begins without."""
        named = frozenset(name for rule in self.rules for name in rule.commands)
        guard_commands(self._engine.command_table, lambda name: is_denied(name, named))

    def action(self, user: bytes, command: Command) -> Guard:
        """Return what the rules say of a user's command."""
        for rule in self.rules:
            if rule.names(user) and is_denied(command.name, rule.commands):
                return rule.action
        return Guard.ALLOW

    def describe(self, command: Command) -> tuple[str, ...]:
        """Return in words what the rules say of a command, the first that names a user counts."""
        return tuple(
            say.guard_in_words(rule.action.name.lower(), rule.users)
            for rule in self.rules
            if is_denied(command.name, rule.commands)
        )

    # ---- a request comes in -------------------------------------------------------

    def guard(self, client: Client, command: Command) -> Guard:
        """Return what the hot road is to do with a request."""
        return self.action(client.state.user, command)

    def is_confirmed(self, client: Client, args: Sequence[bytes]) -> bool:
        """Return whether a request of the hot road may pass; if not, it comes to ``refuse``."""
        digest = _digest(args)
        if self._has_passed(client, digest):
            return True
        self._turned_aside = (client.id, digest)  # pins may change its words on the way
        return False

    def refuse(
        self, client: Client, command: Command, args: Sequence[bytes], *, in_session: bool = False
    ) -> bytes | None:
        """Return the error for a request that may not pass, or None.

        Args:
            in_session: A transaction, or what else has the client to itself: the code could
                not be given there.
        """
        if not self.rules:
            return None
        user = client.state.user
        action = self.action(user, command)
        if action is Guard.ALLOW:
            return None
        if action is Guard.DENY:
            self._note_refusal(client)
            return say.guard_denies(command.name, user)
        digest = self._take_digest(client, args)
        if self._has_passed(client, digest):
            return None
        self._note_refusal(client)
        if in_session:
            return say.guard_wants_confirmation_before(command.name)
        code = secrets.token_hex(CODE_BYTES).encode()
        client.state.confirmation = Confirmation(code, digest, self._now_s() + CODE_LIVES_S)
        return say.guard_wants_confirmation(command.name, code, CODE_LIVES_S)

    def confirm(self, client: Client, code: bytes) -> bytes:
        """Let the request pass to which a code was given."""
        waiting = client.state.confirmation
        if (
            waiting is None
            or waiting.is_given
            or waiting.ends_s < self._now_s()
            or not hmac.compare_digest(waiting.code, code.lower())
        ):
            return say.nothing_to_confirm()
        waiting.is_given = True
        waiting.ends_s = self._now_s() + PASSES_S
        return replies.OK

    def was_refused(self, client: Client) -> bool:
        """Return whether the client's last request was refused here; no newer one has come."""
        return self._refused == (client.id, client.commands)

    def _note_refusal(self, client: Client) -> None:
        self._engine.meter.note_limit("guard")
        self._refused = (client.id, client.commands)

    def _has_passed(self, client: Client, digest: bytes) -> bool:
        found = client.state.confirmation
        return (
            found is not None
            and found.is_given
            and found.digest == digest
            and self._now_s() <= found.ends_s
        )

    def _take_digest(self, client: Client, args: Sequence[bytes]) -> bytes:
        turned_aside, self._turned_aside = self._turned_aside, None
        if turned_aside is not None and turned_aside[0] == client.id:
            return turned_aside[1]
        return _digest(args)


def _digest(args: Sequence[bytes]) -> bytes:
    """Return what tells a request from all others; upper or lower case of its name is the same."""
    digest = sha256(args[0].lower())
    for arg in args[1:]:
        digest.update(b"%d:" % len(arg))
        digest.update(arg)
    return digest.digest()
