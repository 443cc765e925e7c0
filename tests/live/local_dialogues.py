"""What is said to a standalone server and to the proxy, for test_local_answers.py.

One line a command, as redis-cli takes it. ``{id}`` and ``{addr}`` are those of the
client that speaks, ``{long}`` is a word of 200 bytes.
"""

from __future__ import annotations

DIALOGUES = {
    "hello": """
        HELLO
        HELLO 2
        HELLO 3
        CLIENT GETNAME
        HELLO 2 SETNAME foo
        CLIENT GETNAME
        HELLO abc
        HELLO 4
        HELLO 1
        HELLO 4 FOO
        HELLO ""
        HELLO 03
        HELLO " 3"
        HELLO +3
        HELLO 9223372036854775808
        HELLO 3 FOO
        HELLO 3 "F\\nOO"
        HELLO 3 AUTH a
        HELLO 3 AUTH default x
        HELLO 3 AUTH bob x
        HELLO 3 SETNAME
        HELLO 3 SETNAME "a b"
        HELLO 3 SETNAME "a\\nb"
        HELLO 3 SETNAME "q q" AUTH a b
        HELLO 2 AUTH default x AUTH bob y
        CLIENT GETNAME
        hello 3 setname "" auth default anything
        CLIENT GETNAME
    """,
    "auth where nobody needs a password": """
        AUTH x
        AUTH default x
        AUTH bob x
        AUTH "" x
        AUTH a b c
    """,
    "select": """
        SELECT 0
        SELECT -1
        SELECT 16
        SELECT 00
        SELECT 1.0
        SELECT abc
        SELECT ""
        SELECT 2147483647
        SELECT 2147483648
        SELECT -2147483648
        SELECT -2147483649
        SELECT 9223372036854775808
    """,
    "small answers": """
        PING
        PING hello
        PING a b
        PING ""
        ECHO "a\\x00b"
        EXEC
        DISCARD
        UNWATCH
        READONLY
        READWRITE
        ASKING
        ROLE
    """,
    "reset": """
        HELLO 3 SETNAME foo
        RESET
        CLIENT GETNAME
        CLIENT INFO
    """,
    "quit": """
        QUIT
    """,
    "quit with arguments": """
        QUIT now
    """,
    "names": """
        CLIENT GETNAME
        CLIENT SETNAME abc
        CLIENT GETNAME
        CLIENT SETNAME "a b"
        CLIENT SETNAME "a\\nb"
        CLIENT SETNAME "\\xffb"
        CLIENT SETNAME "\\x7f"
        CLIENT SETNAME "a\\x00b"
        CLIENT GETNAME
        CLIENT SETNAME "\\x00 b"
        CLIENT GETNAME
        CLIENT INFO
        CLIENT SETNAME ""
        CLIENT GETNAME
    """,
    "CLIENT words and arity": """
        CLIENT FOO
        CLIENT "F\\nOO"
        CLIENT "F\\x00OO"
        CLIENT "\\xff\\x01"
        CLIENT ""
        CLIENT {long}
        CLIENT id x
        CLIENT GETNAME x
        CLIENT SETNAME
        CLIENT INFO x
        CLIENT KILL
        CLIENT NO-EVICT
        CLIENT NO-EVICT ON x
        CLIENT REPLY
        CLIENT REPLY ON x
        CLIENT GETREDIR x
        CLIENT TRACKING
        CLIENT TRACKINGINFO x
        CLIENT CACHING
        CLIENT PAUSE
        CLIENT UNPAUSE x
        CLIENT UNBLOCK
        CLIENT HELP x
        CLIENT HELP
    """,
    "CLIENT INFO and LIST": """
        CLIENT INFO
        CLIENT NO-EVICT on
        CLIENT INFO
        CLIENT NO-EVICT OFF
        CLIENT NO-EVICT foo
        CLIENT SETNAME me
        CLIENT LIST ID {id}
        CLIENT LIST ID {id} {id}
        CLIENT LIST ID {id} 0
        CLIENT LIST ID {id} -3
        CLIENT LIST ID {id} abc
        CLIENT LIST ID {id} 99999999999999999999
        CLIENT LIST ID 99999
        CLIENT LIST ID abc
        CLIENT LIST ID
        CLIENT LIST x
        CLIENT LIST FOO bar
        CLIENT LIST TYPE
        CLIENT LIST TYPE foo
        CLIENT LIST TYPE "f\\noo"
        CLIENT LIST TYPE pubsub
        CLIENT LIST TYPE master
        CLIENT LIST TYPE primary
        CLIENT LIST TYPE replica
        CLIENT LIST TYPE slave
    """,
    "CLIENT LIST filters": """
        CLIENT SETNAME me
        CLIENT LIST NAME me
        CLIENT LIST NAME me NAME other
        CLIENT LIST NAME other NAME me
        CLIENT LIST NAME me NOT-NAME me
        CLIENT LIST NAME ""
        CLIENT LIST NAME
        CLIENT LIST ADDR {addr}
        CLIENT LIST ADDR foo
        CLIENT LIST LADDR foo
        CLIENT LIST ADDR {addr} NOT-ADDR foo NOT-LADDR bar
        CLIENT LIST ADDR {addr} SKIPME no
        CLIENT LIST ADDR {addr} SKIPME yes
        CLIENT LIST ADDR {addr} SKIPME yes SKIPME no
        CLIENT LIST SKIPME foo
        CLIENT LIST ID 99999 ID {id}
        CLIENT LIST ID {id} TYPE normal
        CLIENT LIST ID {id} TYPE
        CLIENT LIST ID {id} SKIPME
        CLIENT LIST ID TYPE normal
        CLIENT LIST TYPE normal ID
        CLIENT LIST NAME me NOT-ID TYPE normal
        CLIENT LIST NOT-ID {id} NAME me
        CLIENT LIST NOT-ID 0
        CLIENT LIST NOT-ID abc
        CLIENT LIST NAME me TYPE pubsub TYPE normal
        CLIENT LIST NAME me TYPE NORMAL
        CLIENT LIST TYPE normal NOT-TYPE normal
        CLIENT LIST NOT-TYPE foo
        CLIENT LIST NAME me NOT-TYPE replica
        CLIENT LIST NAME me FLAGS N
        CLIENT LIST NAME me FLAGS NN
        CLIENT LIST NAME me FLAGS Nb
        CLIENT LIST NAME me FLAGS ""
        CLIENT LIST FLAGS Z
        CLIENT LIST NAME me FLAGS A
        CLIENT LIST NOT-FLAGS ZQ
        CLIENT LIST NAME me NOT-FLAGS N
        CLIENT LIST NAME me NOT-FLAGS NP
        CLIENT LIST NAME me FLAGS Z TYPE foo
        CLIENT LIST USER bob
        CLIENT LIST USER "b\\nob"
        CLIENT LIST NOT-USER bob
        CLIENT LIST USER default NAME me
        CLIENT LIST NOT-USER default
        CLIENT LIST IDLE 0
        CLIENT LIST IDLE -1
        CLIENT LIST IDLE abc
        CLIENT LIST IDLE 1000
        CLIENT LIST NOT-IDLE 1
        CLIENT LIST MAXAGE 0
        CLIENT LIST MAXAGE abc
        CLIENT LIST MAXAGE 9223372036854775807
        CLIENT LIST NOT-MAXAGE 10
        CLIENT LIST MAXAGE 1 MAXAGE abc
        CLIENT LIST LIB-NAME x
        CLIENT LIST LIB-NAME ""
        CLIENT LIST NAME me NOT-LIB-NAME ""
        CLIENT LIST LIB-VER "a b"
        CLIENT LIST DB abc
        CLIENT LIST DB 99999999999
        CLIENT LIST NOT-DB abc
        CLIENT LIST NAME me DB 0
        CLIENT LIST NOT-DB 0
        CLIENT LIST CAPA x
        CLIENT LIST CAPA rx
        CLIENT LIST CAPA redirect
        CLIENT LIST CAPA r
        CLIENT LIST NAME me CAPA ""
        CLIENT LIST NAME me NOT-CAPA r
        CLIENT LIST NOT-CAPA ""
        CLIENT LIST NOT-CAPA x
        CLIENT LIST NAME me IP 127.0.0.1
        CLIENT LIST IP foo
        CLIENT LIST NOT-IP 127.0.0.1
    """,
    "CLIENT KILL nobody": """
        CLIENT KILL a
        CLIENT KILL 1.2.3.4:5
        CLIENT KILL ID
        CLIENT KILL USER
        CLIENT KILL FOO bar
        CLIENT KILL "" x
        CLIENT KILL ID abc
        CLIENT KILL ID ""
        CLIENT KILL ID 0
        CLIENT KILL ID -1
        CLIENT KILL ID {id}
        CLIENT KILL ID 99999
        CLIENT KILL ID 99999 ID 88888
        CLIENT KILL ID 99999 88888
        CLIENT KILL ID 99999999999999999999
        CLIENT KILL ID 99999 ADDR
        CLIENT KILL ID 99999 FOO 1
        CLIENT KILL ADDR x ID
        CLIENT KILL SKIPME YES ID
        CLIENT KILL SKIPME YES FOO
        CLIENT KILL ADDR 1.2.3.4:5
        CLIENT KILL LADDR 1.2.3.4:5
        CLIENT KILL TYPE foo
        CLIENT KILL TYPE pubsub
        CLIENT KILL TYPE master
        CLIENT KILL TYPE primary
        CLIENT KILL TYPE replica USER default
        CLIENT KILL USER bob
        CLIENT KILL USER "b\\x00ob"
        CLIENT KILL SKIPME foo
        CLIENT KILL SKIPME yes ID 99999
        CLIENT KILL SKIPME no ID 99999
        CLIENT KILL NAME nobody
        CLIENT KILL NOT-NAME x NAME y
        CLIENT KILL FLAGS x
    """,
    "CLIENT KILL by address kills me": """
        CLIENT KILL {addr}
    """,
    "CLIENT KILL by id kills me": """
        CLIENT KILL ID {id} ADDR {addr} SKIPME no
    """,
    "tracking that is off": """
        CLIENT TRACKINGINFO
        CLIENT GETREDIR
        CLIENT CACHING yes
        CLIENT CACHING no
        CLIENT TRACKING off
        CLIENT TRACKING off BCAST
        CLIENT TRACKING off FOO
        CLIENT TRACKING off REDIRECT 99999
        CLIENT TRACKING off REDIRECT {id} PREFIX a
        CLIENT TRACKING foo
        CLIENT TRACKING foo PREFIX a
        CLIENT TRACKING on FOO
        CLIENT TRACKING on REDIRECT
        CLIENT TRACKING on REDIRECT abc
        CLIENT TRACKING on REDIRECT 99999
        CLIENT TRACKING on REDIRECT {id} REDIRECT {id}
        CLIENT TRACKING on REDIRECT 99999 FOO
        CLIENT TRACKING on PREFIX
        CLIENT TRACKING on BCAST PREFIX
        CLIENT TRACKING on PREFIX a
        CLIENT TRACKING on BCAST OPTIN
        CLIENT TRACKING on OPTIN OPTOUT
    """,
    "nobody is paused or waits": """
        CLIENT PAUSE abc
        CLIENT PAUSE -1
        CLIENT PAUSE 0 foo
        CLIENT PAUSE 0
        CLIENT PAUSE 1 write
        CLIENT UNPAUSE
        CLIENT PAUSE abc foo
        CLIENT PAUSE 99999999999999999999
        CLIENT UNPAUSE
        CLIENT UNBLOCK abc
        CLIENT UNBLOCK 99999
        CLIENT UNBLOCK {id}
        CLIENT UNBLOCK {id} ERROR
        CLIENT UNBLOCK -1
        CLIENT UNBLOCK 1 foo
        CLIENT UNBLOCK abc foo
        CLIENT UNBLOCK 1 TIMEOUT x
        CLIENT UNBLOCK 1 foo x
    """,
    "CLUSTER": """
        CLUSTER FOO
        CLUSTER KEYSLOT
        CLUSTER KEYSLOT a b
        CLUSTER ADDSLOTS 1
        CLUSTER ADDSLOTS
        CLUSTER ADDSLOTSRANGE 1 2
        CLUSTER ADDSLOTSRANGE 1
        CLUSTER BUMPEPOCH
        CLUSTER CANCELSLOTMIGRATIONS
        CLUSTER COUNT-FAILURE-REPORTS x
        CLUSTER COUNTKEYSINSLOT x
        CLUSTER COUNTKEYSINSLOT
        CLUSTER DELSLOTS 1
        CLUSTER DELSLOTSRANGE 1 2
        CLUSTER FAILOVER
        CLUSTER FAILOVER force x
        CLUSTER FLUSHSLOT 1
        CLUSTER FLUSHSLOTS
        CLUSTER FORGET x
        CLUSTER GETKEYSINSLOT 1 2
        CLUSTER GETKEYSINSLOT 1
        CLUSTER GETSLOTMIGRATIONS
        CLUSTER HELP
        CLUSTER HELP x
        CLUSTER INFO
        CLUSTER Info x
        CLUSTER LINKS
        CLUSTER MEET h 1
        CLUSTER MEET h
        CLUSTER MIGRATESLOTS a b
        CLUSTER MYID
        CLUSTER NODES
        CLUSTER REPLICAS x
        CLUSTER REPLICATE x
        CLUSTER REPLICATE
        CLUSTER RESET
        CLUSTER SAVECONFIG
        CLUSTER SET-CONFIG-EPOCH 1
        CLUSTER SETSLOT 1 STABLE
        CLUSTER SETSLOT 1
        CLUSTER SHARDS
        CLUSTER SHARDS a
        CLUSTER SLAVES x
        CLUSTER SLOT-STATS a
        CLUSTER SLOT-STATS a b
        CLUSTER SLOTS
        CLUSTER SYNCSLOTS x
    """,
    "passed on": """
        COMMAND COUNT
        COMMAND COUNT x
        COMMAND FOO
        COMMAND INFO get nosuchcommand
        COMMAND DOCS get
        COMMAND LIST FILTERBY PATTERN xr*
        COMMAND GETKEYS MSET a 1 b 2
        COMMAND GETKEYS PING
        COMMAND GETKEYSANDFLAGS SET a 1
        COMMAND HELP
        LOLWUT VERSION 5 1 1 1
        LOLWUT VERSION abc
    """,
}

VALKEY_DIALOGUES = {
    "what Redis 7.0 does not know": """
        CLIENT SETINFO
        CLIENT SETINFO LIB-NAME redis-py
        CLIENT SETINFO lib-ver 1.2
        CLIENT SETINFO lib-ver "x y"
        CLIENT SETINFO lib-name "\\xc3\\xbc"
        CLIENT SETINFO LIB-FOO x
        CLIENT SETINFO "lib name" x
        CLIENT NO-TOUCH
        CLIENT NO-TOUCH foo
        CLIENT NO-TOUCH on
        CLIENT NO-EVICT on
        CLIENT CAPA
        CLIENT CAPA foo
        CLIENT CAPA redirect foo
        CLIENT INFO
        RESET
        CLIENT INFO
        CLIENT SETINFO LIB-NAME "a\\x00b"
        CLIENT INFO
        CLIENT LIST ID {id} LIB-VER 1.2 CAPA r
        CLIENT LIST ID {id} CAPA rr
        CLIENT SETINFO LIB-NAME ""
        CLIENT INFO
        CLIENT IMPORT-SOURCE
        CLIENT IMPORT-SOURCE on
        CLIENT IMPORT-SOURCE foo
        CLIENT KILL MAXAGE 0
        CLIENT KILL MAXAGE -1
        CLIENT KILL MAXAGE abc
        CLIENT KILL MAXAGE 100000
        CLUSTER MYSHARDID
        CLUSTER KEYSLOT {user}x
    """,
}

PASSWORDS = {b"default": b"secret", b"bob": b"pw"}
PASSWORD_DIALOGUES = {
    "a stranger": """
        HELLO
        HELLO 3
        HELLO 3 SETNAME x
        HELLO 3 FOO
        HELLO 4
        HELLO abc
        HELLO 3 AUTH default bad
        HELLO 3 AUTH bad
        HELLO 3 SETNAME "a b" AUTH default secret
        AUTH bad
        AUTH default bad
        AUTH nobody x
        AUTH "" x
        AUTH a b c
        RESET
        HELLO 2
        QUIT
    """,
    "logging in and out": """
        AUTH secret
        AUTH bad
        CLIENT SETNAME n1
        HELLO
        RESET
        HELLO
        AUTH bob bad
        AUTH bob pw
        CLIENT GETNAME
        CLIENT INFO
        CLIENT KILL USER BOB
        CLIENT KILL USER default ID 99999
        RESET
        HELLO 2 AUTH bob pw SETNAME zz
        CLIENT GETNAME
        AUTH secret
        CLIENT INFO
    """,
    "HELLO 3 logs in": """
        HELLO 3 AUTH default secret SETNAME zz
        CLIENT GETNAME
        HELLO 3 AUTH bob bad
        CLIENT GETNAME
    """,
}
