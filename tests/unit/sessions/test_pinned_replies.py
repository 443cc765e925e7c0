"""Replies and pushes over pins: which bytes change, and that all others stay."""

from __future__ import annotations

import pytest

from proxy.commands.pins import Pin, PinTable
from proxy.resp.encode import array, bulk, integer
from proxy.sessions.pins import LEAVING, REQUESTS
from proxy.sessions.pins_replies import NAMING, show_pushes, show_reply, show_transaction

PINS = PinTable([Pin(b"bull:", b"bull")])
KEY, SHOWN = bulk(b"{bull}bull:1"), bulk(b"bull:1")
ENTRIES = array([array([bulk(b"1-1"), array([bulk(b"f"), KEY])])])

CASES = {
    "popped": (b"blpop", array([KEY, KEY]), array([SHOWN, KEY])),
    "popped many": (b"lmpop", array([KEY, array([KEY])]), array([SHOWN, array([KEY])])),
    "nothing popped": (b"blpop", b"*-1\r\n", b"*-1\r\n"),
    "nothing popped, RESP3": (b"blpop", b"_\r\n", b"_\r\n"),
    "streams": (
        b"xread",
        array([array([KEY, ENTRIES]), array([bulk(b"other"), ENTRIES])]),
        array([array([SHOWN, ENTRIES]), array([bulk(b"other"), ENTRIES])]),
    ),
    "streams, RESP3": (
        b"xread",
        b"%2\r\n" + KEY + ENTRIES + bulk(b"other") + ENTRIES,
        b"%2\r\n" + SHOWN + ENTRIES + bulk(b"other") + ENTRIES,
    ),
    "a random key": (b"randomkey", KEY, SHOWN),
    "no random key": (b"randomkey", b"$-1\r\n", b"$-1\r\n"),
    "a log": (
        b"slowlog|get",
        array([array([integer(1), array([bulk(b"GET"), KEY]), bulk(b"10.0.0.1:1")])]),
        array([array([integer(1), array([bulk(b"GET"), SHOWN]), bulk(b"10.0.0.1:1")])]),
    ),
    "queued": (b"lmpop", b"+QUEUED\r\n", b"+QUEUED\r\n"),
    "an error": (b"xpending", b"-NOGROUP No '{bull}bull:1'\r\n", b"-NOGROUP No 'bull:1'\r\n"),
    "a long error": (b"get", b"!21\r\nERR no {bull}bull:1 !\r\n", b"!15\r\nERR no bull:1 !\r\n"),
    "a value": (b"get", KEY, KEY),
    "nothing": (b"get", b"", b""),
    "the tag of somebody else": (b"randomkey", bulk(b"{bull}other"), bulk(b"{bull}other")),
}


@pytest.mark.parametrize(("name", "frame", "shown"), CASES.values(), ids=CASES.keys())
def test_a_reply_is_shown(name: bytes, frame: bytes, shown: bytes) -> None:
    assert show_reply(PINS, name, (), frame) == shown


def test_keys_that_only_their_stored_name_made_match_are_left_out() -> None:
    found = array([KEY, bulk(b"{bull}other"), bulk(b"other")])

    assert show_reply(PINS, b"keys", [b"KEYS", b"*"], found) == array(
        [SHOWN, bulk(b"{bull}other"), bulk(b"other")]
    )
    assert show_reply(PINS, b"keys", [b"KEYS", b"b*"], found) == array([SHOWN])
    page = array([bulk(b"17"), found])
    assert show_reply(PINS, b"scan", [b"SCAN", b"0", b"MATCH", b"{*"], page) == array(
        [bulk(b"17"), array([bulk(b"{bull}other")])]
    )


def test_a_transaction_is_shown_reply_by_reply() -> None:
    queue = [(b"get", []), (b"lmpop", []), (b"keys", [b"KEYS", b"b*"]), (b"xpending", [])]
    replied = array(
        [KEY, array([KEY, array([KEY])]), array([KEY, bulk(b"x")]), b"-E {bull}bull:\r\n"]
    )

    assert show_transaction(PINS, queue, replied) == array(
        [KEY, array([SHOWN, array([KEY])]), array([SHOWN]), b"-E bull:\r\n"]
    )
    assert show_transaction(PINS, queue, b"*-1\r\n") == b"*-1\r\n"
    assert show_transaction(PINS, queue, b"-EXECABORT no\r\n") == b"-EXECABORT no\r\n"


CHANNEL, SHOWN_CHANNEL = bulk(b"__keyspace@0__:{bull}bull:1"), bulk(b"__keyspace@0__:bull:1")
PUSHES = {
    "subscribed": (
        array([bulk(b"subscribe"), CHANNEL, integer(1)]),
        array([bulk(b"subscribe"), SHOWN_CHANNEL, integer(1)]),
    ),
    "a key's event": (
        array([bulk(b"message"), CHANNEL, bulk(b"set")]),
        array([bulk(b"message"), SHOWN_CHANNEL, bulk(b"set")]),
    ),
    "by a pattern": (
        b">4\r\n" + bulk(b"pmessage") + bulk(b"__key*") + CHANNEL + bulk(b"set"),
        b">4\r\n" + bulk(b"pmessage") + bulk(b"__key*") + SHOWN_CHANNEL + bulk(b"set"),
    ),
    "an event's key": (
        array([bulk(b"message"), bulk(b"__keyevent@0__:set"), KEY]),
        array([bulk(b"message"), bulk(b"__keyevent@0__:set"), SHOWN]),
    ),
    "a message": (
        array([bulk(b"message"), bulk(b"news"), KEY]),
        array([bulk(b"message"), bulk(b"news"), KEY]),
    ),
    "an invalidation": (
        b">2\r\n" + bulk(b"invalidate") + array([KEY, bulk(b"x")]),
        b">2\r\n" + bulk(b"invalidate") + array([SHOWN, bulk(b"x")]),
    ),
    "a redirected invalidation": (
        array([bulk(b"message"), bulk(b"__redis__:invalidate"), array([KEY])]),
        array([bulk(b"message"), bulk(b"__redis__:invalidate"), array([SHOWN])]),
    ),
    "everything is invalid": (
        b">2\r\n" + bulk(b"invalidate") + b"_\r\n",
        b">2\r\n" + bulk(b"invalidate") + b"_\r\n",
    ),
    "monitored": (
        b'+1.5 [0 1:1] "GET" "{bull}bull:1"\r\n',
        b'+1.5 [0 1:1] "GET" "{bull}bull:1"\r\n',
    ),
}


@pytest.mark.parametrize(("frame", "shown"), PUSHES.values(), ids=PUSHES.keys())
def test_a_push_is_shown_alone_and_between_others(frame: bytes, shown: bytes) -> None:
    other = array([bulk(b"message"), bulk(b"news"), bulk(b"x")])

    assert show_pushes(PINS, frame) == shown
    assert show_pushes(PINS, other + frame + frame) == other + shown + shown


REWRITTEN = {
    b"KEYS bull:*": b"KEYS {bull}bull:*",
    b"KEYS b*": b"KEYS *",
    b"SCAN 0 MATCH bull:* COUNT 5": b"SCAN 0 MATCH {bull}bull:* COUNT 5",
    b"SCAN 0 COUNT": b"SCAN 0 COUNT",
    b"SORT l BY bull:w_* GET # GET bull:o_* LIMIT 0 1 STORE BY": (
        b"SORT l BY {bull}bull:w_* GET # GET {bull}bull:o_* LIMIT 0 1 STORE BY"
    ),
    b"PSUBSCRIBE __keyspace@*__:bull:* n": b"PSUBSCRIBE __keyspace@*__:{bull}bull:* n",
    b"PUBSUB NUMSUB __keyspace@0__:bull:1": b"PUBSUB NUMSUB __keyspace@0__:{bull}bull:1",
    b"CLIENT TRACKING ON BCAST PREFIX bu PREFIX x": (
        b"CLIENT TRACKING ON BCAST PREFIX bu PREFIX {bull}bull: PREFIX x"
    ),
    b"CLUSTER KEYSLOT bull:1": b"CLUSTER KEYSLOT {bull}bull:1",
}


@pytest.mark.parametrize(("said", "stored"), REWRITTEN.items())
def test_what_names_keys_without_being_one_is_stored(said: bytes, stored: bytes) -> None:
    args = said.split(b" ")
    name = args[0].lower()
    rewrite = REQUESTS.get(name) or REQUESTS[name + b"|" + args[1].lower()]

    assert rewrite(PINS, args) == stored.split(b" ")


def test_only_what_the_tables_name_leaves_the_hot_road() -> None:
    assert frozenset(NAMING) | frozenset(REQUESTS) == LEAVING
    assert not LEAVING & {b"get", b"set", b"mget", b"xadd", b"zadd", b"eval", b"del"}
