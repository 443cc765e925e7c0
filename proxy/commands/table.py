"""Compile the command table: what the servers say about themselves, and a road for each.

Strategy: the first rule that fits decides, and the rules stand in one function,
``_natural_road``. They read the server's flags, tips, key specs and ACL
categories, so a command of a new server or of a module needs no new release.
``overrides.py`` is asked first; what the operator denies is applied last.

Cost: a few milliseconds for 400 commands, when a server of another version
is met; nothing per request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources

from proxy.commands.families import family_of
from proxy.commands.overrides import DENIED_BY_DEFAULT, OVERRIDES, Override
from proxy.commands.rows import Row, parse_command_reply
from proxy.commands.spec import CommandSpec, Merge, Road

MERGE_OF_POLICY: dict[bytes, Merge] = {
    b"": Merge.ARRAY,
    b"all_succeeded": Merge.ALL_OK,
    b"one_succeeded": Merge.ONE_OK,
    b"agg_sum": Merge.SUM,
    b"agg_min": Merge.MIN,
    b"agg_max": Merge.MAX,
    b"agg_logical_and": Merge.AND,
    b"agg_logical_or": Merge.OR,
    b"special": Merge.SPECIAL,
}
"""A policy that is not here is newer than this file, and SPECIAL."""

UNSPLITTABLE_MERGES = frozenset({Merge.SPECIAL, Merge.ONE_OK})
"""SPECIAL: nobody knows how. ONE_OK would hide a failed part (law 5)."""


def compile_table(
    command_reply: object,
    denied: Iterable[bytes] = DENIED_BY_DEFAULT,
    *,
    overrides: Iterable[Override] = OVERRIDES,
) -> tuple[CommandSpec, ...]:
    """Return a spec for every command and subcommand of a server, sorted by name.

    A row without key specs (Redis before 7.0) is replaced by the snapshot's row
    and subcommands where the snapshot knows the command.

    Args:
        command_reply: What hiredis makes of the reply to COMMAND, RESP2 or RESP3.
        denied: Names to refuse, ``b"config|set"`` for a subcommand, in any case;
            a container's name denies all of its subcommands.
        overrides: For tests.

    Raises:
        BackendProtocolError: The reply is not what COMMAND answers (an error
            reply, for instance); ``snapshot_table`` can take its place.
    """
    known = _snapshot_rows_by_command()
    rows: dict[bytes, Row] = {}
    for row in parse_command_reply(command_reply):
        for better in (row,) if row.is_full else known.get(row.name, (row,)):
            rows[better.name] = better
    return _specs(rows.values(), denied, overrides)


def snapshot_table(denied: Iterable[bytes] = DENIED_BY_DEFAULT) -> tuple[CommandSpec, ...]:
    """Return the table of Redis 7.0, for servers that do not answer COMMAND."""
    rows = (row for command in _snapshot_rows_by_command().values() for row in command)
    return _specs(rows, denied, OVERRIDES)


def find_spec(table: Mapping[bytes, CommandSpec], args: Sequence[bytes]) -> CommandSpec | None:
    """Return the spec of a request: its subcommand's, else its command's, else None.

    Args:
        table: Specs by their name.
        args: The request, at least its first word.
    """
    spec = table.get(args[0].lower())
    if spec is None or not spec.is_container or len(args) == 1:
        return spec
    return table.get(spec.name + b"|" + args[1].lower(), spec)


def is_denied(name: bytes, denied: Iterable[bytes]) -> bool:
    """Say whether ``denied`` names this command or the container it belongs to."""
    names = frozenset(denied)
    return name in names or _container(name) in names


@cache
def _snapshot_rows_by_command() -> dict[bytes, tuple[Row, ...]]:
    """Return the snapshot's rows by command: its own row, then its subcommands'."""
    text = resources.files("proxy.commands").joinpath("snapshot.json").read_text("ascii")
    commands = _bytes_for_text(json.loads(text)["commands"])
    rows: dict[bytes, tuple[Row, ...]] = {}
    for row in parse_command_reply(commands):
        command = _container(row.name)
        rows[command] = (*rows.get(command, ()), row)
    return rows


def _bytes_for_text(value: object) -> object:
    """Return JSON's value with bytes for text, as a server would have sent it."""
    match value:
        case str():
            return value.encode("ascii")
        case list():
            return [_bytes_for_text(item) for item in value]
        case dict():
            return {key.encode("ascii"): _bytes_for_text(item) for key, item in value.items()}
        case _:
            return value


def _specs(
    rows: Iterable[Row], denied: Iterable[bytes], overrides: Iterable[Override]
) -> tuple[CommandSpec, ...]:
    denied_names = frozenset(name.lower().replace(b" ", b"|") for name in denied)
    override_of = {name: override for override in overrides for name in override.names}
    specs = []
    for row in rows:
        override = override_of.get(row.name) or override_of.get(_container(row.name))
        specs.append(_spec(row, override, denied=is_denied(row.name, denied_names)))
    return tuple(sorted(specs, key=lambda spec: spec.name))


def _spec(row: Row, override: Override | None, *, denied: bool) -> CommandSpec:
    override = override or Override(reason="", names=())
    key_specs = row.key_specs if override.key_specs is None else override.key_specs
    are_keys_known = row.are_keys_known or override.key_specs is not None
    request_policy = row.request_policy
    merge = MERGE_OF_POLICY.get(row.response_policy, Merge.SPECIAL)
    road = override.road
    if road is Road.FAN_OUT:
        request_policy, merge = override.request_policy, override.merge
    if road is None:
        road = _natural_road(row, merge, are_keys_known=are_keys_known)
    if denied:
        road = Road.DENIED
    goes_to_many = road in (Road.SPLIT, Road.FAN_OUT)
    return CommandSpec(
        name=row.name,
        arity=row.arity,
        is_write=b"readonly" not in row.flags and not override.only_reads,
        is_container=row.has_subcommands,
        blocking_keyword=override.blocking_keyword,
        unsplittable_if=override.unsplittable_if,
        key_specs=key_specs,
        road=road,
        request_policy=request_policy if goes_to_many else b"",
        merge=merge if goes_to_many else Merge.NONE,
        flags=row.flags,
        family=family_of(
            row.name, row.categories, row.flags, blocks_by_a_word=bool(override.blocking_keyword)
        ),
    )


def _natural_road(row: Row, merge: Merge, *, are_keys_known: bool) -> Road:
    """Return the road that follows from what the server says. The first rule that fits decides."""
    if b"blocking" in row.flags:
        return Road.SESSION
    # SUBSCRIBE and its family; PUBLISH and PUBSUB have only the first of the two.
    if {b"pubsub", b"noscript"} <= row.flags:
        return Road.SESSION
    if b"@connection" in row.categories:
        return Road.LOCAL
    if not are_keys_known:
        return Road.ASK_SERVER
    if row.key_specs:
        is_splittable = len(row.key_specs) == 1 and merge not in UNSPLITTABLE_MERGES
        if row.request_policy == b"multi_shard" and is_splittable:
            return Road.SPLIT
        return Road.FORWARD
    if row.request_policy in (b"all_nodes", b"all_shards") and merge is not Merge.SPECIAL:
        return Road.FAN_OUT
    # Of the last two kinds the proxy knows only that any one server's answer
    # is not the answer. Those that are denied by name have been thought about:
    # an operator who allows one of them wants some server's answer.
    is_special = b"special" in (row.request_policy, row.response_policy)
    if (is_special or b"admin" in row.flags) and not is_denied(row.name, DENIED_BY_DEFAULT):
        return Road.DENIED
    return Road.FORWARD


def _container(name: bytes) -> bytes:
    """Return the first word of a name: itself, unless it is a subcommand's."""
    return name.partition(b"|")[0]
