"""The doors open: each listening socket goes to the engine, with what comes before requests.

Strategy: a PROXY protocol header first, if whoever connects there sends one; then a TLS
handshake, if the socket is one for TLS; then requests.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import structlog

from proxy.config import Listen
from proxy.dataplane.engine import Engine
from proxy.listeners import is_public
from proxy.tls.sides import Guard

log = structlog.get_logger()


def open_doors(
    engine: Engine,
    listen: Listen,
    listeners: Sequence[socket.socket],
    with_tls: Sequence[socket.socket],
    guard: Guard,
) -> None:
    """Have clients accepted.

    Args:
        listeners: Every socket.
        with_tls: Those of them whose clients speak TLS.
        guard: Begins their handshakes.
    """
    for listener in with_tls:
        engine.secure(listener.fileno(), guard)
    for listener in listeners:
        is_passed_on = listener.family != socket.AF_UNIX or listen.unix_passes_on
        engine.listen(listener.fileno(), listen.proxy_protocol == "required" and is_passed_on)


def tell_if_protected(listeners: Sequence[socket.socket], *, is_protected: bool) -> None:
    """Tell that other machines are refused, if they could come."""
    if is_protected and is_public(listeners):
        log.warning("protected mode, only this machine is served", setting="listen.protected_mode")
