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

    def asked(self, slot: int, source: Address, target: Address) -> None:
        """A node that is giving a slot away has sent a request on (ASK)."""

    def cut(self, client: Client, reason: str) -> None:
        """The proxy has closed a client."""


NOBODY = Notices()
