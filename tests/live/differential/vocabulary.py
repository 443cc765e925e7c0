"""The words requests are made of: a small pool of keys, so that types collide, and odd values.

Strategy: keys of one request share a hash tag, or all requests with two keys
would be refused; the three tags live on three different shards. A key's name says
what it usually holds; one time in eight it is another one.
"""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proxy.cluster.slots import SLOT_COUNT, key_slot

TAGS = (b"{a}", b"{b}", b"{c}")
assert len({3 * key_slot(tag) // SLOT_COUNT for tag in TAGS}) == 3

KINDS = ("string", "number", "bits", "hll", "hash", "list", "set", "zset", "geo", "stream")
ODD_KEYS = (b"", b"\r\n", b"\x00{a}\xff", b"{}x", b"{a", b"a}{b}", b" ", b"-1", 300 * b"k")

# 44/45: the longest embstr; 64/65: the longest value of a listpack; 70 KB: several reads.
VALUES = (
    *(b"v", b"", b"0", b"1", b"-17", b"3.25", b"hello world", b"\r\n", b"+OK\r\n$3\r\n", b"a\x00b"),
    *(b"\xff\xfe\x80", 44 * b"e", 45 * b"e", 64 * b"l", 65 * b"l", b"1" * 20, 70_000 * b"\xa5x"),
)
SHORT_VALUES = (b"ohmytext", b"mynewtext", b"", b"aaaa", b"\x00\r\n\xff")
MEMBERS = (b"m1", b"m2", b"m3", b"m4", b"7", b"-8", b"", b"\r\n\x00", 65 * b"m")
FIELDS = (b"f1", b"f2", b"f3", b"12", b"", b"\xff\r\n")

# Far enough away that no test sees them pass, and apart from each other.
SECONDS = (b"1000", b"50000", b"4000000")
PAST_OR_FUTURE_S = (b"4102444800", b"4102444801", b"1")
SCRIPTS = {
    b"return ARGV": b"plain arguments",
    b"return {KEYS, ARGV, 3.9, true, false}": b"RESP2's types",
    b"return redis.call('SET', KEYS[1], ARGV[1])": b"a write",
    b"return redis.pcall('GET', KEYS[1])": b"WRONGTYPE as a value",
    b"return redis.call('GET', KEYS[1])": b"WRONGTYPE as the script's own",
    b"redis.setresp(3); return redis.call('HGETALL', KEYS[1])": b"a map",
    b"return {double=3.5}": b"RESP3's double",
    b"return {err='MY error'}": b"an error",
    b"return redis.error_reply('TWO\\r\\nlines')": b"an error with a line end",
    b"return {ok='FINE'}": b"a status",
    b"return nope(": b"does not compile",
    b"error('thrown')": b"throws",
}
STORED_SCRIPTS = (b"return {1, ARGV, #KEYS}", b"return redis.call('APPEND', KEYS[1], 'x')")
"""What EVALSHA and SCRIPT EXISTS name."""
STORED_SHAS = tuple(hashlib.sha1(script).hexdigest().encode() for script in STORED_SCRIPTS)
LIBRARY = b"""#!lua name=lib
redis.register_function('echo', function(keys, args) return {keys, args} end)
redis.register_function{
  function_name='get', callback=function(keys) return redis.call('GET', keys[1]) end,
  flags={'no-writes'}}
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
"""

ODD_WORDS = (
    *(b"", b"0", b"-1", b"abc", b"1.5", b" 1", b"01", b"+1", b"nan", b"inf", b"-inf", b"1e400"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"\xff\r\n\x00"),
    *(b"NX", b"COUNT", b"LIMIT", b"WITHSCORES", b"STORE"),
)
"""What a request is spoiled with. Nothing that would make a server work for long."""


def pick(*words: bytes) -> SearchStrategy[bytes]:
    """Return a generator of one of these words; it shrinks to the first."""
    return st.sampled_from(words)


def keys_of(tag: bytes) -> dict[str, SearchStrategy[bytes]]:
    """Return the terminals for keys that share a tag: one for each kind, and ``key`` for any."""
    named = {kind: [tag + kind.encode() + number for number in (b"1", b"2")] for kind in KINDS}
    everything = [key for keys in named.values() for key in keys]
    # Seven times a key of the kind, once any.
    terminals = {
        kind: st.sampled_from([*keys, keys[0], *keys, keys[0], keys[0], None]).flatmap(
            lambda key: st.just(key) if key is not None else st.sampled_from(everything)
        )
        for kind, keys in named.items()
    }
    terminals["key"] = st.sampled_from(everything)
    # LCS costs the product of two lengths, so these never hold anything long. What
    # BYLEX finds among different scores is chance, so these have only one.
    for kind in ("short", "lex"):
        terminals[kind] = pick(tag + kind.encode() + b"1", tag + kind.encode() + b"2")
    return terminals


WORDS: dict[str, SearchStrategy[bytes]] = {
    "anykey": st.sampled_from(
        [tag + kind.encode() + b"1" for tag in TAGS for kind in KINDS]
        + [b"k%d" % number for number in range(12)]
        + list(ODD_KEYS)
    ),
    "oddkey": pick(*ODD_KEYS),
    "value": pick(*VALUES),
    "shortvalue": pick(*SHORT_VALUES),
    "member": pick(*MEMBERS),
    "field": pick(*FIELDS),
    "integer": pick(b"1", b"-2", b"10", b"0", b"9223372036854775807", b"-9223372036854775808"),
    "float": pick(b"1.5", b"-2.25", b"0.1", b"3e5", b"1e-10", b"inf", b"7"),
    "score": pick(b"1", b"2", b"-3.5", b"0.1", b"inf", b"-inf", b"1e20", b"2"),
    "bound": pick(b"-inf", b"+inf", b"1", b"(1", b"2", b"(2", b"-3.5"),
    "lexbound": pick(b"-", b"[m", b"(m2", b"[m3", b"+", b"["),
    "index": pick(b"0", b"-1", b"1", b"2", b"-3", b"100"),
    "small": pick(b"1", b"2", b"0", b"3"),
    "offset": pick(b"0", b"1", b"7", b"100", b"-1"),
    "bit": pick(b"1", b"0"),
    "bittype": pick(b"u8", b"i8", b"u4", b"i63", b"u63", b"u64", b"i5"),
    "bitoffset": pick(b"0", b"#1", b"3", b"100", b"#7"),
    "longitude": pick(b"13.361389", b"15.087269", b"0", b"-180", b"181"),
    "latitude": pick(b"38.115556", b"37.502669", b"0", b"85", b"86"),
    "radius": pick(b"200", b"1", b"100000", b"0", b"-1"),
    "unit": pick(b"km", b"m", b"mi", b"ft", b"parsec"),
    "id": pick(b"5-1", b"1-1", b"1-2", b"2-0", b"7", b"9-*", b"0-0"),
    "from": pick(b"-", b"0", b"1-1", b"(1-1", b"2"),
    "to": pick(b"+", b"2", b"5-1", b"(5-1", b"9"),
    "group": pick(b"g1", b"g2"),
    "consumer": pick(b"c1", b"c2"),
    "seconds": pick(*SECONDS),
    "milliseconds": pick(*(seconds + b"000" for seconds in SECONDS)),
    "times": pick(*PAST_OR_FUTURE_S),
    "timems": pick(*(seconds + b"000" for seconds in PAST_OR_FUTURE_S)),
    "all": st.just(b"1000"),
    "pattern": pick(b"*", b"{a}*", b"*1", b"m*", b"[^f]*", b"h?llo", b"\\*", b"", b"{a}string1"),
    "script": st.sampled_from(list(SCRIPTS)),
    "stored": pick(*STORED_SCRIPTS),
    "sha": pick(*STORED_SHAS, b"0" * 40, b"nosha"),
    "library": pick(LIBRARY, b"no library", b"#!lua name=broken\nnope("),
    "function": pick(b"echo", b"get", b"put", b"nope"),
    "parameter": pick(b"maxmemory", b"maxmemory-*", b"*-max-listpack-*", b"nosuch"),
    "name": pick(b"me", b"", b"with blank", b"\xff"),
    "message": pick(b"hi", b"", b"\r\n"),
    "resp": pick(b"3", b"2", b"4", b"abc"),
    "command": pick(b"get", b"MSET", b"xread", b"nosuch", b"config", b"config|get"),
    "libname": pick(b"lib", b"*", b"x"),
}


def terminals_of(tag: bytes) -> dict[str, SearchStrategy[bytes]]:
    """Return all terminals for requests whose keys share a tag."""
    return {**WORDS, **keys_of(tag)}
