"""What the proxy says to a connection that does not get in; it is closed after it.

Strategy: as in ``replies.py``, one function a text; the docstring says what to do about it.
A full house is in ``replies.py``, for its text is Redis's own.
"""

from __future__ import annotations

from proxy.resp.encode import error


def protected_mode() -> bytes:
    """A client from another machine, and nothing that would tell friend from foe.

    Set ``clients.password`` or ``clients.users``, or ask for certificates
    (``tls.client_certificates = "required"``); or ``listen.protected_mode = false`` where
    nobody else can reach the port. Redis has this mode too, with a text of its own.
    """
    return error(
        b"DENIED slotway is in protected mode: it has no password, so it serves connections from "
        b"its own machine only. Set clients.password or clients.users, or tls.client_certificates "
        b'= "required"; or, where nobody else can reach the port, listen.protected_mode = false'
    )


def too_many_connections(setting: str, per_s: int) -> bytes:
    """Connections come faster than a setting allows: reuse them, or raise it."""
    return error(
        b"ERR more than %d new connections a second, which the setting %b allows"
        % (per_s, setting.encode())
    )


def header_not_believed() -> bytes:
    """A connection from nobody who may pass connections on: connect to who may.

    With ``listen.proxy_protocol = "required"``, only those in ``listen.proxy_protocol_from``.
    """
    return error(
        b"DENIED this port is for connections that a proxy passes on, and your address is "
        b"not in the setting listen.proxy_protocol_from"
    )


def no_header(problem: str) -> bytes:
    """No PROXY protocol header before anything else: have the load balancer send one.

    HAProxy does with ``send-proxy`` or ``send-proxy-v2``; else ``listen.proxy_protocol`` is to
    be ``"off"``.
    """
    return error(
        b"ERR the setting listen.proxy_protocol wants a PROXY protocol header before anything "
        b"else, and what came is none: %b" % problem.encode()
    )
