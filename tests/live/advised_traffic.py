"""What clients do while advise watches, what advise should say of it, and how to do it elsewhere.

Each row of ``TRAFFIC`` is what one client does.
"""

from __future__ import annotations

import hiredis

from proxy.cluster.addresses import Address
from proxy.commands.table import snapshot_table
from proxy.dataplane.tables import CommandTable
from proxy.embedded import EmbeddedCluster
from proxy.embedded.wire import NodeConnection
from proxy.resp.decode import ReplyReader, Value

Said = set[tuple[str, str, str, str]]
"""Kind, command, on a plain cluster client, behind slotway."""

# ``a``, ``b`` and ``c`` are in three slots, and in a cluster of three on three nodes.
TRAFFIC: dict[str, tuple[str, Said]] = {
    "one-key": ("SET a 1; GET a; PING; INCR n", set()),
    "same-slot": ("MSET {t}a 1 {t}b 2; MGET {t}a {t}b; RENAME {t}a {t}c", set()),
    "batch-in-one-slot": ("WATCH {t}a; MULTI; SET {t}a 1; INCR {t}n; EXEC", set()),
    "script-of-one-key": ("EVAL return(redis.call('get',KEYS[1])) 1 a", set()),
    "mget": ("MGET a b", {("keys_in_several_slots", "mget", "breaks", "slower")}),
    "unlink": ("UNLINK a b c", {("keys_in_several_slots", "unlink", "breaks", "slower")}),
    "union": ("SUNION s:1 s:2", {("keys_in_several_slots", "sunion", "breaks", "slower")}),
    "store": (
        "SADD s:1 x; SUNIONSTORE s:3 s:1 s:2",
        {("keys_in_several_slots", "sunionstore", "breaks", "breaks")},
    ),
    "rename": ("SET a 1; RENAME a b", {("keys_in_several_slots", "rename", "breaks", "breaks")}),
    "queues": (
        "RPUSH q:low x; BRPOP q:high q:low 1",
        {("blocking_in_several_slots", "brpop", "breaks", "slower")},
    ),
    "batch": (
        "MULTI; SET a 1; SET b 1; EXEC",
        {("transaction_in_several_slots", "multi", "breaks", "breaks")},
    ),
    "watched": (
        "WATCH a; MULTI; SET b 1; EXEC",
        {("transaction_in_several_slots", "multi", "breaks", "breaks")},
    ),
    "watch": ("WATCH a b", {("watch_in_several_slots", "watch", "breaks", "breaks")}),
    "script": (
        "EVAL return(1) 2 a b",
        {("script_keys_in_several_slots", "eval", "breaks", "breaks")},
    ),
    "script-touches": (
        "EVAL return(redis.call('get','b')) 1 a",
        {("script_touches_other_slots", "eval", "breaks", "breaks")},
    ),
    "database": (
        "SELECT 1; SET a 1",
        {
            ("database_other_than_0", "select", "breaks", "breaks"),
            ("database_other_than_0", "any in database 1", "breaks", "breaks"),
        },
    ),
    "move": ("SET m 1; MOVE m 1", {("between_databases", "move", "breaks", "breaks")}),
    "sort": ("RPUSH l 1; SORT l BY w_*", {("sort_by_other_keys", "sort", "breaks", "breaks")}),
    "msetnx": (
        "MSETNX x:1 1 x:2 1",
        {("keys_in_several_slots", "msetnx", "breaks", "breaks")},
    ),
    "move-element": (
        "RPUSH q:1 x; LMOVE q:1 q:2 LEFT LEFT",
        {("keys_in_several_slots", "lmove", "breaks", "breaks")},
    ),
    "wait-and-move": (
        "RPUSH q:3 x; BLMOVE q:3 q:4 LEFT LEFT 1",
        {("blocking_in_several_slots", "blmove", "breaks", "breaks")},
    ),
    "streams": (
        "XADD x:3 * f v; XREAD STREAMS x:3 x:4 0 0",
        {("keys_in_several_slots", "xread", "breaks", "slower")},
    ),
    "wait-for-streams": (
        "XADD x:5 * f v; XREAD BLOCK 50 STREAMS x:5 x:6 0 0",
        {("blocking_in_several_slots", "xread", "breaks", "slower")},
    ),
    "sort-and-store": (
        "RPUSH l 1; SORT l STORE l:2",
        {("keys_in_several_slots", "sort", "breaks", "breaks")},
    ),
    "swap": ("SWAPDB 0 0", {("between_databases", "swapdb", "breaks", "breaks")}),
    "mget-in-batch": (
        "MULTI; MGET a b; EXEC",
        {("transaction_in_several_slots", "multi", "breaks", "breaks")},
    ),
    "rename-in-batch": (
        "SET a 1; MULTI; RENAME a b; EXEC",
        {("transaction_in_several_slots", "multi", "breaks", "breaks")},
    ),
    "sharded-channels": (
        "SPUBLISH a x; SSUBSCRIBE a b",
        {("publish_and_subscribe", "ssubscribe", "breaks", "works")},
    ),
    "publish": ("PUBLISH news x", {("publish_and_subscribe", "publish", "slower", "works")}),
    "info": ("INFO server", {("concerns_all_shards", "info", "slower", "slower")}),
    "keys": ("KEYS fill:*", {("concerns_all_shards", "keys", "partial", "slower")}),
}
FILL = [f"fill:{n}" for n in range(100)]
# What keeps its problem with generous settings.
HARD = {
    "database",
    "move",
    "rename-in-batch",
    "script",
    "script-touches",
    "sort",
    "swap",
    "watch",
}
GENEROUS = {"commands.transactions": "split", "commands.cross_slot": "all"}


def words(commands: str) -> list[list[str]]:
    return [command.split() for command in commands.split(";")]


def do(address: Address, commands: str, name: str = "") -> list[Value]:
    """Do what a client does, over one connection, and return the replies; errors are values."""
    connection = NodeConnection(address)
    with connection:
        if name:
            connection.call("CLIENT", "SETNAME", name)
        return [ask(connection, *command) for command in words(commands)]


def ask(connection: NodeConnection, *args: str) -> Value:
    connection.send([args])
    return receive(connection)


def receive(connection: NodeConnection) -> Value:
    reader = ReplyReader()
    while True:
        replies = reader.feed(connection._socket.recv(65536))
        if replies:
            return replies[0]


def errors(replies: list[Value]) -> list[str]:
    return [str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)]


def do_on_cluster(cluster: EmbeddedCluster, commands: str) -> list[Value]:
    """Do the same as a client that sends each command to its first key's node, and no more."""
    table = CommandTable(snapshot_table())
    node = cluster.primary_for(b"a")
    replies: list[Value] = []
    parsed = words(commands)
    # A transaction, with what it watches, is one node's: that of its first key.
    first = next(
        (key for command in parsed for key in table.keys_of(*map(str.encode, command))[1]), b"a"
    )
    is_transaction = ["MULTI"] in parsed
    connections = {each: NodeConnection(each.address) for each in cluster.primaries()}
    try:
        for command in parsed:
            _, keys = table.keys_of(*map(str.encode, command))
            if is_transaction:
                node = cluster.primary_for(first)
            elif keys:
                node = cluster.primary_for(keys[0])
            replies.append(ask(connections[node], *command))
    finally:
        for connection in connections.values():
            connection.close()
    return replies
