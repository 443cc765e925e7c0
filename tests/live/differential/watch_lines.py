"""Transactions by hand with watched keys, or keys of several slots, for both sides.

A dialogue is a line a request, as redis-cli takes it; ``2> GET k`` is said by a
second client.
"""

from __future__ import annotations

WATCH_DIALOGUES = {
    "watch": """
        WATCH {a}k
        SET {a}k mine
        MULTI
        SET {a}k 1
        EXEC
        MULTI
        SET {a}k 2
        EXEC
        GET {a}k
        WATCH
        WATCH {a}k {a}k2 {a}k
        GET {a}k
        MULTI
        GET {a}k
        EXEC
        WATCH {a}k
        SET {a}k mine
        UNWATCH
        MULTI
        GET {a}k
        EXEC
        WATCH {a}k
        SET {a}k mine
        MULTI
        DISCARD
        MULTI
        GET {a}k
        EXEC
        WATCH {a}k
        MULTI
        NOSUCH
        EXEC
        SET {a}k mine
        MULTI
        GET {a}k
        EXEC
        WATCH {a}k
        SET {a}k mine
        RESET
        MULTI
        GET {a}k
        EXEC
        WATCH {a}k
        SET {a}k mine
        MULTI
        EXEC
        WATCH {a}k
        DEL {a}k
        MULTI
        PING
        EXEC
        EXEC
        WATCH {a}nothing
        MULTI
        GET {a}nothing
        PUBLISH a b
        DBSIZE
        EXEC
    """,
    "watch, and another client": """
        WATCH {a}k
        2> SET {a}k theirs
        MULTI
        SET {a}k mine
        EXEC
        GET {a}k
        WATCH {a}k
        2> GET {a}k
        MULTI
        SET {a}k mine
        EXEC
        WATCH {a}k
        MULTI
        SET {a}k 1
        2> SET {a}k theirs
        EXEC
        2> WATCH {a}k
        WATCH {a}k
        2> MULTI
        MULTI
        INCR {a}n
        2> INCR {a}n
        APPEND {a}k 1
        2> APPEND {a}k 2
        EXEC
        2> EXEC
        GET {a}k
        WATCH {a}k
        2> FLUSHALL
        MULTI
        GET {a}k
        EXEC
        WATCH {a}none
        2> FLUSHALL
        MULTI
        GET {a}none
        EXEC
        WATCH {a}k
        2> EVAL "redis.call('SET', KEYS[1], 'x')" 1 {a}k
        MULTI
        PING
        EXEC
        2> EXEC
    """,
}

SPLIT_DIALOGUES = {
    "keys anywhere": """
        MULTI
        SET {a}k 1
        SET {b}k 2
        GET {a}k
        INCR {c}k
        MGET {c}k {b}k {a}k {c}none
        DEL {a}k {b}k {a}k
        EXISTS {a}k {c}k {c}k
        MSET {a}k 1 {b}k 2 {a}k 3
        MGET {a}k {b}k
        PUBLISH n x
        LPUSH {b}k x
        PING
        EXEC
        DBSIZE
    """,
    "watch one slot": """
        WATCH {a}k
        MULTI
        SET {b}k 1
        GET {a}k
        SET {c}k 1
        EXEC
        WATCH {a}k
        2> SET {a}k 1
        MULTI
        SET {b}k 2
        SET {a}k 2
        EXEC
        MGET {a}k {b}k {c}k
        WATCH {a}k
        2> SET {a}k 2
        MULTI
        SET {b}k 3
        EXEC
        WATCH {a}k {a}none
        MULTI
        SET {b}k 3
        EXEC
        GET {b}k
    """,
}
