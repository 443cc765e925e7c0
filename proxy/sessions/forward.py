"""Answers that any node gives as well as any other: pass the command on, pass the reply back.

Strategy: one node is asked, and another if it does not reply; all these
commands only read, so asking again is always safe (law 4). A client's number
picks where to begin, so that many clients spread and one client keeps asking
the same node.

Cost: one round trip; nothing is kept.
"""

from __future__ import annotations

from proxy.cluster.topology import Node
from proxy.errors import BackendUnavailable
from proxy.resp.encode import bulk
from proxy.sessions.context import ClientView, LocalContext

# Each call may wait for its whole deadline, so this bounds how long a client
# waits. Two, because one dead node must not make COMMAND fail. Chosen.
NODES_ASKED = 2

_BLANK_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")  # as servers do in all their other errors


async def ask_any_node(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """Return a node's reply to the client's own words.

    Used for COMMAND, CLIENT HELP and LOLWUT: a server describes itself.

    Raises:
        BackendUnavailable: No node gave a reply; as these commands only read,
            it does not matter whether one ran them.
    """
    last = BackendUnavailable("no node of the cluster is known", sent=False)
    for node in nodes_to_ask(ctx, client)[:NODES_ASKED]:
        try:
            return await ctx.nodes_for(client).call(node, *args, resp=client.resp)
        except BackendUnavailable as problem:
            last = problem
    raise last


async def list_functions(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """FUNCTION LIST, with blanks for line ends: no library can have them in its name.

    Valkey 9.1 puts an unknown word into its error as it is. On a connection that
    clients share, what follows the line end would be the next client's reply.

    Raises:
        BackendUnavailable: As ``ask_any_node``.
    """
    cleaned = [arg.translate(_BLANK_LINE_ENDS) for arg in args]
    return await ask_any_node(ctx, client, cleaned)


async def tell_user(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """ACL WHOAMI: a server's word, if users are the servers'.

    Raises:
        BackendUnavailable: As ``ask_any_node``.
    """
    if ctx.passes_users:
        return await ask_any_node(ctx, client, args)
    return bulk(client.state.user)


def nodes_to_ask(ctx: LocalContext, client: ClientView) -> list[Node]:
    """Return the nodes worth asking, the best first: living primaries, then all others."""
    topology = ctx.nodes_for(client).topology
    primaries = [node for node in topology.primaries if not node.failed]
    others = [node for node in topology.nodes if node not in primaries]
    first = client.id % len(primaries) if primaries else 0
    return primaries[first:] + primaries[:first] + others
