"""CLUSTER: there is none to be seen, unless the setting says so.

Strategy: behind the proxy a client finds one ordinary server, so CLUSTER gets
that server's answer, "cluster support disabled", after its own checks of name
and arity. KEYSLOT is answered always: it is arithmetic, and tools like it.

With ``expose_cluster`` what only reads is passed to a node: to the owner of
the slot where a node knows its own slots only, else to any. What would change
the cluster stays refused.

One table says which subcommands there are, how many arguments they take and
who answers when the cluster is exposed.
"""

from __future__ import annotations

from enum import Enum

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.resp import replies
from proxy.resp.encode import integer
from proxy.sessions.arguments import parse_integer
from proxy.sessions.context import ClientView, LocalContext
from proxy.sessions.forward import ask_any_node
from proxy.sessions.subcommands import Subcommand, find_subcommand


class _Exposed(Enum):
    """Who answers a subcommand when the cluster is exposed."""

    ANY_NODE = "any node"
    OWNER = "owner"
    NOBODY = "nobody"
    """It changes the cluster."""


async def cluster_command(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """CLUSTER subcommand [argument ...].

    Raises:
        BackendUnavailable: The cluster is exposed and no node gave a reply.
    """
    found = find_subcommand(ctx, b"cluster", _SUBCOMMANDS, args)
    if isinstance(found, bytes):
        return found
    name = args[1].lower()
    if name == b"keyslot":
        return integer(key_slot(args[2]))
    if not ctx.expose_cluster:
        return replies.cluster_disabled()
    match found.answer:
        case _Exposed.ANY_NODE:
            return await ask_any_node(ctx, client, args)
        case _Exposed.OWNER:
            return await _ask_owner(ctx, client, args)
        case _:
            return replies.unsupported(b"cluster|" + name)


async def _ask_owner(ctx: LocalContext, client: ClientView, args: list[bytes]) -> bytes:
    """Ask the owner of the slot ``args[2]``; any other node would say that it is empty."""
    slot = parse_integer(args[2])
    known = slot is not None and 0 <= slot < SLOT_COUNT
    owner = ctx.nodes_for(client).topology.owner(slot) if known and slot is not None else None
    if owner is None:
        # No such slot, or nobody has it: any node knows the right words.
        return await ask_any_node(ctx, client, args)
    return await ctx.nodes_for(client).call(owner, *args, resp=client.resp)


def _reads(arity: int, *, valkey_only: bool = False) -> Subcommand[_Exposed]:
    return Subcommand(arity, _Exposed.ANY_NODE, valkey_only)


def _changes(arity: int, *, valkey_only: bool = False) -> Subcommand[_Exposed]:
    return Subcommand(arity, _Exposed.NOBODY, valkey_only)


# Names and arities as COMMAND of Redis 7.0 and Valkey 9.1 gives them. REPLICATE
# takes 3 arguments with Redis and more with Valkey; the wider one stands here.
_SUBCOMMANDS: dict[bytes, Subcommand[_Exposed]] = {
    b"countkeysinslot": Subcommand(3, _Exposed.OWNER),
    b"getkeysinslot": Subcommand(4, _Exposed.OWNER),
    b"count-failure-reports": _reads(3),
    b"getslotmigrations": _reads(2, valkey_only=True),
    b"help": _reads(2),
    b"info": _reads(2),
    b"keyslot": _reads(3),
    b"links": _reads(2),
    b"myid": _reads(2),
    b"myshardid": _reads(2),
    b"nodes": _reads(2),
    b"replicas": _reads(3),
    b"shards": _reads(2),
    b"slaves": _reads(3),
    b"slot-stats": _reads(-4, valkey_only=True),
    b"slots": _reads(2),
    b"addslots": _changes(-3),
    b"addslotsrange": _changes(-4),
    b"bumpepoch": _changes(2),
    b"cancelslotmigrations": _changes(2, valkey_only=True),
    b"delslots": _changes(-3),
    b"delslotsrange": _changes(-4),
    b"failover": _changes(-2),
    b"flushslot": _changes(-3, valkey_only=True),
    b"flushslots": _changes(2),
    b"forget": _changes(3),
    b"meet": _changes(-4),
    b"migrateslots": _changes(-4, valkey_only=True),
    b"replicate": _changes(-3),
    b"reset": _changes(-2),
    b"saveconfig": _changes(2),
    b"set-config-epoch": _changes(3),
    b"setslot": _changes(-4),
    b"syncslots": _changes(-3, valkey_only=True),
}
