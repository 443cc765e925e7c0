"""A client that listens: to channels, to patterns, or to everybody (MONITOR).

Strategy: there is one object for each such client, from its first subscription to its
last. In RESP3 a client that subscribes may do everything else too, so it stays on the
hot road. In RESP2 it may not, and one that monitors may not either: those are in a
session, whose ``take`` is the gate.

Cost: nothing for a client that does not listen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.commands.spec import Road
from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command
from proxy.resp import replies_pubsub as say

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

# What a RESP2 client may say while it subscribes to anything.
_IN_SUBSCRIBER_MODE = frozenset(
    {
        b"ping",
        b"psubscribe",
        b"punsubscribe",
        b"quit",
        b"reset",
        b"ssubscribe",
        b"subscribe",
        b"sunsubscribe",
        b"unsubscribe",
    }
)
# The flags of what a server refuses to a connection that monitors, as to a replica's.
_TOUCHES_KEYS = frozenset({b"readonly", b"write"})
# These a server refuses too, as they may end at its replicas; its flags do not tell.
_MAY_REPLICATE = frozenset({b"eval", b"evalsha", b"fcall", b"publish", b"spublish"})
_NO_SLOT = -1


class Listening:
    """One client's subscriptions and MONITOR (``session.Session``).

    Attributes:
        monitors: The client gets a line for every command.
    """

    def __init__(self, front: Front, client: Client) -> None:
        self.monitors = False
        self._front = front
        self._client = client
        self._has_session = False

    @classmethod
    def of(cls, front: Front, client: Client) -> Listening:
        """Return what a client listens to; there is one from now on."""
        if client.state.listening is None:
            client.state.listening = cls(front, client)
        return client.state.listening

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many channels, patterns and shard channels it listens to."""
        return self._front.hub.book.counts_of(self._client)

    @property
    def subscribes(self) -> bool:
        """Whether it listens to any channel."""
        return any(self.counts)

    @property
    def flags(self) -> bytes:
        """The letters of CLIENT LIST for it."""
        return b"O" * self.monitors + b"P" * self.subscribes

    def settle(self) -> None:
        """Put the client where what it listens to now wants it."""
        subscribes = self.subscribes
        self._client.may_idle = subscribes or self.monitors
        if not self._client.may_idle:
            self._client.state.listening = None
        wants_session = self.monitors or (subscribes and self._client.resp == 2)
        if wants_session and not self._has_session:
            self._front.begin(self._client, self)
        elif self._has_session and not wants_session:
            self._front.end(self._client)
        self._has_session = wants_session

    def end(self) -> None:
        """Listen to nothing any more: RESET, or the client is gone."""
        self._front.hub.leave(self._client)
        if self.monitors:
            self.monitors = False
            self._front.monitors.leave(self._client)
        self.settle()

    # ---- the session --------------------------------------------------------------

    def take(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Return the reply to a request of a client that may not do everything."""
        front = self._front
        refusal = front.refuse(command, args, client)
        if refusal is not None or command is None:
            return refusal
        refusal = self.refusal(command)
        if refusal is not None:
            return refusal
        if command.name == b"ping" and len(args) <= 2 and client.resp == 2 and self.subscribes:
            return say.subscriber_pong(args[1] if len(args) == 2 else b"")
        if command.spec.road not in (Road.FORWARD, Road.SPLIT):
            return front.serve(client, command, args)
        work = front.nodes.ask(client.lane, _NO_SLOT, *args, is_write=command.spec.is_write)
        front.start(client, work)
        return None

    def refusal(self, command: Command) -> bytes | None:
        """Return the error for a command that the client may not run now, or None."""
        is_subscriber = self._client.resp == 2 and self.subscribes
        if is_subscriber and command.name not in _IN_SUBSCRIBER_MODE:
            return say.only_for_subscribers(command.name)
        if self.monitors and (command.spec.flags & _TOUCHES_KEYS or command.name in _MAY_REPLICATE):
            return say.monitor_reads_nothing()
        if self.monitors and command.name == b"multi":
            return say.no_transaction_while_monitoring()
        return None

    def closed(self) -> None:
        """Leave it to ``end``, which is called for every client that listens."""


def may_run(client: Client, command: Command) -> bool:
    """Return whether what a client listens to leaves it free to run a command."""
    listening = client.state.listening
    return listening is None or listening.refusal(command) is None
