"""The road of each command, and of commands that no release of the proxy has heard of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.commands.spec import CommandSpec, KeySpec, Merge, Road
from proxy.commands.table import compile_table

ReplyOf = Callable[..., object]


def by_name(specs: tuple[CommandSpec, ...]) -> dict[bytes, CommandSpec]:
    """Return the table as the control plane holds it."""
    return {spec.name: spec for spec in specs}


def module_row(
    name: bytes,
    *,
    flags: tuple[bytes, ...] = (b"write", b"module"),
    categories: tuple[bytes, ...] = (),
    tips: tuple[bytes, ...] = (),
    key_specs: tuple[list[object], ...] = (),
    subcommands: tuple[list[object], ...] = (),
) -> list[object]:
    """Return a row that no released server has."""
    return [
        name,
        -2,
        list(flags),
        0,
        0,
        0,
        list(categories),
        list(tips),
        list(key_specs),
        list(subcommands),
    ]


def keys_from(index: int, last_key: int, step: int = 1) -> list[object]:
    """Return a key specification as RESP2 has it: an index and a range."""
    find = [b"lastkey", last_key, b"keystep", step, b"limit", 0]
    return [
        b"flags",
        [b"RW"],
        b"begin_search",
        [b"type", b"index", b"spec", [b"index", index]],
        b"find_keys",
        [b"type", b"range", b"spec", find],
    ]


def unknown_keys() -> list[object]:
    """Return a key specification of which the server knows nothing."""
    unknown = [b"type", b"unknown", b"spec", []]
    return [b"flags", [b"RW"], b"begin_search", unknown, b"find_keys", unknown]


# Road, request policy and merge of commands by name, the same on both engines.
ROADS = {
    Road.FORWARD: {
        b"get eval evalsha_ro fcall xread xreadgroup sort sort_ro georadius zunionstore object|freq"
        b" memory|usage xinfo|stream xgroup|create msetnx publish spublish object|help"
        b" function|dump acl|cat module|list pfmerge rename lcs bitop"
        b" config object xinfo": (b"", Merge.NONE),
    },
    Road.SPLIT: {
        b"del exists touch unlink": (b"multi_shard", Merge.SUM),
        b"mget": (b"multi_shard", Merge.ARRAY),
        b"mset": (b"multi_shard", Merge.ALL_OK),
    },
    Road.FAN_OUT: {
        b"config|get": (b"special", Merge.SPECIAL),
        b"dbsize": (b"all_shards", Merge.SUM),
        b"keys": (b"all_shards", Merge.ARRAY),
        b"flushall flushdb function|load function|delete function|flush function|restore"
        b" memory|purge save bgsave bgrewriteaof": (b"all_shards", Merge.ALL_OK),
        b"function|kill script|kill": (b"all_shards", Merge.ONE_OK),
        b"script|load script|flush config|set config|rewrite config|resetstat slowlog|reset": (
            b"all_nodes",
            Merge.ALL_OK,
        ),
        b"script|exists": (b"all_shards", Merge.AND),
        b"lastsave": (b"all_shards", Merge.MIN),
        b"slowlog|get": (b"all_nodes", Merge.ARRAY),
        b"slowlog|len latency|reset": (b"all_nodes", Merge.SUM),
        b"info randomkey function|stats memory|stats memory|doctor latency|histogram": (
            b"all_shards",
            Merge.SPECIAL,
        ),
        b"latency|latest latency|history latency|doctor latency|graph": (
            b"all_nodes",
            Merge.SPECIAL,
        ),
        b"scan": (b"special", Merge.SPECIAL),
    },
    Road.LOCAL: {
        b"ping echo quit reset hello auth select client client|id client|kill client|reply command"
        b" command|docs command|getkeys time role lolwut function|list cluster cluster|keyslot"
        b" cluster|slots cluster|nodes readonly readwrite asking exec discard"
        b" unwatch acl|whoami": (b"", Merge.NONE),
    },
    Road.SESSION: {
        b"multi watch monitor wait blpop brpop blmove brpoplpush blmpop bzpopmin bzpopmax bzmpop"
        b" subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe pubsub|numpat"
        b" pubsub|channels pubsub|numsub pubsub|shardchannels pubsub|shardnumsub": (
            b"",
            Merge.NONE,
        ),
    },
    Road.DENIED: {
        b"shutdown replicaof slaveof debug migrate module|load failover psync sync replconf"
        b" acl|setuser acl|list swapdb restore-asking pfdebug pfselftest"
        b" cluster|meet cluster|setslot cluster|failover script|debug": (
            b"",
            Merge.NONE,
        ),
    },
    Road.ASK_SERVER: {},
}
ROAD_CASES = [
    pytest.param(name, (road, *policy), id=name.decode())
    for road, groups in ROADS.items()
    for names, policy in groups.items()
    for name in names.split()
]


@pytest.mark.parametrize(("name", "expected"), ROAD_CASES)
def test_the_road_of(
    name: bytes, expected: tuple[Road, bytes, Merge], engine: str, reply_of: ReplyOf
) -> None:
    spec = by_name(compile_table(reply_of(engine)))[name]

    assert (spec.road, spec.request_policy, spec.merge) == expected


def test_the_roads_of_commands_that_only_valkey_has(valkey_reply: object) -> None:
    table = by_name(compile_table(valkey_reply))

    assert table[b"hsetex"].road is Road.FORWARD
    assert table[b"waitaof"].road is Road.SESSION
    assert table[b"clusterscan"].road is Road.LOCAL
    assert table[b"client|capa"].road is Road.LOCAL
    assert (table[b"msetex"].road, table[b"msetex"].merge) == (Road.SPLIT, Merge.ALL_OK)
    assert (table[b"script|show"].road, table[b"script|show"].merge) == (Road.FAN_OUT, Merge.ONE_OK)


def test_msetex_is_not_split_under_a_condition_on_all_keys(valkey_reply: object) -> None:
    table = by_name(compile_table(valkey_reply))

    assert table[b"msetex"].unsplittable_if == (b"NX", b"XX")
    assert table[b"msetex"].key_specs == (
        KeySpec(1, b"", 0, True, 0, 1, 0, 0, 1, 2, frozenset({b"OW", b"update"})),
    )
    assert table[b"mset"].unsplittable_if == ()


def test_a_split_command_has_one_key_spec_and_a_merge(engine: str, reply_of: ReplyOf) -> None:
    for spec in compile_table(reply_of(engine)):
        if spec.road is Road.SPLIT:
            assert len(spec.key_specs) == 1, spec.name
            assert spec.merge not in (Merge.NONE, Merge.SPECIAL, Merge.ONE_OK), spec.name


def test_only_some_roads_lead_to_several_replies(engine: str, reply_of: ReplyOf) -> None:
    for spec in compile_table(reply_of(engine)):
        goes_to_many = spec.road in (Road.SPLIT, Road.FAN_OUT)
        assert (spec.merge is not Merge.NONE) == goes_to_many, spec.name
        assert bool(spec.request_policy) == goes_to_many, spec.name


WRITES = (
    b"set del incr expire eval evalsha fcall publish script|load flushall xreadgroup sort getex"
)
READS = b"get mget exists eval_ro fcall_ro xread pfcount dbsize scan info config|get script|exists"


@pytest.mark.parametrize("name", WRITES.split())
def test_a_write_is(name: bytes, engine: str, reply_of: ReplyOf) -> None:
    assert by_name(compile_table(reply_of(engine)))[name].is_write


@pytest.mark.parametrize("name", READS.split())
def test_a_read_is(name: bytes, engine: str, reply_of: ReplyOf) -> None:
    assert not by_name(compile_table(reply_of(engine)))[name].is_write


def test_no_command_that_the_server_flags_as_write_counts_as_read(
    engine: str, reply_of: ReplyOf
) -> None:
    for spec in compile_table(reply_of(engine)):
        assert spec.is_write or b"write" not in spec.flags, spec.name


def test_xread_blocks_only_with_its_keyword(engine: str, reply_of: ReplyOf) -> None:
    specs = compile_table(reply_of(engine))

    assert {spec.name for spec in specs if spec.blocking_keyword} == {b"xread", b"xreadgroup"}
    assert by_name(specs)[b"xread"].blocking_keyword == b"BLOCK"


def test_sort_finds_the_key_it_stores_to(engine: str, reply_of: ReplyOf) -> None:
    table = by_name(compile_table(reply_of(engine)))

    key = KeySpec(1, b"", 0, False, 0, 1, 0, 0, 0, 1, frozenset({b"RO", b"access"}))
    stored = frozenset({b"OW", b"update"})
    assert table[b"sort"].key_specs == (
        key,
        KeySpec(0, b"STORE", 2, False, 0, 1, 0, 0, 0, 1, stored),
    )
    assert table[b"sort_ro"].key_specs == (key,)


# Rows that no release knows, and what the rules make of them.
MODULE_ROWS = {
    "one key": (module_row(b"mod.get", key_specs=(keys_from(1, 0),)), Road.FORWARD, Merge.NONE),
    "no key": (module_row(b"mod.version"), Road.FORWARD, Merge.NONE),
    "multi_shard without a policy": (
        module_row(
            b"mod.mget", key_specs=(keys_from(1, -2),), tips=(b"request_policy:multi_shard",)
        ),
        Road.SPLIT,
        Merge.ARRAY,
    ),
    "multi_shard with a sum": (
        module_row(
            b"mod.del",
            key_specs=(keys_from(1, -1),),
            tips=(b"request_policy:multi_shard", b"response_policy:agg_sum"),
        ),
        Road.SPLIT,
        Merge.SUM,
    ),
    "multi_shard that would hide a failed part": (
        module_row(
            b"mod.any",
            key_specs=(keys_from(1, -1),),
            tips=(b"request_policy:multi_shard", b"response_policy:one_succeeded"),
        ),
        Road.FORWARD,
        Merge.NONE,
    ),
    "multi_shard with a policy newer than the proxy": (
        module_row(
            b"mod.new",
            key_specs=(keys_from(1, -1),),
            tips=(b"request_policy:multi_shard", b"response_policy:agg_median"),
        ),
        Road.FORWARD,
        Merge.NONE,
    ),
    "multi_shard with keys in two places": (
        module_row(
            b"mod.two",
            key_specs=(keys_from(1, 0), keys_from(2, -1)),
            tips=(b"request_policy:multi_shard",),
        ),
        Road.FORWARD,
        Merge.NONE,
    ),
    "all_shards with a maximum": (
        module_row(b"mod.max", tips=(b"request_policy:all_shards", b"response_policy:agg_max")),
        Road.FAN_OUT,
        Merge.MAX,
    ),
    "all_nodes with a logical or": (
        module_row(
            b"mod.any", tips=(b"request_policy:all_nodes", b"response_policy:agg_logical_or")
        ),
        Road.FAN_OUT,
        Merge.OR,
    ),
    "all_shards, merged in a way nobody knows": (
        module_row(b"mod.stats", tips=(b"request_policy:all_shards", b"response_policy:special")),
        Road.DENIED,
        Merge.NONE,
    ),
    "shards chosen in a way nobody knows": (
        module_row(b"mod.scan", tips=(b"request_policy:special",)),
        Road.DENIED,
        Merge.NONE,
    ),
    "administration of one server": (
        module_row(b"mod.debug", flags=(b"admin", b"module")),
        Road.DENIED,
        Merge.NONE,
    ),
    "administration of one key": (
        module_row(b"mod.dump", flags=(b"admin",), key_specs=(keys_from(1, 0),)),
        Road.FORWARD,
        Merge.NONE,
    ),
    "blocking": (
        module_row(b"mod.bpop", flags=(b"write", b"blocking"), key_specs=(keys_from(1, 0),)),
        Road.SESSION,
        Merge.NONE,
    ),
    "subscribing": (
        module_row(b"mod.listen", flags=(b"pubsub", b"noscript")),
        Road.SESSION,
        Merge.NONE,
    ),
    "state of the connection": (
        module_row(b"mod.mode", categories=(b"@connection",)),
        Road.LOCAL,
        Merge.NONE,
    ),
    "keys that only its own code finds": (
        module_row(b"mod.odd", flags=(b"write", b"module", b"movablekeys")),
        Road.ASK_SERVER,
        Merge.NONE,
    ),
    "keys the server knows nothing about": (
        module_row(b"mod.dark", key_specs=(keys_from(1, 0), unknown_keys())),
        Road.ASK_SERVER,
        Merge.NONE,
    ),
}


@pytest.mark.parametrize(("row", "road", "merge"), MODULE_ROWS.values(), ids=MODULE_ROWS.keys())
def test_a_command_the_proxy_never_heard_of(row: list[object], road: Road, merge: Merge) -> None:
    (spec,) = compile_table([row])

    assert (spec.road, spec.merge) == (road, merge)
    assert spec.is_write


def test_a_subcommand_of_a_module_takes_its_own_road() -> None:
    key = module_row(b"mod|get", flags=(b"readonly",), key_specs=(keys_from(2, 0),))
    count = module_row(
        b"mod|count", tips=(b"request_policy:all_shards", b"response_policy:agg_sum")
    )

    table = by_name(compile_table([module_row(b"mod", subcommands=(key, count))]))

    assert table[b"mod"].is_container
    assert (table[b"mod|get"].road, table[b"mod|get"].is_write) == (Road.FORWARD, False)
    assert (table[b"mod|count"].road, table[b"mod|count"].merge) == (Road.FAN_OUT, Merge.SUM)
