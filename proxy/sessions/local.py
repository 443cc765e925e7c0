"""Which commands the proxy answers itself, and with which function.

Strategy: two maps. ``SYNC`` are functions of the proxy's own state and answer
at once; ``ASYNC`` need a node's answer first. A name with a bar is a
subcommand and comes before its container.

Callers look into ASYNC first, through ``find_async``; what it does not have
is in SYNC. Both maps together are the commands of Road.LOCAL.
"""

from __future__ import annotations

from proxy.sessions import basic, handshake
from proxy.sessions.client_command import client_command, track, unblock
from proxy.sessions.cluster_command import cluster_command
from proxy.sessions.command_command import command_command
from proxy.sessions.context import AsyncHandler, SyncHandler
from proxy.sessions.forward import ask_any_node, list_functions, tell_user
from proxy.sessions.proxy_command import proxy_command

SYNC: dict[bytes, SyncHandler] = {
    b"asking": basic.asking,
    b"auth": handshake.auth,
    b"client": client_command,
    b"clusterscan": basic.scan_cluster,
    b"discard": basic.discard_without_multi,
    b"echo": basic.echo,
    b"exec": basic.exec_without_multi,
    b"hello": handshake.hello,
    b"ping": basic.ping,
    b"proxy": proxy_command,
    b"quit": handshake.quit_connection,
    b"readonly": basic.read_mode,
    b"readwrite": basic.read_mode,
    b"reset": handshake.reset,
    b"role": basic.tell_role,
    b"select": handshake.select,
    b"time": basic.tell_time,
    b"unwatch": basic.unwatch,
}

ASYNC: dict[bytes, AsyncHandler] = {
    b"acl|whoami": tell_user,
    b"client|help": ask_any_node,
    b"client|tracking": track,
    b"client|unblock": unblock,
    b"cluster": cluster_command,
    b"function|list": list_functions,
    b"command": command_command,
    b"lolwut": ask_any_node,
}

# What a client may say before it has authenticated.
BEFORE_AUTH = frozenset({b"auth", b"hello", b"quit", b"reset"})

# What may make another user of a client.
CHANGE_USER = frozenset({b"auth", b"hello", b"reset"})


def find_async(args: list[bytes]) -> AsyncHandler | None:
    """Return the handler of a command that a node has to answer, or None.

    Args:
        args: The request; at least its name.
    """
    name = args[0].lower()
    if len(args) > 1:
        found = ASYNC.get(name + b"|" + args[1].lower())
        if found is not None:
            return found
    return ASYNC.get(name)


def find_sync(args: list[bytes]) -> SyncHandler | None:
    """Return the handler of a command that the proxy answers at once, or None."""
    return SYNC.get(args[0].lower())
