"""Scripts over pinned keys see the world as on a standalone server: shown names only.

Why: scripts put names together. BullMQ gives its scripts ``bull:q:`` as an argument and
has them make ``bull:q:1`` of it, which no key spec tells of.

Strategy: a script whose keys are pinned gets some Lua before its own text, on the same
line so that no line changes its number. It shows the names in KEYS, and puts functions
in the place of ``redis.call`` and ``redis.pcall`` that store the keys of a command and
show the names in its reply. Where keys stand is the command table's word here too: it is
written into that Lua, except for the many commands whose one key comes first.

A script is sent as EVAL even if the client said EVALSHA, because a server knows it by
another SHA1 than the client. So whether it is known is for the book of scripts to say.

What shows: an error tells line 1 and the SHA1 is put right; functions (FCALL) are not
changed, they see stored names; SORT's BY and GET are not looked into inside a script.

Cost: about 6 KB more to send and hash for each call, and in the script about 2 us a
``redis.call``; only where keys are pinned.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from proxy.commands.pins import PinTable
from proxy.commands.spec import CommandSpec, KeySpec
from proxy.dataplane.tables import CommandTable

RUNNING = frozenset({b"eval", b"eval_ro", b"evalsha", b"evalsha_ro"})
"""The commands that run a script."""

BY_SHA = {b"evalsha": b"EVAL", b"evalsha_ro": b"EVAL_RO"}

# No script has it: the server will say NOSCRIPT, and the client bring the script.
UNKNOWN_SHA = b"0" * 40

# Wrapped scripts kept ready; an application has a few dozens.
KEPT = 256

_SHA_IN_ERROR = re.compile(rb"script: ([0-9a-f]{40})")

_PRELUDE = rb"""
local redis,KEYS=(function(R,K)
local P,S,N={%(pins)s},"%(specs)s","%(names)s"
local find,low,match,sub=string.find,string.lower,string.match,string.sub
local function pin(k)
for i=1,#P do if sub(k,1,#P[i][1])==P[i][1] then return P[i][2] end end
end
local function store(k)
local n=type(k)=="number" and string.format("%%.17g",k) or k
local m=type(n)=="string" and pin(n)
return m and m..n or k
end
local function show(k)
local m=type(k)=="string" and match(k,"^{[^}]*}")
local r=m and sub(k,#m+1)
return m and pin(r)==m and r or k
end
local function look(t,c)
local _,e=find(t," "..c.."=",1,true)
return e and match(t,"^%%S*",e+1)
end
local function fix(a,n,specs)
for k,one in string.gmatch(specs,"(%%a)([^;]+)") do
local f={}
for w in string.gmatch(one,"[^,]+") do f[#f+1]=tonumber(w) or w end
local first,last,step=f[1],f[2],f[3]
if k=="w" then
local at,by=f[5],1
if at<0 then at,by=n+at,-1 end
first=nil
while at>=1 and at<n do
if string.upper(tostring(a[at+1]))==f[1] then first=at+1 break end
at=at+by
end
end
if first then
if k=="n" then
last=(tonumber(a[first+last+1]) or 0)-1
first=first+step
step=f[4]
last=first+last*step
elseif last>=0 then last=first+last
elseif f[4]<=1 then last=n+last
else last=first+math.floor((n-first)/f[4])+last end
for i=first,math.min(last,n-1),step do a[i+1]=store(a[i+1]) end
end
end
end
local function each(r) for i=1,#r do r[i]=show(r[i]) end return r end
local function tell(how,r)
if how=="i" then return show(r) end
if type(r)~="table" or r.err or r.ok then return r end
if how=="e" then return each(r) end
if how=="p" then each(r[2]) return r end
if how=="f" then r[1]=show(r[1]) return r end
if r.map then local m={} for k,v in pairs(r.map) do m[show(k)]=v end r.map=m end
for i=1,#r do r[i][1]=show(r[i][1]) end
return r
end
local function run(f,...)
local a,n={...},select("#",...)
if n<2 or type(a[1])~="string" then return f(...) end
local c=low(a[1])
local s=look(S,c)
if s=="|" then c=c.."|"..low(tostring(a[2])) s=look(S,c) or "-" end
if not s then a[2]=store(a[2]) elseif s~="-" then fix(a,n,s) end
local how,r=look(N,c),f(unpack(a,1,n))
return how and tell(how,r) or r
end
local L={} for i=1,#K do L[i]=show(K[i]) end
return setmetatable({call=function(...) return run(R.call,...) end,
pcall=function(...) return run(R.pcall,...) end},{__index=R}),L
end)(redis,KEYS);%(alias)s """

_NAMES = {
    b"i": (b"randomkey",),
    b"e": (b"keys",),
    b"p": (b"scan",),
    b"f": (
        *(b"blpop", b"brpop", b"bzpopmin", b"bzpopmax"),
        *(b"lmpop", b"blmpop", b"zmpop", b"bzmpop"),
    ),
    b"s": (b"xread", b"xreadgroup"),
}
"""Replies that name keys: it is one, each is, a page of SCAN, the first is, streams."""

# Their patterns are taken for keys here: one that begins with a prefix gets the tag.
_PATTERNS = {b"keys": b"", b"scan": b"wMATCH,0,1,0,2"}


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A script as it is sent."""

    body: bytes
    sha: bytes
    """Of ``body``, as the server names it in errors."""
    plain_sha: bytes
    """As the client knows it."""


class ScriptWrapper:
    """Puts the Lua before scripts, and keeps what it has made.

    Args:
        pins: The pins in use.
        commands: Returns the command table in use.
        is_valkey: Returns whether scripts may say ``server`` for ``redis``.
    """

    def __init__(
        self,
        pins: PinTable,
        commands: Callable[[], CommandTable],
        is_valkey: Callable[[], bool],
    ) -> None:
        self._pins = pins
        self._commands = commands
        self._is_valkey = is_valkey
        self._made_for: CommandTable | None = None
        self._prelude = b""
        self._kept: OrderedDict[bytes, Wrapped] = OrderedDict()
        self._plain_sha_of: dict[bytes, bytes] = {}

    def wrap(self, body: bytes) -> Wrapped:
        """Return the script to send in the place of ``body``."""
        if self._commands() is not self._made_for:
            self._made_for = self._commands()
            self._prelude = _prelude(self._pins, self._made_for, is_valkey=self._is_valkey())
            self._kept.clear()
            self._plain_sha_of.clear()
        found = self._kept.get(body)
        if found is not None:
            self._kept.move_to_end(body)
            return found
        # "#!lua flags=..." is a line for the server and no Lua.
        end = body.find(b"\n") + 1 if body.startswith(b"#!") else 0
        text = body[:end] + self._prelude + body[end:]
        wrapped = Wrapped(text, _sha(text), _sha(body))
        self._kept[body] = wrapped
        self._plain_sha_of[wrapped.sha] = wrapped.plain_sha
        if len(self._kept) > KEPT:
            _, oldest = self._kept.popitem(last=False)
            del self._plain_sha_of[oldest.sha]
        return wrapped

    def show_sha(self, reply: bytes) -> bytes:
        """Return an error with the SHA1 by which the client knows its script."""
        return _SHA_IN_ERROR.sub(
            lambda found: b"script: " + self._plain_sha_of.get(found[1], found[1]), reply
        )


def _sha(text: bytes) -> bytes:
    return hashlib.sha1(text).hexdigest().encode()


def _prelude(pins: PinTable, commands: CommandTable, *, is_valkey: bool) -> bytes:
    names = b"".join(b"%b=%b " % (name, how) for how, all_ in _NAMES.items() for name in all_)
    text = _PRELUDE.strip() % {
        b"pins": b",".join(
            b"{%b,%b}" % (_quote(pin.prefix), _quote(pin.mark)) for pin in pins.pins
        ),
        b"specs": b" " + b" ".join(sorted(_described(commands))) + b" ",
        b"names": b" " + names,
        b"alias": b" local server=redis;" if is_valkey else b"",
    }
    return text.replace(b"\n", b" ") + b" "


def _quote(text: bytes) -> bytes:
    return b'"%b"' % b"".join(b"\\%03d" % byte for byte in text)


def _described(commands: CommandTable) -> list[bytes]:
    """Return ``name=specs`` for each command that a script may call and whose keys are not
    just the argument after the name; ``-``: no keys, ``|``: its subcommands know.
    """  # noqa: D205  one sentence
    found = []
    for row in commands:
        spec = row.spec
        if b"noscript" in spec.flags:
            continue
        specs = _specs_of(spec)
        if specs:
            found.append(b"%b=%b" % (spec.name, specs))
    return found


def _specs_of(spec: CommandSpec) -> bytes:
    if spec.name in _PATTERNS:
        return _PATTERNS[spec.name]
    if spec.is_container:
        return b"|"
    if not spec.key_specs or b"pubsub" in spec.flags:
        return b"-"
    specs = b";".join(map(_spec, spec.key_specs))
    return b"" if specs == b"r1,0,1,0" else specs


def _spec(spec: KeySpec) -> bytes:
    """Return one spec: the rules are those of ``commands.spec.KeySpec``."""
    if spec.is_keynum:
        return b"n%d,%d,%d,%d" % (
            spec.begin_index,
            spec.keynum_index,
            spec.first_key,
            spec.key_step,
        )
    rest = b"%d,%d,%d" % (spec.last_key, spec.step, spec.limit)
    if spec.begin_index:
        return b"r%d,%b" % (spec.begin_index, rest)
    return b"w%b,%b,%d" % (spec.keyword.upper(), rest, spec.start_from)
