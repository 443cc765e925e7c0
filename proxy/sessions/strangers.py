"""What a client may say before it has logged in."""

from __future__ import annotations

from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import Command
from proxy.resp import replies
from proxy.resp.replies_transactions import exec_aborted_by
from proxy.sessions import local


def refuse_stranger(
    engine: Engine, client: Client, command: Command | None, args: list[bytes], *, is_login: bool
) -> bytes | None:
    """Return the error for a request of a client that has to log in; None: it may be served.

    One over ``listen.max_clients`` may only log in; else it is told so and closed.
    """
    name = args[0].lower()
    if client.is_extra and not is_login:
        return engine.refuse_extra(client)
    if name == b"exec":
        return exec_aborted_by(replies.auth_required())
    if name not in local.BEFORE_AUTH or command is None:
        return replies.auth_required()
    if not command.spec.takes(len(args)):
        return replies.wrong_arity(command.name)
    return None
