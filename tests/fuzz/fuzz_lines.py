"""Targets: lines and words, read and written.

``lines``: what people and files give is read, or refused, and never anything else.
``written``: whatever is quoted in a reply, a log line or a line of MONITOR, it stays what it is.
"""

from __future__ import annotations

import contextlib
import json

import structlog
from hostile_wire import NUMBERS, REFUSALS, WORDS, hostile_reply
from lots import Lots

from proxy.advise.monitor_log import LineCutter, parse_line
from proxy.cluster.addresses import split_host_port
from proxy.commands.glob import compile_glob
from proxy.commands.scan_cursor import decode_cursor, encode_cursor, parse_options
from proxy.dataplane.frames import ReplyStream, RequestStream
from proxy.insight.shown import text_of
from proxy.logs.text import Harmless, one_line
from proxy.resp import encode, replies, replies_across, replies_transactions
from proxy.resp.decode import decode
from proxy.resp.inline import split_inline
from proxy.sessions import blocking_words
from proxy.sessions.arguments import is_printable_name, parse_integer
from proxy.sessions.monitor import describe

BLOCKING = [b"blpop", b"brpop", b"bzpopmin", b"blmpop", b"bzmpop", b"blmove", b"brpoplpush"]
PIECES = [b"a", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"!", b"\xff", b"\x00", b"**", b"a-z"]
MONITORED = [
    b"1.2 [0 127.0.0.1:1] ", b'"get"', b' "a"', b"\\x", b"\\", b'"', b" ", b"1.000001 [0 lua] ",
    b"[", b"]", b"9" * 30, b"\n", b"\r", b"unix:/x y", b'"\\xff"',
]  # fmt: skip


def words(lots: Lots, count: int) -> list[bytes]:
    """Return words: ordinary, odd, and any bytes."""
    return [
        lots.choice([lots.choice(WORDS), lots.choice(NUMBERS), lots.take(lots.below(12))])
        for _ in range(lots.below(count))
    ]


def read_lines(data: bytes) -> None:
    """Read a line in every way in which one is read."""
    lots = Lots(data)
    args = words(lots, 8)
    parse_options(args)
    for word in args:
        number = parse_integer(word)
        if number is not None:
            position = decode_cursor(number)
            assert position is None or decode_cursor(encode_cursor(position)) == position
        is_printable_name(word)
        with contextlib.suppress(ValueError):
            split_host_port(word.decode("utf-8", "replace"))
    name = lots.choice([*BLOCKING, b"xread", b"xreadgroup"])
    if len(args) > 3:
        seconds = blocking_words.timeout_s(name, [name, *args])
        assert seconds is None or seconds >= 0
    matches = compile_glob(b"".join(lots.choice(PIECES) for _ in range(lots.below(20))))
    matches(lots.take(30))
    line = b"".join(lots.choice(MONITORED) for _ in range(lots.below(12)))
    cutter = LineCutter(40)
    for piece in lots.cut(line):
        for whole, is_cut in cutter.feed(piece):
            parse_line(whole, is_cut=is_cut)
    split_inline(lots.rest())


def write_lines(data: bytes) -> None:
    """Quote hostile words wherever words are quoted: one frame, one line, nothing else."""
    lots = Lots(data)
    args = words(lots, 6)
    word = lots.choice([*args, lots.take(20)])
    frame = b"-" + lots.choice(REFUSALS) + lots.choice([b"\r\n", b"", word])
    for reply in (
        replies.unknown_command(word, args),
        replies.wrong_arity(word),
        replies.hello_syntax(word),
        replies.unknown_subcommand(word, word),
        replies.cross_slot(word),
        replies.limit_reached(word, 1),
        replies.node_failed(word, node=text_of(word), first_error=frame),
        replies_transactions.exec_aborted_by(frame),
        replies_across.across_left_at_source(word, frame),
        encode.error(word),
        encode.bulk(word),
        encode.verbatim(word, 3),
        describe([b"x", *args], microseconds=1, source=b"127.0.0.1:1", database=0),
    ):
        assert ReplyStream().feed(reply) == [reply], reply
    assert RequestStream().feed(encode.encode_command(b"x", *args)) == [[b"x", *args]]
    assert decode(encode.bulk(word)) == word
    line = describe([b"x", *args], microseconds=1_000_001, source=b"127.0.0.1:1", database=0)
    monitored = parse_line(line[1:-2])
    assert monitored is not None
    assert monitored.args == (b"x", *args)
    text = one_line(word.decode("utf-8", "surrogateescape"))
    assert text.isprintable()
    assert text_of(word).isprintable()
    fields = Harmless("json")(structlog.get_logger(), "info", {"event": "x", "word": word})
    assert "\n" not in json.dumps(fields, default=str)
    hostile_reply(lots)
