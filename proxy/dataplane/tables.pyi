"""The two tables of the hot road: commands, and the slots' owners."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from proxy.commands.spec import CommandSpec

IN_PLACE: Final[frozenset[bytes]]
"""Local answers that depend on nothing the client's earlier requests may change."""

class Command:
    """One row of the command table, compiled from a ``CommandSpec``."""

    def __init__(self, spec: CommandSpec) -> None: ...
    @property
    def spec(self) -> CommandSpec:
        """The CommandSpec this row was compiled from."""

    @property
    def name(self) -> bytes:
        """Lower case; ``b"config|get"`` for a subcommand."""

    @property
    def call_count(self) -> int:
        """Requests for this command since the table was made."""

    @property
    def is_diverted(self) -> bool:
        """Whether ``divert`` has taken its requests off the hot road."""

    def divert(self, is_diverted: bool) -> None:
        """Send requests off the hot road, as of Road.SESSION, or on their own road again."""

class CommandTable:
    """All commands of the connected servers, found by name."""

    def __init__(self, specs: Iterable[CommandSpec]) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Command]: ...
    def get(self, name: bytes) -> Command | None:
        """Return the row of ``name`` (lower case), or None."""

    def pin(self, leaving: Collection[bytes]) -> None:
        """Have every request with keys looked at for pinned ones; before the table is in use.

        Args:
            leaving: Commands that the hot road cannot serve then: their replies name
                keys, or their requests do by other words than key arguments.
        """

    def keys_of(self, *args: bytes) -> tuple[Command | None, list[bytes]]:
        """Return (row, keys) of a request, as the hot road finds them."""

    def key_places(self, *args: bytes) -> tuple[Command | None, list[int]]:
        """Return (row, which arguments are keys) of a request, as the hot road finds them."""

class SlotMap:
    """Which node serves each slot: an immutable value, replaced whole.

    Args:
        owners: For each of the 16384 slots a node's index, or None.
        generation: Higher than that of the map it replaces.
    """

    def __init__(self, owners: Sequence[int | None], generation: int) -> None: ...
    @property
    def generation(self) -> int:
        """Number of the map; a later one is higher."""

    @property
    def primaries(self) -> tuple[int, ...]:
        """Indexes of the nodes that own a slot, in order."""

    @property
    def covered(self) -> int:
        """How many slots have an owner."""

    def with_owner(self, slot: int, node: int) -> SlotMap:
        """Return the next map: this one, with one slot given to another node."""

    def owner_of(self, slot: int) -> int | None:
        """Return the index of the slot's node, or None."""

def key_slot(key: bytes) -> int:
    """Return the slot of ``key``: the hot road's own computation, for tests."""
