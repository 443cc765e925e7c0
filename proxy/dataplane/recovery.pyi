"""What becomes of a piece that was refused, lost with its connection, or is too late."""

from proxy.dataplane.lane import Pipeline
from proxy.dataplane.ledger import Ledger

class Recovery(Ledger):
    """The part of an engine that sends again what did not run."""

    loss_limit: int
    """Connections a read may be lost with before it fails."""

    def refuse(self, pipeline: Pipeline, error: bytes) -> None:
        """Answer everything that a pipeline has not written: the node will not have its lane."""

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
