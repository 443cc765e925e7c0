"""Transactions by hand, for both sides.

A dialogue is a line a request, as redis-cli takes it; ``2> GET k`` is said by a
second client.
"""

from __future__ import annotations

DIALOGUES = {
    "a batch": """
        MULTI
        SET {a}k 1
        INCR {a}k
        GET {a}k
        LPUSH {a}l 1 2 3
        LRANGE {a}l 0 -1
        HSET {a}h f v
        HGETALL {a}h
        EXEC
        GET {a}k
    """,
    "nothing": """
        MULTI
        EXEC
        EXEC
        MULTI
        DISCARD
        DISCARD
    """,
    "errors when it runs": """
        SET {a}k x
        MULTI
        INCR {a}k
        LPUSH {a}k 1
        SET {a}k 2
        MSET {a}k
        ECHO fine
        EXEC
        GET {a}k
    """,
    "an unknown command": """
        MULTI
        SET {a}k 1
        NOSUCH a b
        SET {a}k 2
        EXEC
        GET {a}k
    """,
    "too few arguments": """
        MULTI
        GET
        MULTI x
        EXEC
        GET {a}k
    """,
    "unknown subcommands": """
        MULTI
        CLIENT NOSUCH
        EXEC
        MULTI
        OBJECT NOSUCH {a}k
        CONFIG
        EXEC
    """,
    "words of the transaction inside it": """
        MULTI
        MULTI
        SET {a}k 1
        EXEC
        MULTI
        WATCH {a}k
        SET {a}k 2
        EXEC
        GET {a}k
        MULTI
        SET {a}k 3
        UNWATCH
        DISCARD x
        EXEC
        MULTI
        SET {a}k 4
        EXEC x
        EXEC
        GET {a}k
        MULTI
        UNWATCH
        EXEC
    """,
    "what no server takes inside": """
        MULTI
        SAVE
        EXEC
        MULTI
        SYNC
        EXEC
        MULTI
        SHUTDOWN nosave x
        EXEC
    """,
    "discard": """
        MULTI
        SET {a}k 1
        DISCARD
        GET {a}k
        EXEC
    """,
    "reset": """
        MULTI
        SET {a}k 1
        RESET
        EXEC
        GET {a}k
    """,
    "quit": """
        MULTI
        SET {a}k 1
        QUIT
    """,
    "answers of the connection": """
        MULTI
        PING
        PING hi
        PING a b
        ECHO x
        SELECT 0
        SELECT 99
        SELECT x
        CLIENT SETNAME me
        CLIENT GETNAME
        CLIENT NO-EVICT on
        CLIENT KILL ID 99999
        CLIENT LIST x
        CLIENT TRACKINGINFO
        CLIENT CACHING yes
        CLIENT UNBLOCK 99999
        AUTH x
        AUTH default x
        AUTH nobody x
        HELLO 9
        HELLO 3 FOO
        READONLY
        ASKING
        ROLE
        LOLWUT VERSION 5 1 1 1
        CLUSTER INFO
        CLUSTER ADDSLOTS 1
        SET {a}k 1
        EXEC
        CLIENT GETNAME
    """,
    "answers of all shards": """
        SET {a}k 1
        SET {b}k 1
        SET {c}k 1
        MULTI
        DBSIZE
        EXISTS {a}k
        GET {a}k
        EXEC
        MULTI
        SET {a}k2 1
        DBSIZE
        EXEC
        MULTI
        SET {a}k3 1
        FLUSHALL
        SET {a}k4 1
        DBSIZE
        EXEC
        DBSIZE
        MULTI
        FLUSHDB
        SET {a}k 1
        SCRIPT EXISTS x
        KEYS {a}k
        EXEC
        MULTI
        SCRIPT LOAD "return 1"
        FUNCTION FLUSH
        SLOWLOG LEN x
        EXEC
        MULTI
        SCRIPT LOAD "return 1"
        SCRIPT KILL
        PUBSUB CHANNELS
        PUBLISH a b
        EXEC
    """,
    "nothing blocks": """
        MULTI
        BLPOP {a}l 0
        BRPOPLPUSH {a}l {a}m 0
        BLMOVE {a}l {a}m LEFT LEFT 0
        BZPOPMIN {a}z 0
        BLMPOP 0 1 {a}l LEFT
        XREAD BLOCK 0 STREAMS {a}s 0
        XREAD BLOCK 0 STREAMS {a}s $
        WAIT 0 0
        BLPOP {a}l x
        RPUSH {a}l 1 2 3
        BLPOP {a}l 0
        BRPOP {a}l 0
        EXEC
        LRANGE {a}l 0 -1
    """,
    "seen from outside": """
        CLIENT SETNAME me
        MULTI
        SET {a}k 1
        SET {a}k 2
        2> CLIENT LIST NAME me
        EXEC
        WATCH {a}k {a}k2 {a}k
        MULTI
        2> CLIENT LIST NAME me
        DISCARD
    """,
    "streams without end": """
        MULTI
        MONITOR
        SSUBSCRIBE {a}c
        SET {a}k 1
        EXEC
        GET {a}k
    """,
    "another version in between": """
        MULTI
        GET {a}none
        HSET {a}h f v
        HELLO 3
        GET {a}none
        HGETALL {a}h
        HELLO 2
        HGETALL {a}h
        HELLO 3
        EXEC
        GET {a}none
        WATCH {a}h
        MULTI
        HELLO 2
        HGETALL {a}h
        HELLO
        EXEC
        HGETALL {a}h
    """,
    "a database that is not there": """
        MULTI
        SELECT 0
        SET {a}k 1
        SELECT 99
        SET {a}k 2
        SELECT x
        EXEC
        GET {a}k
    """,
    "publish": """
        2> SUBSCRIBE {a}c
        MULTI
        SET {a}k 1
        PUBLISH {a}c hello
        SPUBLISH {a}c hello
        PUBLISH nobody hello
        EXEC
        2> UNSUBSCRIBE {a}c
        MULTI
        PUBLISH {a}c hello
        EXEC
    """,
    "subscribe": """
        MULTI
        SET {a}k 1
        SUBSCRIBE {a}c
        PSUBSCRIBE {a}*
        UNSUBSCRIBE {a}nothing
        GET {a}k
        EXEC
        PING
        UNSUBSCRIBE {a}c
        PUNSUBSCRIBE {a}*
        PING
        GET {a}k
    """,
    "scripts": """
        MULTI
        EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 {a}k v
        EVAL "return {1, 2, {3}}" 0
        EVAL "return nope(" 0
        EVAL "return 1" x
        EVALSHA 0000000000000000000000000000000000000000 1 {a}k
        EXEC
        SCRIPT FLUSH
        MULTI
        SET {a}k v
        SCRIPT LOAD "return {KEYS, ARGV, 7}"
        EVALSHA e12a0d1734386042d63dde482787bfd9ebf42049 1 {a}k x
        EVALSHA_RO e12a0d1734386042d63dde482787bfd9ebf42049 1 {a}k x
        EXEC
    """,
}
