"""What the proxy remembers of one client between its commands.

Strategy: one small object per client, made when it connects and gone with it
(law 9); nothing in it ever reaches another client. The protocol version and
the reply mode are not here: the data plane reads those for every request, so
they live in its own client object.

Cost: about 120 bytes for a client that sets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.sessions.blocking import Wait
    from proxy.sessions.guard import Confirmation
    from proxy.sessions.listening import Listening
    from proxy.sessions.tracking_options import Tracking
    from proxy.sessions.transaction_queue import TransactionQueue
    from proxy.sessions.watch import Watch

DEFAULT_USER = b"default"  # who a client is until AUTH says otherwise


@dataclass(slots=True, kw_only=True)
class ClientState:
    """The state that CLIENT, AUTH, HELLO and RESET change."""

    authenticated: bool
    """May run commands. Begins as "no password is required"; AUTH and HELLO AUTH set it."""
    user: bytes = DEFAULT_USER
    """Whose name the last successful AUTH gave."""
    name: bytes = b""
    """CLIENT SETNAME; empty: no name."""
    lib_name: bytes = b""
    """CLIENT SETINFO LIB-NAME; survives RESET, as the library does."""
    lib_ver: bytes = b""
    """CLIENT SETINFO LIB-VER; survives RESET."""
    wait: Wait | None = None
    """The blocking command that it waits for."""
    waited_s: float = 0.0
    """When its last WAIT or WAITAOF began; monotonic seconds, 0: never."""
    database: int = 0
    """SELECT; the lane has it too."""
    tracking: Tracking | None = None
    """CLIENT TRACKING ON, and how; ``sessions/tracking.py`` sees to it."""
    capabilities: bytes = b""
    """CLIENT CAPA, a letter each (``r``: redirect); survives RESET. Valkey's idea."""
    no_evict: bool = False
    """CLIENT NO-EVICT. Remembered and shown; the proxy evicts nobody for memory."""
    no_touch: bool = False
    """CLIENT NO-TOUCH. Remembered and shown; shared backend connections cannot honour it."""

    listening: Listening | None = None
    """What it subscribes to, and MONITOR; None: nothing."""
    queue: TransactionQueue | None = None
    """What it has sent since MULTI; None: it is in no transaction."""
    confirmation: Confirmation | None = None
    """The command that it has to confirm, or has confirmed; ``sessions/guard.py`` sees to it."""
    watch: Watch | None = None
    """The keys that WATCH named; EXEC, DISCARD, UNWATCH and RESET end it."""

    def reset(self, *, authenticated: bool) -> None:
        """Go back to how the client came, as RESET does; what it is (its library) stays.

        Args:
            authenticated: Whether a client needs no password to run commands.
        """
        self.authenticated = authenticated
        self.user = DEFAULT_USER
        self.database = 0
        self.name = b""
        self.no_evict = False
        self.no_touch = False
        self.confirmation = None
        self.unwatch()
        if self.listening is not None:
            self.listening.end()

    def unwatch(self) -> None:
        """Watch no key any more."""
        if self.watch is not None:
            self.watch.release()
            self.watch = None
