"""Targets: what nodes tell the control plane: maps, command tables, reports.

Whatever a node says, a parser returns a value or raises ``BackendProtocolError``; every other
exception is a bug, and so is a value that takes for ever to read.
"""

from __future__ import annotations

import contextlib

from hostile_wire import NUMBERS, REFUSALS, hostile_reply
from lots import Lots

from proxy.cluster.addresses import Address
from proxy.cluster.changes import find_changes
from proxy.cluster.redirects import parse_refusal
from proxy.cluster.topology import (
    parse_cluster_nodes,
    parse_cluster_state,
    parse_preferred_endpoints,
    supersedes,
)
from proxy.commands.families import FAMILIES
from proxy.commands.rows import parse_command_reply
from proxy.commands.scan_cursor import server_of
from proxy.commands.spec import Merge
from proxy.commands.table import compile_table
from proxy.control.info import info_fields, merge_info
from proxy.control.merges import CannotMerge, merge_frames
from proxy.control.own_slots import parse_own_slots
from proxy.dataplane.frames import ReplyStream, split_array
from proxy.dataplane.tables import CommandTable
from proxy.errors import BackendProtocolError
from proxy.resp.decode import decode, error_code

ASKED = Address("10.0.0.1", 6379)
NODE_WORDS = [
    b"127.0.0.1:7000@17000", b":7000@17000", b":0@0", b"[::1]:7001@1,host,k=v", b"myself,master",
    b"master", b"slave", b"myself,slave", b"master,fail?", b"noaddr", b"handshake", b"-", b"0",
    b"connected", b"disconnected", b"0-5460", b"5461-16383", b"0-16383", b"16384", b"5-1",
    b"[93->-b]", b"[93-<-b]", b"[x->-b]", b"[", b"-1", b"1-", b"1-2-3", "٣".encode(), b"\xff", b"",
]  # fmt: skip
INFO_LINES = [
    b"# Server", b"redis_version:7.2.4", b"valkey_version:9.1", b"valkey_version:9.1.2.x",
    b"run_id",
    b"used_memory:1", b"used_memory:x", b"used_memory:1e999", b"db0:keys=1,expires=0,avg_ttl=0",
    b"db0:keys=", b"# ", b":", b"a:b:c", b"cmdstat_get:calls=1,usec=nan", b"\xff:\xfe",
    b"cluster_state:ok", b"instantaneous_ops_per_sec:-", b"role:slave", b"maxmemory:\x00",
]  # fmt: skip
COMMAND_WORDS = [
    b"get", b"GET", b"config|get", b"", b"x" * 300, b"index", b"keyword", b"range", b"keynum",
    b"unknown", b"incomplete", b"movablekeys", b"write", b"request_policy:multi_shard",
    b"request_policy:all_nodes", b"response_policy:agg_sum", b"response_policy:x", b"STREAMS",
    b"begin_search", b"find_keys", b"spec", b"type", b"flags", b"lastkey", b"keystep", b"limit",
    b"keynumidx", b"firstkey", b"startfrom", b"\xff",
]  # fmt: skip


def read_maps(data: bytes) -> None:
    """CLUSTER NODES, SLOTS and INFO by lot."""
    lots = Lots(data)
    maps = []
    for _ in range(2):
        text = b"\n".join(_node_line(lots) for _ in range(lots.below(5))) + lots.take(8)
        parse_cluster_state(text)
        try:
            maps.append(parse_cluster_nodes(text, ASKED))
            own = parse_own_slots(text)
        except BackendProtocolError:
            continue
        closed = list(own.closed())
        assert all(0 <= slot < 16384 for slot in closed)
        assert all(own.is_closed(slot) for slot in closed[:3])
    if len(maps) == 2 and lots.rarely():
        supersedes(maps[0], maps[1])
        find_changes(maps[0], maps[1])
    with contextlib.suppress(BackendProtocolError):
        parse_preferred_endpoints(_value(lots, 4), ASKED)
    parse_refusal(b"-" + lots.choice(REFUSALS) + b"\r\n", ASKED)
    parse_refusal(b"-MOVED " + lots.choice(NUMBERS) + b" " + lots.rest() + b"\r\n", ASKED)


def _node_line(lots: Lots) -> bytes:
    line = [b"%040d" % lots.below(3), b"127.0.0.1:7000@17000", b"master", b"-", b"0", b"0", b"1"]
    line += [b"connected", b"0-5460"]
    if lots.below(4) == 0:
        line[2] = b"myself,master"
    for _ in range(lots.below(5)):
        line[lots.below(len(line))] = lots.choice(NODE_WORDS + NUMBERS)
    for _ in range(lots.below(5)):
        line.append(lots.choice(NODE_WORDS))
    return b" ".join(line[: 1 + lots.below(20)] if lots.rarely() else line)


def _value(lots: Lots, depth: int) -> object:
    """Return what hiredis may make of a reply."""
    match lots.below(9 if depth else 6):
        case 0:
            return lots.choice(COMMAND_WORDS)
        case 1:
            return lots.choice([0, 1, -1, 2, 7000, 65535, 65536, 1 << 62, True, 1.5, -(1 << 62)])
        case 2:
            return None
        case 3:
            return lots.choice(NODE_WORDS)
        case 4:
            return b"%040d" % lots.below(3)
        case 5:
            return lots.take(lots.below(9))
        case 6:
            pairs = [(_value(lots, 0), _value(lots, depth - 1)) for _ in range(lots.below(4))]
            return dict(pairs)
        case _:
            return [_value(lots, depth - 1) for _ in range(lots.below(8))]


def read_commands(data: bytes) -> None:
    """COMMAND by lot: nearly right rows, and values of any shape."""
    lots = Lots(data)
    reply = [_command(lots, 3) if lots.below(4) else _value(lots, 5) for _ in range(lots.below(4))]
    if lots.rarely():
        for _ in range(lots.below(3000)):
            reply = [[b"get", 2, [], 1, 1, 1, [], [], [], reply]]
    try:
        rows = parse_command_reply(reply)
        specs = compile_table(reply)
    except BackendProtocolError:
        return
    assert all(spec.family in FAMILIES for spec in specs)
    table = CommandTable(specs)
    for row in rows[:5]:
        args = [lots.choice([*COMMAND_WORDS, *NUMBERS]) for _ in range(lots.below(8))]
        found, places = table.key_places(*row.name.split(b"|"), *args)
        assert all(0 <= place <= len(args) + 1 for place in places), (found, places)


def _command(lots: Lots, depth: int) -> object:
    command: list[object] = [
        lots.choice(COMMAND_WORDS), lots.below(8) - 4, [lots.choice(COMMAND_WORDS)],
        lots.below(4), lots.below(4) - 2, lots.below(3), [b"@read"], [lots.choice(COMMAND_WORDS)],
        [_key_spec(lots) for _ in range(lots.below(3))],
        [_command(lots, depth - 1) for _ in range(lots.below(3))] if depth else [],
    ]  # fmt: skip
    for _ in range(lots.below(3)):
        command[lots.below(len(command))] = _value(lots, 3)
    return command


def _key_spec(lots: Lots) -> object:
    spec: dict[bytes, object] = {
        b"flags": [lots.choice(COMMAND_WORDS)],
        b"begin_search": {
            b"type": lots.choice([b"index", b"keyword", b"unknown"]),
            b"spec": {
                b"index": lots.below(4),
                b"keyword": lots.choice(COMMAND_WORDS),
                b"startfrom": lots.choice([-1, 1, -(1 << 40), 1 << 40, 3, 1 << 70]),
            },
        },
        b"find_keys": {
            b"type": lots.choice([b"range", b"keynum", b"unknown"]),
            b"spec": {
                name: lots.choice([0, 1, 2, -1, -2, 1 << 31, 1 << 40, -(1 << 40), 1 << 70])
                if lots.rarely()
                else lots.below(3)
                for name in (
                    b"lastkey", b"keystep", b"limit", b"keynumidx", b"firstkey",
                )
            },
        },
    }  # fmt: skip
    return [part for pair in spec.items() for part in pair] if lots.flag() else spec


def read_replies(data: bytes) -> None:
    """What the control plane decodes and merges: any frames, cut anywhere."""
    lots = Lots(data)
    frames = []
    for _ in range(1 + lots.below(4)):
        try:
            for frame in ReplyStream().feed(hostile_reply(lots)):
                error_code(frame)
                frames.append(frame)
                decode(frame)
                split_array(frame)
        except BackendProtocolError:
            continue
    if frames:
        with contextlib.suppress(BackendProtocolError, CannotMerge):
            merge_frames(lots.choice(list(Merge)), frames)
    texts = [
        b"\r\n".join(lots.choice(INFO_LINES) for _ in range(lots.below(8))) + lots.take(6)
        for _ in range(1 + lots.below(3))
    ]
    merge_info(texts, {b"tcp_port": b"1"})
    server_of(info_fields(texts[0]))
