"""The compiled pins rewrite every shape of request as the pure table says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.pins import Pin, PinTable
from proxy.commands.table import snapshot_table
from proxy.dataplane.frames import RequestStream
from proxy.dataplane.pins import Pins
from proxy.dataplane.tables import CommandTable
from proxy.resp.encode import encode_command

COMMANDS = CommandTable(snapshot_table())
TABLES = [
    PinTable([Pin(b"bull:", b"bull")]),
    PinTable([Pin(b"", b"all"), Pin(b"bull:", b"bull")]),
    PinTable([Pin(b"b", b"t" * 200), Pin(b"bull:a", b"u")]),
    PinTable([]),
]
NAMES = st.sampled_from([b"bull:1", b"bull:a", b"b", b"", b"{bull}bull:1", b"x\r\n$3"])
SHAPES = {
    "one": lambda keys: (b"GET", keys[0]),
    "many": lambda keys: (b"MGET", *keys),
    "pairs": lambda keys: (b"MSET", *[word for key in keys for word in (key, b"bull:value")]),
    "numbered": lambda keys: (b"EVAL", b"return 1", b"%d" % len(keys), *keys, b"bull:argument"),
    "stored": lambda keys: (b"ZUNIONSTORE", keys[0], b"%d" % len(keys), *keys, b"WEIGHTS", b"1"),
    "after a word": lambda keys: (b"XREAD", b"STREAMS", *keys, *[b"0"] * len(keys)),
    "after a subcommand": lambda keys: (b"OBJECT", b"ENCODING", keys[0]),
    "sorted and stored": lambda keys: (b"SORT", keys[0], b"ALPHA", b"STORE", keys[-1]),
    "none": lambda _keys: (b"PING", b"bull:1"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@given(table=st.sampled_from(TABLES), keys=st.lists(NAMES, min_size=1, max_size=6))
def test_a_request_of_any_shape_has_its_keys_and_nothing_else_changed(
    shape: object, table: PinTable, keys: list[bytes]
) -> None:
    args = shape(keys)
    places = COMMANDS.key_places(*args)[1]

    [stored] = RequestStream().feed(Pins(table).store_request(COMMANDS, encode_command(*args)))

    assert stored == [
        table.store(arg) if place in places else arg for place, arg in enumerate(args)
    ]


def test_lengths_may_gain_digits() -> None:
    pins = Pins(PinTable([Pin(b"k", b"t" * 1000)]))
    frame = encode_command("MSET", "k" * 9, "v" * 99, "k" * 99, "v")

    stored = pins.store_request(COMMANDS, frame)

    assert stored.startswith(b"*5\r\n$4\r\nMSET\r\n$1011\r\n{ttt")
    assert b"\r\n$1101\r\n{ttt" in stored
    assert RequestStream().feed(stored)[0][2] == b"v" * 99
