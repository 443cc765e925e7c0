"""The table as a whole: what is denied, servers before 7.0, the snapshot, finding a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources

import pytest

from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.spec import CommandSpec, KeySpec, Merge, Road
from proxy.commands.table import compile_table, find_spec, is_denied, snapshot_table

ReplyOf = Callable[..., object]


def by_name(specs: tuple[CommandSpec, ...]) -> dict[bytes, CommandSpec]:
    """Return the table as the control plane holds it."""
    return {spec.name: spec for spec in specs}


def as_redis_6_2(reply: list) -> list:
    """Return the reply as Redis 6.2 gives it: seven fields, no subcommands."""
    return [row[:7] for row in reply]


# Denied by the operator

DENYING = {
    "a command": ([b"get"], {b"get"}),
    "a command in capitals": ([b"GET"], {b"get"}),
    "a subcommand": ([b"config|get"], {b"config|get"}),
    "a subcommand as it is typed": ([b"CONFIG GET"], {b"config|get"}),
    "a container": (
        [b"config"],
        {b"config", b"config|get", b"config|help", b"config|set", b"config|rewrite"}
        | {b"config|resetstat"},
    ),
    "what the proxy answers itself": ([b"echo"], {b"echo"}),
    "what no server has": ([b"no-such-command"], set()),
    "nothing": ([], set()),
}
NEVER = {b"psync", b"replconf", b"sync", b"script|debug", b"swapdb"}
"""Two by an override; three are flagged admin, and nothing else is known of them."""


@pytest.mark.parametrize(("denied", "expected"), DENYING.values(), ids=DENYING.keys())
def test_the_setting_denies(denied: list[bytes], expected: set[bytes], redis_reply: object) -> None:
    table = compile_table(redis_reply, denied)

    assert {spec.name for spec in table if spec.road is Road.DENIED} == expected | NEVER


def test_every_name_denied_by_default_can_be_allowed(engine: str, reply_of: ReplyOf) -> None:
    table = by_name(compile_table(reply_of(engine), ()))

    denied = {name for name in table if is_denied(name, DENIED_BY_DEFAULT)}
    assert {name for name in denied if table[name].road is Road.DENIED} == set()
    assert table[b"migrate"].road is Road.ASK_SERVER
    assert (table[b"config|set"].road, table[b"config|set"].merge) == (Road.FAN_OUT, Merge.ALL_OK)
    assert table[b"latency|reset"].merge is Merge.SUM


def test_denying_a_container_denies_subcommands_nobody_knows_yet() -> None:
    new = [b"config|new", -2, [], 0, 0, 0, [], [], [], []]
    config = [b"config", -2, [], 0, 0, 0, [], [], [], [new]]

    table = by_name(compile_table([config], [b"config"]))

    assert table[b"config|new"].road is Road.DENIED


# Redis 6.2, and servers that do not answer COMMAND


def test_a_server_before_7_0_gets_the_rows_of_the_snapshot(redis_reply: list) -> None:
    assert compile_table(as_redis_6_2(redis_reply)) == snapshot_table()


def test_a_server_before_7_0_gets_no_command_it_does_not_have(redis_reply: list) -> None:
    old = as_redis_6_2([row for row in redis_reply if row[0] != b"expiretime"])

    assert b"expiretime" not in by_name(compile_table(old))


def test_a_module_of_a_server_before_7_0_is_routed_by_its_key_range() -> None:
    rows = [
        [b"mod.mset", -3, [b"write"], 1, -1, 2, []],
        [b"mod.odd", -3, [b"write", b"movablekeys"], 1, 1, 1, []],
        [b"mod.version", 1, [b"readonly"], 0, 0, 0, []],
    ]

    table = by_name(compile_table(rows))

    assert table[b"mod.mset"].road is Road.FORWARD
    assert table[b"mod.mset"].key_specs == (KeySpec(1, b"", 0, False, -1, 2, 0, 0, 0, 1),)
    assert table[b"mod.odd"].road is Road.ASK_SERVER
    assert not table[b"mod.version"].is_write


def test_the_snapshot_is_redis_7_0(redis_reply: object) -> None:
    text = resources.files("proxy.commands").joinpath("snapshot.json").read_text("ascii")

    assert json.loads(text)["server"] == "redis 7.0.15"
    assert snapshot_table() == compile_table(redis_reply)


def test_the_snapshot_is_denied_by_the_same_setting(redis_reply: object) -> None:
    assert snapshot_table([b"get"]) == compile_table(redis_reply, [b"get"])


# Finding a row

FOUND = {
    b"GET k": b"get",
    b"get": b"get",
    b"Config Get x": b"config|get",
    b"CONFIG": b"config",
    b"CONFIG NOPE": b"config",
    b"OBJECT encoding k": b"object|encoding",
    b"NOPE k": None,
    b"config|get x": b"config|get",
}


@pytest.mark.parametrize(("request_line", "name"), FOUND.items(), ids=repr)
def test_the_row_of_a_request(request_line: bytes, name: bytes | None) -> None:
    table = by_name(snapshot_table())

    assert find_spec(table, request_line.split()) == (table[name] if name else None)
