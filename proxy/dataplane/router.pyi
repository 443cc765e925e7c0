"""Where each request goes, and what becomes of it: decisions only, no socket."""

from proxy.dataplane.client import Client
from proxy.dataplane.hooks import Hooks

class Router:
    """The engine's decisions; made as part of an ``Engine``, never alone.

    Attributes:
        control: The control plane's hooks.
        wants_yield: A hook has made a trio task runnable; whoever drives the engine clears it.
        request_timeout_s: A request is given up this long after it came.
        in_flight_limit: A client with so many pieces in flight is not routed further.
        node_queue_soft_bytes: A client is stopped when a node's queue holds more than this.
        loss_limit: Connections a read may be lost with before it fails.
    """

    control: Hooks
    wants_yield: bool
    request_timeout_s: float
    in_flight_limit: int
    node_queue_soft_bytes: int
    loss_limit: int

    @property
    def requests(self) -> int:
        """Requests of clients so far."""

    @property
    def punts(self) -> int:
        """Requests that left the hot road."""

    @property
    def splits(self) -> int:
        """Requests that were split."""

    @property
    def parts(self) -> int:
        """Parts they were split into."""

    @property
    def refusals(self) -> int:
        """Pieces that a node would not run."""

    @property
    def resends(self) -> int:
        """Pieces sent again."""

    @property
    def expired(self) -> int:
        """Pieces given up at their deadline."""

    @property
    def outcome_unknown(self) -> int:
        """Writes that may or may not have run."""

    @property
    def in_flight(self) -> int:
        """Pieces of all clients that are not answered yet."""

    def finish_punt(self, client: Client, reply: bytes) -> None:
        """Answer the request that ``punt`` left open; nothing happens if the client is gone."""

    def forward_punt(self, client: Client, frame: bytes, slot: int, is_write: bool) -> None:
        """Send the request that ``punt`` left open to the node of ``slot`` after all.

        Args:
            slot: NO_SLOT (-1) for any primary.
        """
