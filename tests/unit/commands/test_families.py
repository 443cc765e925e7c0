"""The family of a command: from what the server says of it."""

from __future__ import annotations

import pytest

from proxy.commands.families import FAMILIES, family_of
from proxy.commands.table import snapshot_table

FAMILY = {spec.name: spec.family for spec in snapshot_table()}


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (b"get mset strlen lcs", "string"),
        (b"hset hscan", "hash"),
        (b"lpush lrange", "list"),
        (b"sadd sscan", "set"),
        (b"zadd zrangestore", "sortedset"),
        (b"xadd xread xreadgroup xinfo|stream", "stream"),
        (b"geoadd georadius", "geo"),
        (b"setbit bitop", "bitmap"),
        (b"pfadd pfdebug", "hyperloglog"),
        (b"del scan sort object|freq", "keyspace"),
        (b"eval fcall function|load", "scripting"),
        (b"multi exec watch", "transaction"),
        (b"publish subscribe pubsub|channels", "pubsub"),
        (b"ping auth client|id select", "connection"),
        (b"config|get acl|setuser", "admin"),
        (b"blpop bzpopmin blmove wait", "blocking"),
        (b"time info", "other"),
    ],
)
def test_commands_of_the_snapshot(names: bytes, family: str) -> None:
    assert {FAMILY[name] for name in names.split()} == {family}


def test_every_family_is_of_the_closed_set() -> None:
    assert set(FAMILY.values()) <= set(FAMILIES)
    assert len(FAMILIES) == len(set(FAMILIES)) == 18


def test_a_module_of_its_own_kind() -> None:
    flags = frozenset({b"module"})

    assert family_of(b"ts.add", frozenset({b"@ts"}), flags, blocks_by_a_word=False) == "module"
    known = frozenset({b"@hash", b"@ts"})
    assert family_of(b"ts.hash", known, flags, blocks_by_a_word=False) == "hash"
