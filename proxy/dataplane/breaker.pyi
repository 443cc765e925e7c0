"""What becomes of requests for a node that nobody hopes for any more: another node, or an error."""

from proxy.dataplane.lane import Lane
from proxy.dataplane.readers import ReadTable
from proxy.dataplane.recovery import Recovery

class Breaker(Recovery):
    """The part of an engine that spares requests a hopeless wait."""

    def give_up_node(self, node: int) -> None:
        """Answer what waits for a node, and what comes for it, at once with an error."""

    def hope_for_node(self, node: int) -> None:
        """Send requests to a node again."""

    def install_readers(self, lane: Lane, readers: ReadTable | None) -> None:
        """Replace who answers a lane's reads.

        What waits for a connection is routed anew; so are reads that wait for the reply of
        a primary which, from now on, is not to be asked.
        """

    def unheard_s(self, node: int) -> float:
        """Return how long ago the last byte of a node came over a lane; infinite: none has."""
