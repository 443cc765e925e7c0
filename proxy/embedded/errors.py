"""What can go wrong with embedded servers. None of these ever reaches a proxy's client."""

from __future__ import annotations

from proxy.errors import ProxyError


class EmbeddedError(ProxyError):
    """A server, cluster or proxy started from here could not be started or used."""


class EngineMissing(EmbeddedError):
    """The server's program is not on this machine; the message says how to get it."""


class NotInTime(EmbeddedError):
    """What was waited for did not happen before the deadline; the message says what."""


class ServerRefused(EmbeddedError):
    """A server answered an administrative command with an error; the message quotes it."""
