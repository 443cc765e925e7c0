"""What a session is: whoever has one client to itself, for as long as its state demands.

Strategy: a client in a session is off the hot road: each of its requests is a
punt that comes to ``take``, after all earlier ones are answered and before any
later one is looked at. So a session needs no queue of its own, and what the
client sends meanwhile waits in its socket.
"""

from __future__ import annotations

from typing import Protocol

from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command


class Session(Protocol):
    """Has one client to itself."""

    def take(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Return the reply to the client's next request, or None: a task will bring it.

        Args:
            command: The row of the request; None: no row has its name.
            args: The request, its name first; nothing about it has been checked.
        """

    def closed(self) -> None:
        """Note that the client is gone: give back what was held for it."""
