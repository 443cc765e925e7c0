"""What the control plane tells whoever keeps a record of it; here nobody does.

Strategy: one object with a method for each thing that can happen. It stands below
whoever listens, so a room that has something to tell knows nobody above it.
"""

from __future__ import annotations

from proxy.cluster.addresses import Address
from proxy.dataplane.client import Client


class Notices:
    """Takes note of nothing; to be replaced by one that does."""

    def connected(self, address: Address) -> None:
        """A shared connection to a node is there."""

    def lost(self, address: Address) -> None:
        """A shared connection to a node has broken."""

    def unreachable(self, address: Address, problem: str) -> None:
        """A node cannot be connected to; told once until it can."""

    def silent(self, address: Address, seconds: float) -> None:
        """A node owes replies for so long; told again and again."""

    def down(self, address: Address, silent_s: float) -> None:
        """A node has missed so many health checks that it counts as down."""

    def up(self, address: Address, down_s: float) -> None:
        """A node that counted as down has given a sign of life, after so long."""

    def breaker_opened(self, address: Address) -> None:
        """Requests for a node are answered at once from now on."""

    def breaker_closed(self, address: Address) -> None:
        """Requests for a node are sent to it again."""

    def asked(self, slot: int, source: Address, target: Address) -> None:
        """A node that is giving a slot away has sent a request on (ASK)."""

    def cut(self, client: Client, reason: str) -> None:
        """The proxy has closed a client."""


NOBODY = Notices()
