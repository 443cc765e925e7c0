"""The requests of the generated dialogues, as lines of ``grammar.py``.

Every line has the same outcome on any server with the same data. What is left to
chance there stands in ``tolerances.py``; what would *change* data by chance is not
here (SPOP without a count, ``XADD key *``), nor what is a race (GT and LT with a
time relative to now).
"""

from __future__ import annotations

OPENING = """
    SET TAG:string1 hello
    SET TAG:string2 ohmytext EX 50000
    SET TAG:number1 10
    SET TAG:short1 ohmytext
    SET TAG:short2 mynewtext
    SETBIT TAG:bits1 7 1
    PFADD TAG:hll1 m1 m2 m3
    HSET TAG:hash1 f1 v f2 1 12 0
    RPUSH TAG:list1 v 1 0 3 1
    SADD TAG:set1 m1 m2 m3 7
    SADD TAG:set2 7 -8
    ZADD TAG:zset1 1 m1 2 m2 2 m3 3 7
    ZADD TAG:zset2 -1 m1 inf m4
    ZADD TAG:lex1 0 m1 0 m2 0 m3 0 7
    GEOADD TAG:geo1 13.361389 38.115556 m1 15.087269 37.502669 m2
    XADD TAG:stream1 1-1 f1 v
    XADD TAG:stream1 1-2 f1 v f2 1
    XADD TAG:stream1 2-0 12 0
    XGROUP CREATE TAG:stream1 g1 0
    XREADGROUP GROUP g1 c1 COUNT 2 STREAMS TAG:stream1 >
"""
"""Something for one key of each kind, so that not every request meets nothing."""

EXPIRY = "EX seconds|PX milliseconds|EXAT times|PXAT timems"

FAMILIES: dict[str, str] = {
    "strings": f"""
        GET string
        SET string value [NX|XX] [GET] [{EXPIRY}|KEEPTTL]
        SET string value IFEQ value
        SET oddkey value
        GET oddkey
        SETNX string value
        SETEX string seconds value
        PSETEX string milliseconds value
        GETSET string value
        GETDEL string
        GETEX string [{EXPIRY}|PERSIST]
        APPEND string value
        STRLEN string
        GETRANGE string index index
        SUBSTR string index index
        SETRANGE string offset shortvalue
        SET number integer
        INCR number
        DECR number
        INCRBY number integer
        DECRBY number integer
        INCRBYFLOAT number float
        MGET string+
        MSETNX (string value)+
        DELIFEQ string value
        SET short shortvalue
        LCS short short [LEN|IDX] [MINMATCHLEN small] [WITHMATCHLEN]
    """,
    "bits": """
        SETBIT bits offset bit
        SET bits value
        GETBIT bits offset
        BITCOUNT bits [index index [BYTE|BIT]]
        BITPOS bits bit [index [index [BYTE|BIT]]]
        BITOP (AND|OR|XOR) bits bits+
        BITOP NOT bits bits
        BITFIELD bits (GET bittype bitoffset|SET bittype bitoffset integer|OVERFLOW (WRAP|SAT|FAIL) INCRBY bittype bitoffset integer)+
        BITFIELD_RO bits (GET bittype bitoffset)+
        PFADD hll member+
        PFCOUNT hll+
        PFMERGE hll hll+
        GET hll
    """,  # noqa: E501 - one line is one command
    "hashes": """
        HSET hash (field value)+
        HMSET hash (field value)+
        HSETNX hash field value
        HGET hash field
        HMGET hash field+
        HGETALL hash
        HKEYS hash
        HVALS hash
        HLEN hash
        HSTRLEN hash field
        HEXISTS hash field
        HDEL hash field+
        HINCRBY hash field integer
        HINCRBYFLOAT hash field float
        HRANDFIELD hash [all [WITHVALUES]]
        HSCAN hash 0 [MATCH pattern] COUNT all
        HEXPIRE hash seconds [NX|XX] FIELDS 2 field field
        HPEXPIREAT hash timems FIELDS 1 field
        HTTL hash FIELDS 1 field
        HEXPIRETIME hash FIELDS 1 field
        HPERSIST hash FIELDS 1 field
        HGETEX hash EX seconds FIELDS 1 field
        HSETEX hash [FNX|FXX] EXAT times FIELDS 1 field value
    """,
    "lists": """
        LPUSH list value+
        RPUSH list value+
        LPUSHX list value
        RPUSHX list value+
        LPOP list [small]
        RPOP list [small]
        LLEN list
        LRANGE list index index
        LINDEX list index
        LSET list index value
        LINSERT list (BEFORE|AFTER) value value
        LREM list index value
        LTRIM list index index
        LPOS list value [RANK index] [COUNT small] [MAXLEN small]
        LMOVE list list (LEFT|RIGHT) (LEFT|RIGHT)
        RPOPLPUSH list list
        LMPOP 2 list list (LEFT|RIGHT) [COUNT small]
        SORT list [LIMIT index small] [ASC|DESC] [ALPHA] [STORE list]
        SORT_RO list BY NOSORT
    """,
    "sets": """
        SADD set member+
        SREM set member+
        SISMEMBER set member
        SMISMEMBER set member+
        SMEMBERS set
        SCARD set
        SMOVE set set member
        SINTER set+
        SUNION set+
        SDIFF set+
        SINTERSTORE set set+
        SUNIONSTORE set set+
        SDIFFSTORE set set+
        SINTERCARD 2 set set [LIMIT small]
        SPOP set all
        SRANDMEMBER set [all]
        SSCAN set 0 [MATCH pattern] COUNT all
        SORT set ALPHA [DESC] [STORE list]
    """,
    "sorted sets": """
        ZADD zset [NX|XX] [GT|LT] [CH] [INCR] (score member)+
        ZADD zset (score member)+
        ZINCRBY zset score member
        ZSCORE zset member
        ZMSCORE zset member+
        ZCARD zset
        ZCOUNT zset bound bound
        ZLEXCOUNT lex lexbound lexbound
        ZRANK zset member [WITHSCORE]
        ZREVRANK zset member
        ZRANGE zset index index [REV] [WITHSCORES]
        ZRANGE zset bound bound BYSCORE [REV] [LIMIT small index] [WITHSCORES]
        ZADD lex (0 member)+
        ZRANGE lex lexbound lexbound BYLEX [LIMIT small index]
        ZRANGESTORE zset zset index index
        ZREVRANGE zset index index [WITHSCORES]
        ZRANGEBYSCORE zset bound bound [WITHSCORES]
        ZREVRANGEBYLEX lex lexbound lexbound
        ZREM zset member+
        ZREMRANGEBYRANK zset index index
        ZREMRANGEBYSCORE zset bound bound
        ZREMRANGEBYLEX lex lexbound lexbound
        ZPOPMIN zset [small]
        ZPOPMAX zset [small]
        ZMPOP 2 zset zset (MIN|MAX) [COUNT small]
        ZUNION 2 zset zset [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
        ZINTER 2 zset set [WITHSCORES]
        ZDIFF 2 zset zset [WITHSCORES]
        ZUNIONSTORE zset 2 zset set [AGGREGATE (SUM|MIN|MAX)]
        ZINTERSTORE zset 1 zset
        ZDIFFSTORE zset 2 zset zset
        ZINTERCARD 2 zset zset [LIMIT small]
        ZRANDMEMBER zset [all [WITHSCORES]]
        ZSCAN zset 0 [MATCH pattern] COUNT all
    """,
    "geo": """
        GEOADD geo [NX|XX] [CH] (longitude latitude member)+
        GEOADD geo (longitude latitude member)+
        GEOPOS geo member+
        GEODIST geo member member [unit]
        GEOHASH geo member+
        GEOSEARCH geo FROMLONLAT longitude latitude BYRADIUS radius unit [ASC|DESC] [COUNT small [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
        GEOSEARCH geo FROMMEMBER member BYBOX radius radius unit ASC
        GEOSEARCHSTORE geo geo FROMMEMBER member BYRADIUS radius unit [STOREDIST]
        GEORADIUS geo longitude latitude radius unit [WITHDIST|STORE geo|STOREDIST zset]
        GEORADIUS_RO geo longitude latitude radius unit ASC
        GEORADIUSBYMEMBER geo member radius unit [STORE geo]
        GEORADIUSBYMEMBER_RO geo member radius unit WITHCOORD
    """,  # noqa: E501
    "streams": """
        XADD stream [NOMKSTREAM] [MAXLEN small] id (field value)+
        XADD stream id (field value)+
        XLEN stream
        XRANGE stream from to [COUNT small]
        XREVRANGE stream to from [COUNT small]
        XDEL stream id+
        XTRIM stream (MAXLEN|MINID) small
        XREAD [COUNT small] STREAMS stream id
        XREAD STREAMS stream stream id id
        XGROUP CREATE stream group (0|$|id) [MKSTREAM]
        XGROUP CREATE stream group 0 MKSTREAM
        XGROUP SETID stream group id [ENTRIESREAD small]
        XGROUP DESTROY stream group
        XGROUP CREATECONSUMER stream group consumer
        XGROUP DELCONSUMER stream group consumer
        XREADGROUP GROUP group consumer [COUNT small] [NOACK] STREAMS stream (>|0|id)
        XACK stream group id+
        XPENDING stream group [from to small [consumer]]
        XPENDING stream group IDLE 0 from to small
        XCLAIM stream group consumer 0 id+ [FORCE] [JUSTID]
        XAUTOCLAIM stream group consumer 0 from [COUNT small] [JUSTID]
        XINFO STREAM stream [FULL [COUNT small]]
        XINFO GROUPS stream
        XINFO CONSUMERS stream group
        XINFO HELP
        XSETID stream id
    """,
    "keys": """
        SET string value
        DEL key+
        UNLINK key+
        EXISTS key+
        TOUCH key+
        TYPE key
        RENAME key key
        RENAMENX key key
        COPY key key [DB 0] [REPLACE]
        MOVE key small
        EXPIRE key seconds [NX|XX]
        PEXPIRE key milliseconds [NX|XX]
        EXPIREAT key times [NX|XX|GT|LT]
        PEXPIREAT key timems
        TTL key
        PTTL key
        EXPIRETIME key
        PEXPIRETIME key
        PERSIST key
        OBJECT ENCODING key
        OBJECT REFCOUNT key
        OBJECT IDLETIME key
        OBJECT FREQ key
        OBJECT HELP
        MEMORY USAGE key [SAMPLES small]
        DUMP key
        RESTORE key 0 value [REPLACE]
        SORT key ALPHA
    """,
    "many slots": """
        MSET (anykey value)+
        MSET (anykey value)+ (anykey value)+
        MGET anykey+
        MGET anykey+ anykey+ anykey+
        DEL anykey+
        UNLINK anykey+
        EXISTS anykey+
        TOUCH anykey+
        MSETEX 2 anykey value anykey value [NX|XX] [EX seconds]
        SADD anykey member+
        RENAME anykey anykey
        DBSIZE
        KEYS pattern
        FLUSHALL [ASYNC|SYNC]
        FLUSHDB [ASYNC|SYNC]
    """,
    "scripts": """
        EVAL script 0 value+
        EVAL script 1 string value
        EVAL script 2 string hash value+
        EVAL script 1 hash
        EVAL_RO script 1 string
        EVAL script small anykey anykey
        SCRIPT LOAD stored
        EVAL stored 0 value
        EVAL stored 1 string
        EVALSHA sha 0 value
        EVALSHA sha 1 string
        EVALSHA_RO sha 1 string
        SCRIPT EXISTS sha+
        SCRIPT FLUSH [ASYNC|SYNC]
        SCRIPT HELP
        FUNCTION LOAD [REPLACE] library
        FCALL function 1 string value
        FCALL function 0 value
        FCALL_RO function 1 string
        FUNCTION LIST [LIBRARYNAME libname] [WITHCODE]
        FUNCTION DELETE libname
        FUNCTION FLUSH
        FUNCTION STATS
        FUNCTION HELP
    """,
    "connection": """
        PING [message]
        ECHO message
        SELECT small
        HELLO resp [SETNAME name]
        HELLO
        CLIENT SETNAME name
        CLIENT GETNAME
        CLIENT ID
        CLIENT NO-EVICT (ON|OFF)
        CLIENT NOSUCH
        RESET
        AUTH value
        DISCARD
        EXEC
        UNWATCH
        COMMAND COUNT
        COMMAND INFO command+
        COMMAND GETKEYS (GET key|MSET key value key value|EVAL script small key key|PING)
        COMMAND NOSUCH
        TIME
        CONFIG GET parameter+
        CONFIG NOSUCH
        OBJECT NOSUCH key
        XGROUP NOSUCH
        PUBLISH message message
        PUBSUB (CHANNELS [pattern]|NUMSUB message+|NUMPAT)
        ACL WHOAMI
        LASTSAVE
        NOSUCH value+
        GET
        SET string
        STRLEN string string
    """,
}
