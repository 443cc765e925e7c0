"""Rewrite requests whose keys are pinned: ``commands.pins`` for the hot road."""

from proxy.commands.pins import PinTable
from proxy.dataplane.tables import CommandTable

class Pins:
    """The pins of a proxy, compiled."""

    def __init__(self, table: PinTable) -> None: ...
    def store_request(self, commands: CommandTable, frame: bytes) -> bytes:
        """Return a request as the hot road sends it on: its keys by their stored names.

        Raises:
            ValueError: ``frame`` is not one whole request of a known command.
        """
