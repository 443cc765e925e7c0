"""Answers that need neither a node nor a session: PING, ECHO, TIME and what ends nothing.

EXEC and DISCARD come here only outside a transaction; then a server has one
answer for each.
"""

from __future__ import annotations

import time

from proxy.resp import replies
from proxy.resp import server_texts as say
from proxy.resp.encode import array, bulk, integer
from proxy.sessions.context import ClientView, LocalContext, speaks_valkey


def ping(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """PING [message]."""
    if len(args) > 2:
        # The command table says "at least 1": the server counts by itself here.
        return replies.wrong_arity(b"ping")
    return bulk(args[1]) if len(args) == 2 else replies.PONG


def echo(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """ECHO message."""
    return bulk(args[1])


def tell_time(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """TIME, by this machine's clock: no node's clock is more right than another's."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return array([bulk(b"%d" % seconds), bulk(b"%d" % microseconds)])


def tell_role(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """ROLE: a primary that has no replicas, as INFO says it too."""
    return array([bulk(b"master"), integer(0), array([])])


def exec_without_multi(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """EXEC outside a transaction."""
    return say.EXEC_WITHOUT_MULTI


def discard_without_multi(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """DISCARD outside a transaction."""
    return say.DISCARD_WITHOUT_MULTI


def unwatch(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """UNWATCH, also when nothing is watched."""
    client.state.unwatch()
    return replies.OK


def read_mode(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """READONLY and READWRITE: Valkey takes them without a cluster too, Redis does not.

    They permit a node to serve reads of a replica, and the proxy asks whom it
    likes, so OK is true.
    """
    return replies.OK if ctx.expose_cluster or speaks_valkey(ctx) else replies.cluster_disabled()


def asking(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """ASKING: the proxy follows redirects itself, so nobody has to say it."""
    return replies.OK if ctx.expose_cluster else replies.cluster_disabled()


def scan_cluster(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """CLUSTERSCAN: the proxy's own SCAN goes over the whole cluster."""
    if ctx.expose_cluster:
        return replies.unsupported(b"clusterscan")
    return replies.cluster_disabled()
