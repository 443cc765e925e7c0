"""What a request is held to before it goes anywhere: guards, memory, its user's rate, its width."""

from collections.abc import Callable

from proxy.dataplane.allowance import Allowance
from proxy.dataplane.client import Client
from proxy.dataplane.own_requests import OwnRequests
from proxy.dataplane.tables import Command, CommandTable

def guard_commands(table: CommandTable, is_named: Callable[[bytes], bool]) -> None:
    """Have the hot road ask about every request for a command that is named, and for no other.

    Args:
        is_named: Says so of a name, lower case, ``b"config|get"`` for a subcommand.
    """

class Restraint(OwnRequests):
    """The part of an engine that refuses and slows."""

    fan_out_limit: int
    """A command is not split into more parts; 0: into any number."""
    memory_limit_bytes: int
    """Above this, requests are refused that need memory; 0: never."""

    @property
    def requests(self) -> int:
        """Requests of clients so far."""

    @property
    def memory_bytes(self) -> int:
        """What is held of clients' bytes and nodes' replies, and the requests in flight."""

    def lacks_memory_for(self, command: Command) -> bool:
        """Return whether a command is refused because more is held than ``memory_limit_bytes``."""

    def use_allowance(self, client: Client, allowance: Allowance | None) -> None:
        """Hold a client's further requests to an allowance; None: to none."""
