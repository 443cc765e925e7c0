"""What is in flight and what is answered: each reply goes to whoever asked."""

from proxy.dataplane.hooks import Hooks
from proxy.dataplane.witness import Witness

class Ledger(Witness):
    """The part of an engine that knows requests and their replies."""

    control: Hooks
    """The control plane's hooks."""
    wants_yield: bool
    """A hook has made a trio task runnable; whoever drives the engine clears it."""
    in_flight_limit: int
    """A client with so many pieces in flight is not routed further."""

    @property
    def in_flight(self) -> int:
        """Pieces of all clients that are not answered yet."""

    @property
    def spared(self) -> int:
        """Pieces answered at once because their node is given up."""
