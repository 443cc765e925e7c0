"""To which family a command belongs: a closed set, for what is counted by command.

Strategy: the server's own ACL categories decide, so a command of a new server needs no
new release. Names of commands would be too many for a metric, and open-ended; the
data types and the few other groups tell as much.
"""

from __future__ import annotations

DATA_TYPES = {
    b"@string": "string",
    b"@bitmap": "bitmap",
    b"@hyperloglog": "hyperloglog",
    b"@hash": "hash",
    b"@list": "list",
    b"@set": "set",
    b"@sortedset": "sortedset",
    b"@geo": "geo",
    b"@stream": "stream",
}
OTHER_CATEGORIES = {
    b"@keyspace": "keyspace",
    b"@scripting": "scripting",
    b"@transaction": "transaction",
    b"@pubsub": "pubsub",
    b"@connection": "connection",
    b"@admin": "admin",
}

# They wait for replicas; servers before 7.2 do not say that they block.
BLOCKING_BY_NAME = frozenset({b"wait", b"waitaof"})

FAMILIES: tuple[str, ...] = (
    *DATA_TYPES.values(),
    *OTHER_CATEGORIES.values(),
    "blocking",
    "module",
    "other",
)
"""Every family. ``"blocking"``: it may wait, and its time says nothing of how fast anything is.
``"module"``: of a module, without a category of the server's own. ``"other"``: the rest, and
what no server knows."""


def family_of(
    name: bytes,
    categories: frozenset[bytes],
    flags: frozenset[bytes],
    *,
    blocks_by_a_word: bool,
) -> str:
    """Return the family of a command.

    Args:
        name: Lower case, ``b"config|set"`` for a subcommand.
        categories: Its ACL categories, ``b"@list"`` and the like.
        flags: Its flags.
        blocks_by_a_word: It blocks only with a certain argument (XREAD BLOCK), so in itself
            it is of its data type.
    """
    may_block = b"@blocking" in categories or b"blocking" in flags or name in BLOCKING_BY_NAME
    if may_block and not blocks_by_a_word:
        return "blocking"
    types = [family for category, family in DATA_TYPES.items() if category in categories]
    if len(types) == 1:
        return types[0]
    if types:
        return "keyspace"  # SORT and its like: whatever the key holds
    for category, family in OTHER_CATEGORIES.items():
        if category in categories:
            return family
    return "module" if b"module" in flags else "other"
