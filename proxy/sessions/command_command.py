"""COMMAND and its subcommands: COUNT, INFO, DOCS, LIST, GETKEYS, GETKEYSANDFLAGS, HELP.

Strategy: the server describes itself. The request goes to one node as it is,
and the reply comes back as it is, errors included, so that modules and newer
servers are described rightly. It is a description of the servers: commands
that the proxy denies are in it too.
"""

from __future__ import annotations

from proxy.sessions.context import ClientView, LocalContext
from proxy.sessions.forward import ask_any_node


async def command_command(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """COMMAND [subcommand [argument ...]]."""
    return await ask_any_node(ctx, client, args)
