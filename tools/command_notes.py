"""What a client may notice of the cluster, command by command: data of docs/commands.md.

A command that stands nowhere here answers as a standalone server does. A name with a
bar is a subcommand; a container's name speaks for all of its subcommands.
"""

from __future__ import annotations

NOTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Parts in other slots run by themselves: not atomic. If one fails, the error says so.",
        ("del", "exists", "mget", "mset", "touch", "unlink"),
    ),
    (
        "The shards are asked one after another's moment: a sum or a list of no one instant.",
        ("dbsize", "keys", "info", "memory|stats", "pubsub|channels", "pubsub|numsub"),
    ),
    ("Each shard is emptied by itself.", ("flushall", "flushdb")),
    (
        (
            "The cursor holds shard and position; what stays throughout the scan is listed,"
            " also while slots move."
        ),
        ("scan",),
    ),
    ("A shard is drawn first, then one of its keys.", ("randomkey",)),
    (
        "Nothing is sent before EXEC. Over several slots: see the setting commands.transactions.",
        ("multi", "exec", "discard"),
    ),
    ("Keys of one slot. If it moves, or its primary changes, EXEC answers null.", ("watch",)),
    (
        (
            "Keys in several slots: tried in their order whenever one of them changes;"
            " one more round trip."
        ),
        ("blpop", "brpop", "bzpopmin", "bzpopmax", "blmpop", "bzmpop", "xread", "xreadgroup"),
    ),
    (
        "Waits until the primaries that the client may have written to are copied.",
        ("wait",),
    ),
    (
        "Counts this proxy's clients, and the server's own on the channel's node.",
        ("publish", "spublish"),
    ),
    (
        "A gap in the messages is possible while a node fails over.",
        ("subscribe", "psubscribe", "ssubscribe"),
    ),
    ("Shows what passes this proxy, not what others send to the cluster.", ("monitor",)),
    ("Clients of this proxy only.", ("client|list", "client|kill", "client|pause", "client|info")),
    ("Keys in several slots are refused.", ("eval", "evalsha", "fcall", "eval_ro", "evalsha_ro")),
    (
        "Loaded on every primary, and remembered for those that come later.",
        ("script|load", "function|load"),
    ),
    (
        "A lost connection, a moved slot, EXEC and reads over several slots are a flush.",
        ("client|tracking",),
    ),
    ("Checked against clients.users, or by the servers.", ("auth", "hello")),
    ("As many databases as the servers have in a cluster.", ("select",)),
    (
        'With clients.acl = "pass" answered by the servers, for the client\'s user.',
        ("acl|dryrun", "acl|getuser", "acl|list", "acl|log", "acl|setuser", "acl|users"),
    ),
    ("Writes and deletes a key of a random name.", ("waitaof",)),
    ("No moment exists at which all shards could swap.", ("swapdb",)),
    ("As the setting clients.expose_cluster says.", ("cluster",)),
    ("Says that there is one primary without replicas.", ("role",)),
    ("Of all nodes, in one list.", ("slowlog|get", "latency|latest", "commandlog|get")),
    ("The oldest of the shards' saves.", ("lastsave",)),
    ("No server's: what the proxy tells of itself, see [PROXY](proxy-command.md).", ("proxy",)),
)
