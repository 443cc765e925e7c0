"""Where the proxy knows better than the server's own description: one line a case.

Strategy: ``table.py`` decides from what the server says; this table is read
first and holds only what the server does not say, says wrongly, or says for a
client of a cluster while our clients talk to a standalone server. Each line
has its reason, and a test fails when a line is no longer needed because both
engines say the same by themselves.

A line for a container (``b"cluster"``) holds for its subcommands too, unless
they have a line of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.commands.spec import KeySpec, Merge, Road

ALL_NODES = b"all_nodes"
ALL_SHARDS = b"all_shards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What replaces the server's word for some commands; None: the server's word stands."""

    reason: str
    names: tuple[bytes, ...]
    road: Road | None = None
    request_policy: bytes = b""
    """With Road.FAN_OUT: who is asked."""
    merge: Merge = Merge.NONE
    """With Road.FAN_OUT: how the replies become one."""
    key_specs: tuple[KeySpec, ...] | None = None
    blocking_keyword: bytes = b""
    unsplittable_if: tuple[bytes, ...] = ()
    only_reads: bool = False
    """True: safe to send again, though the server does not flag it ``readonly``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Commands that are refused unless the operator's setting allows them."""

    reason: str
    names: tuple[bytes, ...]


_READ = frozenset({b"RO", b"access"})
_OVERWRITTEN = frozenset({b"OW", b"update"})


def _key_at(index: int) -> KeySpec:
    return KeySpec(index, b"", 0, False, 0, 1, 0, 0, 0, 1, _READ)


def _key_after(keyword: bytes, start_from: int) -> KeySpec:
    return KeySpec(0, keyword, start_from, False, 0, 1, 0, 0, 0, 1, _OVERWRITTEN)


OVERRIDES: tuple[Override, ...] = (
    # Keys
    Override(
        reason="Its BY, GET and STORE are an unknown spec; a cluster takes only patterns without"
        " other keys, or of the key's own slot, so STORE's is the one key that is missing.",
        names=(b"sort",),
        key_specs=(_key_at(1), _key_after(b"STORE", 2)),
    ),
    Override(
        reason="As SORT, and it cannot store.",
        names=(b"sort_ro",),
        key_specs=(_key_at(1),),
    ),
    # Splitting
    Override(
        reason="7.0 tags it multi_shard, but all keys or none is its promise.",
        names=(b"msetnx",),
        road=Road.FORWARD,
    ),
    Override(
        reason="NX and XX are a condition on all keys together; without them it splits as MSET.",
        names=(b"msetex",),
        unsplittable_if=(b"NX", b"XX"),
    ),
    # Fan-out
    Override(
        reason="Tagged special: sums where sums make sense.",
        names=(b"info",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.SPECIAL,
        only_reads=True,
    ),
    Override(
        reason="Tagged special: one shard after the other, the shard is in the cursor.",
        names=(b"scan",),
        road=Road.FAN_OUT,
        request_policy=b"special",
        merge=Merge.SPECIAL,
    ),
    Override(
        reason="7.0 has no response policy: one of the shards that have keys, by chance.",
        names=(b"randomkey",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.SPECIAL,
    ),
    Override(
        reason="Tagged special: the engines are the same everywhere, the running script is not.",
        names=(b"function|stats",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.SPECIAL,
        only_reads=True,
    ),
    Override(
        reason="Not tagged; EVAL leaves a script on one shard only, and that one can show it.",
        names=(b"script|show",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.ONE_OK,
        only_reads=True,
    ),
    Override(
        reason="Not tagged; everything is on disk since the oldest of the shards' saves.",
        names=(b"lastsave",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.MIN,
        only_reads=True,
    ),
    Override(
        reason="A node knows its own subscribers only, and takes the hub for one of them.",
        names=(
            b"pubsub|channels",
            b"pubsub|numpat",
            b"pubsub|numsub",
            b"pubsub|shardchannels",
            b"pubsub|shardnumsub",
        ),
        road=Road.SESSION,
        only_reads=True,
    ),
    Override(
        reason="7.0 tags it all_succeeded, but it answers with a number.",
        names=(b"latency|reset",),
        road=Road.FAN_OUT,
        request_policy=ALL_NODES,
        merge=Merge.SUM,
    ),
    Override(
        reason="7.0 does not tag them; allowed, they must not leave the nodes different.",
        names=(
            b"acl|deluser",
            b"acl|load",
            b"acl|save",
            b"acl|setuser",
            b"config|resetstat",
            b"config|rewrite",
            b"module|load",
            b"module|loadex",
            b"module|unload",
        ),
        road=Road.FAN_OUT,
        request_policy=ALL_NODES,
        merge=Merge.ALL_OK,
    ),
    Override(
        reason="Not tagged; allowed, a save is one of the whole data set.",
        names=(b"bgrewriteaof", b"bgsave", b"save"),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.ALL_OK,
    ),
    Override(
        reason="Tagged special: what each server measured, put together.",
        names=(b"latency|doctor", b"latency|graph", b"latency|history", b"latency|latest"),
        road=Road.FAN_OUT,
        request_policy=ALL_NODES,
        merge=Merge.SPECIAL,
        only_reads=True,
    ),
    Override(
        reason="Tagged special: sums where sums make sense; texts one after the other. A replica"
        " runs what its primary ran, and would count it twice.",
        names=(b"latency|histogram", b"memory|doctor", b"memory|malloc-stats", b"memory|stats"),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.SPECIAL,
        only_reads=True,
    ),
    Override(
        reason="Allowed, it is meant for the server that the client sees: every shard, or the"
        " one that has the key.",
        names=(b"debug",),
        road=Road.FAN_OUT,
        request_policy=ALL_SHARDS,
        merge=Merge.SPECIAL,
    ),
    # Any one server
    Override(
        reason="Flagged admin, but harmless, and one node is enough: they are configured alike.",
        names=(b"module|list",),
        road=Road.FORWARD,
        only_reads=True,
    ),
    Override(
        reason="One node is enough: they are configured alike. Their passwords are left out.",
        names=(b"config|get",),
        road=Road.FAN_OUT,
        request_policy=b"special",
        merge=Merge.SPECIAL,
        only_reads=True,
    ),
    Override(
        reason="Not flagged readonly as they read no key, but they change nothing.",
        names=(
            b"acl|cat",
            b"commandlog|get",
            b"commandlog|len",
            b"function|dump",
            b"script|exists",
            b"slowlog|get",
            b"slowlog|len",
        ),
        only_reads=True,
    ),
    Override(
        reason="Flagged admin; a node notes what it has refused itself.",
        names=(b"acl|log",),
        road=Road.FAN_OUT,
        request_policy=ALL_NODES,
        merge=Merge.SPECIAL,
    ),
    # Answered by the proxy; so is what the server puts into @connection
    Override(
        reason="Our clients talk to a standalone server, which has no cluster.",
        names=(b"cluster", b"clusterscan"),
        road=Road.LOCAL,
    ),
    Override(
        reason="Users may be the proxy's own, of whom a server knows nothing.",
        names=(b"acl|whoami",),
        road=Road.LOCAL,
    ),
    Override(
        reason="The client's connection is ours; its subcommands are in @connection, it is not.",
        names=(b"client",),
        road=Road.LOCAL,
    ),
    Override(
        reason="Not in @connection, but the proxy's clock and art are as good as any node's.",
        names=(b"lolwut", b"time"),
        road=Road.LOCAL,
    ),
    Override(
        reason="Valkey 9.1 repeats an unknown word of it as it is: a line end in that word would"
        " begin a reply to somebody else.",
        names=(b"function|list",),
        road=Road.LOCAL,
    ),
    Override(
        reason="Our clients talk to one server without replicas; a node's own are not theirs.",
        names=(b"role",),
        road=Road.LOCAL,
    ),
    Override(
        reason="Outside a transaction the answer needs no server; inside, the session has them.",
        names=(b"discard", b"exec", b"unwatch"),
        road=Road.LOCAL,
    ),
    # Sessions; so are blocking and subscribing commands, which the server flags
    Override(
        reason="A transaction is the state of one connection.",
        names=(b"multi", b"watch"),
        road=Road.SESSION,
    ),
    Override(
        reason="Flagged admin, but it is a stream without end.",
        names=(b"monitor",),
        road=Road.SESSION,
    ),
    Override(
        reason="7.0 does not flag it blocking.",
        names=(b"wait",),
        road=Road.SESSION,
    ),
    Override(
        reason="Flagged blocking, but they block only with BLOCK.",
        names=(b"xread", b"xreadgroup"),
        road=Road.FORWARD,
        blocking_keyword=b"BLOCK",
    ),
    # Never, whatever the setting says; so are SYNC, PSYNC and REPLCONF, which are
    # flagged admin and would turn a shared connection into a replication link
    Override(
        reason="It turns the connection, which others share, into a debugger's.",
        names=(b"script|debug",),
        road=Road.DENIED,
    ),
    Override(
        reason="No moment exists at which all shards could swap.",
        names=(b"swapdb",),
        road=Road.DENIED,
    ),
)

_USERS = Denial(
    reason="The proxy's own user would change or show the servers' users, hashes included.",
    names=(
        b"acl|deluser",
        b"acl|dryrun",
        b"acl|getuser",
        b"acl|list",
        b"acl|load",
        b"acl|log",
        b"acl|save",
        b"acl|setuser",
        b"acl|users",
    ),
)

DENIALS: tuple[Denial, ...] = (
    Denial(
        reason="It stops or stalls a server that all clients share, or makes it crash.",
        names=(b"debug", b"pfdebug", b"pfselftest", b"shutdown"),
    ),
    Denial(
        reason="Roles are given by the cluster and its operators.",
        names=(b"failover", b"replicaof", b"slaveof"),
    ),
    Denial(
        reason="It moves or writes keys behind the cluster's back.",
        names=(b"migrate", b"restore-asking"),
    ),
    Denial(
        reason="It changes the cluster under everybody.",
        names=(
            b"cluster|addslots",
            b"cluster|addslotsrange",
            b"cluster|bumpepoch",
            b"cluster|cancelslotmigrations",
            b"cluster|delslots",
            b"cluster|delslotsrange",
            b"cluster|failover",
            b"cluster|flushslot",
            b"cluster|flushslots",
            b"cluster|forget",
            b"cluster|meet",
            b"cluster|migrateslots",
            b"cluster|replicate",
            b"cluster|reset",
            b"cluster|saveconfig",
            b"cluster|set-config-epoch",
            b"cluster|setslot",
            b"cluster|syncslots",
        ),
    ),
    Denial(
        reason="It loads or removes code in every server.",
        names=(b"module|load", b"module|loadex", b"module|unload"),
    ),
    _USERS,
)

DENIED_BY_DEFAULT: frozenset[bytes] = frozenset(name for line in DENIALS for name in line.names)
"""Default of the setting that denies commands by name; a container's name denies all of it."""

DENIED_TO_THE_PROXYS_USER: frozenset[bytes] = frozenset(_USERS.names)
"""Those of them that clients may have when each has the rights of its own user."""
