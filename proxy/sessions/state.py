"""What the proxy remembers of one client between its commands.

Strategy: one small object per client, made when it connects and gone with it
(law 9); nothing in it ever reaches another client. The protocol version and
the reply mode are not here: the data plane reads those for every request, so
they live in its own client object.

Cost: about 120 bytes for a client that sets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    capabilities: bytes = b""
    """CLIENT CAPA, a letter each (``r``: redirect); survives RESET. Valkey's idea."""
    no_evict: bool = False
    """CLIENT NO-EVICT. Remembered and shown; the proxy evicts nobody for memory."""
    no_touch: bool = False
    """CLIENT NO-TOUCH. Remembered and shown; shared backend connections cannot honour it."""

    def reset(self, *, authenticated: bool) -> None:
        """Go back to how the client came, as RESET does; what it is (its library) stays.

        Args:
            authenticated: Whether a client needs no password to run commands.
        """
        self.authenticated = authenticated
        self.user = DEFAULT_USER
        self.name = b""
        self.no_evict = False
        self.no_touch = False
