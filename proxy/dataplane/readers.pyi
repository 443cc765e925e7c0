"""Which node answers a read, for clients that do not insist on the primary."""

from collections.abc import Iterable, Mapping, Sequence

class ReadTable:
    """Who answers reads for each primary.

    Args:
        readers: By the primary's number, (whether nobody else may, the numbers of nodes).
            A primary that is not here answers itself.
        moving: Slots that only their primary can answer for.
    """

    def __init__(
        self, readers: Mapping[int, tuple[bool, Sequence[int]]], moving: Iterable[int] = ()
    ) -> None: ...
    def keep_at_primary(self, slot: int) -> None:
        """Have reads of a slot answered by its primary: its keys are on the move."""

    def reader_of(self, owner: int, slot: int, client_id: int = 0, attempts: int = 0) -> int | None:
        """Return who answers a read, or None: nobody may."""
