"""The proxy's texts: those of a server byte for byte, the others with what law 11 demands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest

from proxy.resp import (
    replies,
    replies_across,
    replies_blocking,
    replies_protocol,
    server_texts,
)

# Read from redis-server 7.0.15.
AS_REDIS_SAYS = {
    "arity": (replies.wrong_arity(b"get"), b"ERR wrong number of arguments for 'get' command"),
    "arity of a subcommand": (
        replies.wrong_arity(b"config|get"),
        b"ERR wrong number of arguments for 'config|get' command",
    ),
    "unknown command": (
        replies.unknown_command(b"FOO", [b"a", b"b", b"c"]),
        b"ERR unknown command 'FOO', with args beginning with: 'a' 'b' 'c' ",
    ),
    "unknown command alone": (
        replies.unknown_command(b"foo", []),
        b"ERR unknown command 'foo', with args beginning with: ",
    ),
    "unknown command, one long argument": (
        replies.unknown_command(b"foo", [b"x" * 200, b"b"]),
        b"ERR unknown command 'foo', with args beginning with: '%b' " % (b"x" * 128),
    ),
    "unknown command, arguments cut at 128": (
        replies.unknown_command(b"foo", [b"y" * 60] * 5),
        b"ERR unknown command 'foo', with args beginning with: '%b' '%b' 'yy' "
        % (b"y" * 60, b"y" * 60),
    ),
    "unknown long command": (
        replies.unknown_command(b"q" * 200, [b"a"]),
        b"ERR unknown command '%b', with args beginning with: 'a' " % (b"q" * 128),
    ),
    "unknown command, line ends": (
        replies.unknown_command(b"FOO", [b"a\r\nb"]),
        b"ERR unknown command 'FOO', with args beginning with: 'a  b' ",
    ),
    "unknown command, NUL": (
        replies.unknown_command(b"F\x00\xffO", [b"a\x00\nb"]),
        b"ERR unknown command 'F', with args beginning with: 'a' ",
    ),
    "unknown subcommand": (
        replies.unknown_subcommand(b"client", b"foo"),
        b"ERR unknown subcommand 'foo'. Try CLIENT HELP.",
    ),
    "unknown long subcommand": (
        replies.unknown_subcommand(b"config", b"z" * 200),
        b"ERR unknown subcommand '%b'. Try CONFIG HELP." % (b"z" * 128),
    ),
    "cluster": (replies.cluster_disabled(), b"ERR This instance has cluster support disabled"),
    "count": (
        replies_protocol.invalid_multibulk_length(),
        b"ERR Protocol error: invalid multibulk length",
    ),
    "length": (replies_protocol.invalid_bulk_length(), b"ERR Protocol error: invalid bulk length"),
    "length at Redis's limit": (
        replies_protocol.argument_too_big(512 * 1024 * 1024),
        b"ERR Protocol error: invalid bulk length",
    ),
    "no bulk string": (
        replies_protocol.expected_bulk(b"\xff"),
        b"ERR Protocol error: expected '$', got '\xff'",
    ),
    "inline at Redis's limit": (
        replies_protocol.inline_too_big(64 * 1024),
        b"ERR Protocol error: too big inline request",
    ),
    "count line": (
        replies_protocol.multibulk_count_too_long(),
        b"ERR Protocol error: too big mbulk count string",
    ),
    "length line": (
        replies_protocol.bulk_count_too_long(),
        b"ERR Protocol error: too big bulk count string",
    ),
    "quotes": (
        replies_protocol.unbalanced_quotes(),
        b"ERR Protocol error: unbalanced quotes in request",
    ),
    "count before AUTH": (
        replies_protocol.unauthenticated_multibulk_length(),
        b"ERR Protocol error: unauthenticated multibulk length",
    ),
    "length before AUTH": (
        replies_protocol.unauthenticated_bulk_length(),
        b"ERR Protocol error: unauthenticated bulk length",
    ),
    "not authenticated": (replies.auth_required(), b"NOAUTH Authentication required."),
    "wrong password": (
        replies.wrong_password(),
        b"WRONGPASS invalid username-password pair or user is disabled.",
    ),
    "protocol version": (
        replies.unsupported_protocol(),
        b"NOPROTO unsupported protocol version",
    ),
    "HELLO option": (
        replies.hello_syntax(b"FOO"),
        b"ERR Syntax error in HELLO option 'FOO'",
    ),
    "client name": (
        server_texts.invalid_client_name(),
        b"ERR Client names cannot contain spaces, newlines or special characters.",
    ),
    "database": (replies.database_out_of_range(), b"ERR DB index is out of range"),
    "clients": (replies.max_clients(), b"ERR max number of clients reached"),
}


@pytest.mark.parametrize(("frame", "text"), AS_REDIS_SAYS.values(), ids=AS_REDIS_SAYS.keys())
def test_where_redis_has_a_text_it_is_that_text(frame: bytes, text: bytes) -> None:
    assert frame == b"-%b\r\n" % text


NODE = "10.0.0.5:7000"

# The frame, its code, and every word it must have: slot, node, setting, what became of it.
OURS = {
    "cross slot": (
        replies.cross_slot(b"sunionstore"),
        b"CROSSSLOT",
        [b"Keys in request don't hash to the same slot", b"'sunionstore'", b"{user1}"],
    ),
    "cross slot by setting": (
        replies_across.cross_slot_by_setting(b"rename", needed=b"all"),
        b"CROSSSLOT",
        [b"Keys in request don't hash to the same slot", b'commands.cross_slot = "all"'],
    ),
    "too big to copy": (
        replies_across.across_too_big(b"sunion", found_bytes=9, limit_bytes=5),
        b"CROSSSLOT",
        [b"copy 9 bytes", b"limits.cross_slot_limit_bytes is 5", b"nothing has run"],
    ),
    "moved in part": (
        replies_across.across_left_at_source(b"rename", replies.lost_write(NODE)),
        b"IOERR",
        [b"wrote its destination", b"outcome unknown", NODE.encode()],
    ),
    "moved too late": (
        replies_across.across_write_too_late(b"lmove", 20.0),
        b"IOERR",
        [b"outcome unknown", b"cluster.request_timeout_s (20)", b"or both"],
    ),
    "unreachable at a timeout": (
        replies_blocking.unreachable_at_timeout(b"blpop", 1800),
        b"CLUSTERDOWN",
        [b"slot 1800", b"'blpop'", b"nothing was taken"],
    ),
    "replicas not counted": (
        replies_blocking.acknowledgement_lost(b"wait", NODE),
        b"IOERR",
        [NODE.encode(), b"'wait'", b"is unknown"],
    ),
    "replicas not to be counted": (
        replies_blocking.acknowledgement_doubtful(b"wait", NODE),
        b"IOERR",
        [NODE.encode(), b"'wait'", b"is unknown"],
    ),
    "session": (replies.needs_session(b"multi"), b"ERR", [b"'multi'"]),
    "denied": (replies.denied(b"shutdown"), b"NOPERM", [b"'shutdown'", b"commands.deny"]),
    "never sent": (
        replies.never_sent(1800, 20.0),
        b"CLUSTERDOWN",
        [b"slot 1800", b"cluster.request_timeout_s (20)", b"did not run"],
    ),
    "never sent, no key": (
        replies.never_sent(None, 0.5),
        b"CLUSTERDOWN",
        [b"no primary could", b"cluster.request_timeout_s (0.5)", b"did not run"],
    ),
    "no map": (
        replies.unreached_cluster(20.0),
        b"CLUSTERDOWN",
        [b"cluster.seeds", b"cluster.request_timeout_s (20)", b"did not run"],
    ),
    "read without reply": (
        replies.no_reply_to_read(NODE, 20.0),
        b"IOERR",
        [NODE.encode(), b"cluster.request_timeout_s (20)", b"can be sent again"],
    ),
    "write without reply": (
        replies.no_reply_to_write(NODE, 20.0),
        b"IOERR",
        [
            b"outcome unknown",
            b"may or may not have run",
            NODE.encode(),
            b"cluster.request_timeout_s (20)",
        ],
    ),
    "read lost": (replies.lost_read(NODE), b"IOERR", [NODE.encode(), b"can be sent again"]),
    "write lost": (
        replies.lost_write(NODE),
        b"IOERR",
        [b"outcome unknown", b"may or may not have run", NODE.encode()],
    ),
    "arguments": (replies_protocol.too_many_arguments(5), b"ERR", [b"limits.argument_limit is 5"]),
    "argument": (
        replies_protocol.argument_too_big(5),
        b"ERR",
        [b"limits.argument_limit_bytes is 5"],
    ),
    "inline": (replies_protocol.inline_too_big(5), b"ERR", [b"limits.inline_limit_bytes is 5"]),
    "request": (replies_protocol.request_too_big(5), b"ERR", [b"limits.request_limit_bytes is 5"]),
    "reply": (
        replies.reply_too_big(NODE, 5),
        b"ERR",
        [NODE.encode(), b"limits.reply_limit_bytes (5)", b"the command ran"],
    ),
    "parts of a write": (
        replies.parts_failed(
            b"mset",
            failed=2,
            parts=5,
            first_error=b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
            is_write=True,
        ),
        b"OOM",
        [b"2 of 5 parts of 'mset' failed", b"the other 3 took effect", b"command not allowed"],
    ),
    "parts of a read": (
        replies.parts_failed(
            b"mget", failed=1, parts=2, first_error=replies.never_sent(7, 1.0), is_write=False
        ),
        b"CLUSTERDOWN",
        [b"1 of 2 parts of 'mget' failed", b"what the other 1 read was dropped", b"slot 7"],
    ),
    "all parts": (
        replies.parts_failed(
            b"del", failed=3, parts=3, first_error=replies.lost_write(NODE), is_write=True
        ),
        b"IOERR",
        [b"3 of 3 parts of 'del' failed: outcome unknown"],
    ),
    "one node": (
        replies.node_failed(
            b"dbsize", node=NODE, first_error=b"-NOPERM this user has no permissions\r\n"
        ),
        b"NOPERM",
        [b"'dbsize'", NODE.encode(), b"this user has no permissions"],
    ),
}


@pytest.mark.parametrize(("frame", "code", "words"), OURS.values(), ids=OURS.keys())
def test_our_own_texts_say_what_to_look_at(frame: bytes, code: bytes, words: list[bytes]) -> None:
    assert frame.startswith(b"-%b " % code)
    assert frame.endswith(b"\r\n")
    assert [word for word in words if word not in frame] == []


def every_text() -> dict[str, Callable[..., bytes]]:
    return {
        name: function
        for module in (replies, replies_across, replies_blocking, replies_protocol)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


SAMPLES: dict[str, object] = {
    "args": [b"a"],
    "first_error": b"-ERR x\r\n",
    "node": NODE,
    "timeout_s": 20.0,
    "slot": 5,
    "limit": 5,
    "limit_bytes": 5,
    "found": 6,
    "found_bytes": 6,
    "written": 1,
    "failed": 1,
    "parts": 2,
    "is_write": True,
}


@pytest.mark.parametrize("name", every_text())
def test_every_text_begins_with_a_code_and_is_documented(name: str) -> None:
    function = every_text()[name]
    frame = function_with_samples(function)

    assert re.fullmatch(rb"-[A-Z]+ [^\r\n]+\r\n", frame)
    assert inspect.getdoc(function)


def function_with_samples(function: Callable[..., bytes]) -> bytes:
    signature = inspect.signature(function)
    named = {
        name: SAMPLES.get(name, b"word")
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    placed = [SAMPLES.get(name, b"word") for name in signature.parameters if name not in named]
    return function(*placed, **named)


def test_the_code_of_a_blob_error_is_found_too() -> None:
    frame = replies.parts_failed(
        b"mget", failed=1, parts=2, first_error=b"!21\r\nSYNTAX invalid syntax\r\n", is_write=False
    )

    assert frame.startswith(b"-SYNTAX 1 of 2 parts of 'mget' failed")
