"""What becomes of requests for a node that nobody hopes for any more: an answer at once."""

from proxy.dataplane.recovery import Recovery

class Breaker(Recovery):
    """The part of an engine that spares requests a hopeless wait."""

    def give_up_node(self, node: int) -> None:
        """Answer what waits for a node, and what comes for it, at once with an error."""

    def hope_for_node(self, node: int) -> None:
        """Send requests to a node again."""

    def unheard_s(self, node: int) -> float:
        """Return how long ago the last byte of a node came over a lane; infinite: none has."""
