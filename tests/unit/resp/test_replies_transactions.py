"""What is said about transactions: a server's words where it has some, else what to look at."""

from __future__ import annotations

import inspect
import re

import pytest

from proxy.resp import replies_transactions as say

NAMES = [
    name
    for name, function in inspect.getmembers(say, inspect.isfunction)
    if function.__module__ == say.__name__ and not name.startswith("_")
]

# Read from redis-server 7.0.15 and valkey-server 9.1.2.
AS_SERVERS_SAY = [
    (say.nested_multi(), b"-ERR MULTI calls can not be nested\r\n"),
    (say.watch_inside_multi(), b"-ERR WATCH inside MULTI is not allowed\r\n"),
    (
        say.not_in_transaction(b"save", names_it=False),
        b"-ERR Command not allowed inside a transaction\r\n",
    ),
    (
        say.not_in_transaction(b"client|reply", names_it=True),
        b"-ERR Command 'client|reply' not allowed inside a transaction\r\n",
    ),
    (
        say.exec_aborted(),
        b"-EXECABORT Transaction discarded because of previous errors.\r\n",
    ),
    (
        say.no_ssubscribe_in_transaction(),
        b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n",
    ),
]

OURS = [
    (
        say.cross_slot_in_transaction(b"get", slot=5, other=7),
        b"CROSSSLOT",
        [b"slot 5", b"'get'", b"slot 7", b"{user1}", b'commands.transactions ("strict")'],
    ),
    (
        say.cross_slot_command_in_transaction(b"sunion"),
        b"CROSSSLOT",
        [b"'sunion'", b"{user1}", b"commands.transactions"],
    ),
    (say.watch_over_slots(slot=5, other=7), b"CROSSSLOT", [b"WATCH", b"5", b"slot 7", b"{user1}"]),
    (say.transaction_too_big(9), b"ERR", [b"limits.transaction_limit_bytes (9)", b"discarded"]),
    (
        say.exec_aborted_by(b"-OOM command not allowed\r\n"),
        b"EXECABORT",
        [b"Transaction discarded because of: OOM command not allowed"],
    ),
    (
        say.exec_aborted_by(b"!17\r\nOOM no memory now\r\n"),
        b"EXECABORT",
        [b"because of: OOM no memory now"],
    ),
]


@pytest.mark.parametrize(("frame", "wire"), AS_SERVERS_SAY)
def test_where_servers_have_a_text_it_is_that_text(frame: bytes, wire: bytes) -> None:
    assert frame == wire


@pytest.mark.parametrize(("frame", "code", "words"), OURS)
def test_the_others_say_what_to_look_at(frame: bytes, code: bytes, words: list[bytes]) -> None:
    assert re.fullmatch(rb"-%b [^\r\n]+\r\n" % code, frame)
    assert [word for word in words if word not in frame] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_text_says_when_it_is_sent(name: str) -> None:
    assert inspect.getdoc(getattr(say, name))
