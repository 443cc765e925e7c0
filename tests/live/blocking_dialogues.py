"""What two clients say to a standalone server and to the proxy, for test_blocking.py.

One line a step: ``a: words`` asks and compares the reply; ``a> words`` asks and goes on
when the client is seen to wait; ``a<`` compares the reply that was waited for; ``b! words``
is ``b: words``, and the proxy has heard of it before the next step. ``a``, ``b`` and ``c``
are clients. The keys a, b and c lie in three slots of three nodes, and so do streams of
these names; {t}1 and {t}2 share a slot.
"""

from __future__ import annotations

DIALOGUES = {
    "a list in one slot": """
        a> BLPOP a 0
        b: RPUSH a x y
        a<
        a: BLPOP a 0
        a> BRPOP a 0
        b: LPUSH a 1 2 3
        a<
        a: BRPOP {t}1 {t}2 0.01
        b: RPUSH {t}2 z
        a: BRPOP {t}1 {t}2 0.01
    """,
    "lists in several slots": """
        a> BLPOP a b c 0
        b: RPUSH b x
        a<
        b: RPUSH c 1 2
        b: RPUSH b 3
        a: BLPOP a b c 0
        a: BRPOP a b c 0
        a: BLPOP a b c 0
        a: BLPOP a b c 0.01
        a> BRPOP c b a 0
        b: LPUSH a ""
        a<
        a: BLPOP a b a 0.01
        b: RPUSH a x
        a: BLPOP b b a a 0.01
    """,
    "who waits longest is served first": """
        a> BLPOP a b 0
        b> BLPOP b c 0
        c: RPUSH b x
        a<
        c: RPUSH b y
        b<
        a> BLPOP a b c 0
        b> BLPOP c b a 0
        c: RPUSH c 1 2
        a<
        b<
    """,
    "who waits longest is served first in one slot": """
        a> BLPOP a 0
        b> BLPOP a 0
        c: RPUSH a x y
        a<
        b<
    """,
    "sorted sets": """
        a> BZPOPMIN a 0
        b: ZADD a 1.5 m 2 n
        a<
        a> BZPOPMAX b c 0
        b: ZADD c -inf m 3.25 n
        a<
        a: BZPOPMIN b c 0
        a: BZPOPMIN b c 0.01
        b: ZADD b 1 x
        b: ZADD c 0 y
        a: BZPOPMAX c b 0
        a: BZPOPMIN a b 0
        a: BZPOPMIN a b 0
    """,
    "many at a time": """
        a> BLMPOP 0 2 a b LEFT COUNT 2
        b: RPUSH b 1 2 3
        a<
        a: BLMPOP 0 2 a b right
        a> BZMPOP 0 3 a b c MAX COUNT 5
        b: ZADD c 1 x 2.5 y
        a<
        a: BLMPOP 0.01 3 a b c LEFT
        a: BZMPOP 0.01 1 a MIN
        b: RPUSH a p q
        a: BLMPOP 1 1 a RIGHT COUNT 10
        b: ZADD b 1 x 2.5 y
        a: BZMPOP 1 2 b a MIN COUNT 10
    """,
    "moves in one slot": """
        a> BLMOVE {t}1 {t}2 LEFT RIGHT 0
        b: RPUSH {t}1 x y
        a<
        b: LRANGE {t}2 0 -1
        a: BRPOPLPUSH {t}1 {t}2 0
        b: LRANGE {t}2 0 -1
        a: BLMOVE {t}1 {t}2 LEFT RIGHT 0.01
        a: BRPOPLPUSH {t}1 {t}2 0.01
        a: BLMOVE {t}1 {t}2 UP RIGHT 0.01
        b: SET {t}3 x
        a> BLMOVE {t}1 {t}3 LEFT LEFT 0
        b: RPUSH {t}1 x
        a<
        b: LRANGE {t}1 0 -1
    """,
    "wrong types": """
        b: SET a x
        a: BLPOP a 0
        a: BLPOP a b 0
        a: BLPOP b a 0
        b: RPUSH b 1
        a: BLPOP b a 0
        a: BZPOPMIN c a 0
        a: BLMPOP 0 2 c a LEFT
        a: BZMPOP 0 2 c a MAX
        b: DEL a
        a> BLPOP a b 0
        b! SET a x
        b: ZADD c 1 x
        b: RPUSH b 1
        a<
        a: BLPOP c a b 0
        b: DEL a b c
        a> BLPOP c a b 0
        b! SET c x
        b: RPUSH a 7
        a<
    """,
    "timeouts that no server takes": """
        a: BLPOP a b c abc
        a: BLPOP a abc
        a: BLPOP a b -1
        a: BLPOP a b nan
        a: BLPOP a b 1e500
        a: BLPOP a b ""
        a: BLPOP a b 0x0.1
        a: BRPOP a b 1e-2
        a: BZPOPMIN a b x
        a: BZPOPMAX a b -0.5
        a: BLMPOP x 2 a b LEFT
        a: BLMPOP -1 2 a b LEFT
        a: BZMPOP x 2 a b MIN
        a: BLMOVE {t}a {t}b LEFT LEFT x
        a: BRPOPLPUSH {t}a {t}b -1
    """,
    "other arguments that no server takes": """
        a: BLPOP a
        a: BLPOP
        a: BLMPOP 0.01 0 a LEFT
        a: BLMPOP 0.01 2 a LEFT
        a: BLMPOP 0.01 x a LEFT
        a: BLMPOP 0.01 -1 a LEFT
        a: BLMPOP 0.01 2 a b MIDDLE
        a: BLMPOP 0.01 2 a b LEFT COUNT 0
        a: BLMPOP 0.01 2 a b LEFT COUNT -5
        a: BLMPOP 0.01 2 a b LEFT COUNT x
        a: BLMPOP 0.01 2 a b LEFT COUNT
        a: BLMPOP 0.01 2 a b LEFT COUNT 1 COUNT 2
        a: BLMPOP 0.01 2 a b LEFT FOO 1
        a: BZMPOP 0.01 2 a b LEFT
        a: BZMPOP 0.01 2 a b MIN COUNT 0
        a: XREAD BLOCK x STREAMS a b $ $
        a: XREAD BLOCK -1 STREAMS a b $ $
        a: XREAD BLOCK 1.5 STREAMS a $
        a: XREAD BLOCK 10 STREAMS a b $
        a: XREAD BLOCK 10 STREAMS a b x y
        a: XREAD BLOCK 10 STREAMS a b > >
        a: XREAD BLOCK 10 COUNT x STREAMS a b 0 0
        a: XREAD BLOCK 10 FOO STREAMS a b 0 0
        a: XREAD BLOCK
        a: XREADGROUP BLOCK 10 STREAMS a b > >
        a: XREADGROUP GROUP g c BLOCK 10 STREAMS a b > >
        a: XREADGROUP GROUP g c BLOCK 10 STREAMS a >
    """,
    "streams": """
        a> XREAD BLOCK 0 STREAMS a $
        b: XADD a 1-1 f v
        a<
        a: XREAD BLOCK 10 STREAMS a $
        a: XREAD BLOCK 10 STREAMS a 0
        a> XREAD COUNT 5 BLOCK 0 STREAMS a b c $ $ $
        b: XADD c 1-1 f v
        a<
        a: XREAD BLOCK 0 STREAMS a b c 0 0 0
        a: XREAD BLOCK 0 COUNT 1 STREAMS c b a 0 $ 0
        a: XREAD BLOCK 10 STREAMS a b c $ $ $
        a> XREAD BLOCK 0 STREAMS a b 1-1 0
        b: XADD a 2-1 f v
        a<
        b: SET s x
        a: XREAD BLOCK 10 STREAMS a s $ $
        a: XREAD BLOCK 10 STREAMS s a 0 0
    """,
    "groups": """
        b: XGROUP CREATE a g $ MKSTREAM
        a: XREADGROUP GROUP g c BLOCK 10 STREAMS a b > >
        b: XGROUP CREATE b g $ MKSTREAM
        a: XREADGROUP GROUP g c BLOCK 10 STREAMS a b > >
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS a b > >
        b: XADD b 1-1 f v
        a<
        b: XPENDING b g
        b: XADD a 1-1 f v
        b: XADD b 2-1 f v
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS b a > >
        a: XREADGROUP GROUP g c BLOCK 0 STREAMS a b 0 0
        a: XREADGROUP GROUP g c NOACK BLOCK 10 STREAMS a b > >
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS a >
        b: XADD a 3-1 f v
        a<
        a> XREADGROUP GROUP g c BLOCK 0 STREAMS a b > >
        b: DEL a
        a<
        b: SET s x
        a: XREADGROUP GROUP g c BLOCK 10 STREAMS b s > >
    """,
    "a group with an unlucky name": """
        b: XGROUP CREATE a BLOCK $ MKSTREAM
        b: XADD a 1-1 f v
        a: XREADGROUP GROUP BLOCK BLOCK STREAMS a >
        a> XREADGROUP GROUP BLOCK BLOCK BLOCK 0 STREAMS a >
        b: XADD a 2-1 f v
        a<
    """,
    "what follows waits": """
        a> BLPOP a b 0
        b: SET k 1
        b: RPUSH a x
        a<
        a: GET k
        a: BLPOP a b 0.01
        a: PING
    """,
    "inside MULTI nothing blocks": """
        a: MULTI
        a: BLPOP {t}1 0
        a: BLMOVE {t}1 {t}2 LEFT LEFT 0
        a: XREAD BLOCK 0 STREAMS {t}3 $
        a: EXEC
    """,
    "waiting for replicas": """
        a: WAIT x 10
        a: WAIT 1 -1
        a: WAIT 1 x
        a: WAIT 1
        a: WAIT 9223372036854775808 10
    """,
}
