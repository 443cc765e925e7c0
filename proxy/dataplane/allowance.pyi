"""How many commands and bytes a second somebody may send: two token buckets."""

from collections import deque

from proxy.dataplane.client import Client

class Allowance:
    """What the clients of one user, or one client, may send.

    Args:
        commands_per_s: 0: any number.
        bytes_per_s: 0: any number.
        burst_s: So many seconds' worth may be saved up, but one command at least.
        refuses: Whether who has used it up is refused; else it waits.
        rule: Where it comes from, for who set it.
    """

    def __init__(
        self,
        commands_per_s: float,
        bytes_per_s: float,
        burst_s: float = 1.0,
        *,
        refuses: bool = False,
        rule: object = None,
    ) -> None: ...
    @property
    def refuses(self) -> bool: ...
    @property
    def waiting(self) -> deque[Client]: ...
    @property
    def rule(self) -> object: ...
    def take(self, now: float, size: int) -> str | None:
        """Take what a request costs, at ``now`` seconds.

        Returns:
            None if it may pass, else what is used up: "commands" or "bytes".
        """
