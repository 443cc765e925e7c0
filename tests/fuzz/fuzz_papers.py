"""Targets: what is read beside the traffic.

``papers``: backups, plans of moves, certificates, what a health check is told, node reports. Each
is a value, or the one error that it says it raises.
``advice``: a MONITOR log through the whole analysis: a report, whatever is in the log.
"""

from __future__ import annotations

import contextlib
import io
import json
from base64 import encodebytes
from functools import cache

from fuzz_maps import INFO_LINES, NODE_WORDS
from hostile_wire import NUMBERS, WORDS
from lots import Lots
from rich.console import Console

from proxy.advise.analysis import Analysis
from proxy.advise.report import Source, make_report
from proxy.advise.rules import Rules
from proxy.advise.show import show_report
from proxy.advise.watching import parse_client_list
from proxy.advise.wording import Wording
from proxy.cluster.addresses import MAX_PORT, Address
from proxy.commands.pins import Pin, PinTable
from proxy.commands.spec import CommandSpec
from proxy.commands.table import snapshot_table
from proxy.errors import BackendProtocolError
from proxy.life.health import read_answer
from proxy.manage.backup_file import as_json_text, as_toml, read_backup
from proxy.manage.move_figures import read_moves
from proxy.manage.report import parse_report
from proxy.tls.certificate import read_certificates

ASKED = Address("10.0.0.1", 6379)
DEEP = 20_000
ODD = ["", "x", "0-5", "5-0", "-1", "16384", "9" * 5000, "٣", "primary", "\x7f\n\"", None, 1, -1.5,
       [], {}, True, "10.0.0.1:00000199999", "a\ud800"]  # fmt: skip


def read_papers(data: bytes) -> None:
    """Read one paper of each kind."""
    lots = Lots(data)
    match lots.below(5):
        case 0:
            _read_backup(lots)
        case 1:
            with contextlib.suppress(ValueError):
                read_moves(_json(lots, {"moves": [_move(lots) for _ in range(lots.below(3))]}))
        case 2:
            _read_certificates(lots)
        case 3:
            body = _json(lots, {"missing": [lots.choice(ODD), lots.choice(ODD)]})
            status = lots.choice([b"200 OK", b"503 x", b"", b"\xff", b"200"])
            head = b"HTTP/1.1 " + status + lots.choice([b"\r\n\r\n", b"\n\n", b""])
            is_ready, why = read_answer(head + body.encode("utf-8", "surrogatepass"), "a:1")
            assert isinstance(is_ready, bool)
            assert why
        case _:
            _read_report(lots)


def _json(lots: Lots, value: object) -> str:
    if lots.rarely():
        return lots.choice("[{") * DEEP
    text = json.dumps(value)
    at = lots.below(len(text) + 1)
    return text[:at] + lots.take(2).decode("latin-1") + text[at:] if lots.below(4) == 0 else text


def _move(lots: Lots) -> object:
    move = {name: lots.choice(ODD[:3]) for name in ("source", "target", "slots")}
    if lots.rarely():
        move[lots.choice(list(move))] = lots.choice(ODD)
    return lots.choice(ODD) if lots.rarely() else move


def _read_backup(lots: Lots) -> None:
    nodes = []
    for number in range(1 + lots.below(3)):
        node: dict[str, object] = {
            "id": f"{number}", "address": f"10.0.0.{number}:7000", "role": "primary",
            "slots": f"{5 * number}-{5 * number + 4}", "settings": {"a": "b"},
        }  # fmt: skip
        if number and lots.flag():
            node |= {"role": "replica", "copies": "0", "slots": ""}
        for _ in range(lots.below(3)):
            key = lots.choice([*node, "hostname", "config_epoch", "version"])
            node[key] = lots.choice(ODD)
        nodes.append(node)
    text = _json(lots, {"format": 1, "taken_at": lots.choice(ODD[:3]), "nodes": nodes})
    try:
        backup = read_backup(text, is_json=True)
    except ValueError:
        backup = None
    with contextlib.suppress(ValueError):
        read_backup(_as_table(lots, text), is_json=False)
    if backup is not None:
        assert all(1 <= node.address.port <= MAX_PORT for node in backup.nodes)
        assert read_backup(as_json_text(backup), is_json=True) == backup
        assert read_backup(as_toml(backup), is_json=False) == backup


def _as_table(lots: Lots, text: str) -> str:
    """Return JSON as what TOML may be made of."""
    return text.replace(": ", " = ").replace("{", lots.choice(["{", "[[nodes]]\n", "[", ""]))


# ---- certificates ----------------------------------------------------------------------------


def _read_certificates(lots: Lots) -> None:
    text = ""
    for _ in range(1 + lots.below(2)):
        body = encodebytes(_certificate(lots)).decode()
        if lots.rarely():
            body = body[: lots.below(len(body))] + lots.choice(["=", "é", "-", "\n\n", ""])
        text += f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    with contextlib.suppress(ValueError):
        for certificate in read_certificates(text[: -lots.below(40) or None]):
            assert certificate.title


def _certificate(lots: Lots) -> bytes:
    name = _der(lots, 0x30, _der(lots, 0x31, _der(lots, 0x30, _der(lots, 6, b"\x55\x04\x03"),
                _der(lots, 12, lots.take(5)))))  # fmt: skip
    times = [b"250101000000Z", b"20500101000000Z", b"99991231235959Z", b"000000000000Z", b"x", b""]
    validity = b"".join(_der(lots, lots.choice([0x17, 0x18]), lots.choice(times)) for _ in "ab")
    names = b"".join(
        _der(lots, lots.choice([0x82, 0x87, 0x81]), lots.take(lots.choice([0, 4, 16, 3])))
        for _ in range(lots.below(4))
    )
    extension = _der(
        lots, 0x30, _der(lots, 6, b"\x55\x1d\x11"), _der(lots, 4, _der(lots, 0x30, names))
    )
    fields = [
        _der(lots, 0xA0, b"\x02\x01\x02"), _der(lots, 2, b"\x01"), _der(lots, 0x30, b""), name,
        _der(lots, 0x30, validity), name, _der(lots, 0x30, b""),
        _der(lots, 0xA3, _der(lots, 0x30, extension)),
    ]  # fmt: skip
    if lots.rarely():
        del fields[lots.below(len(fields)) :]
    return _der(lots, 0x30, _der(lots, 0x30, *fields), _der(lots, 0x30, b""))


def _der(lots: Lots, tag: int, *contents: bytes) -> bytes:
    """Return a value of DER; now and then its length lies."""
    content = b"".join(contents)
    length = bytes([0x82]) + len(content).to_bytes(2, "big")
    if len(content) < 128:
        length = bytes([len(content)])
    if lots.rarely():
        length = lots.choice([b"\x80", b"\xff", b"\x84\xff\xff\xff\xff", b"\x01", b"", b"\x81\x00"])
    return bytes([tag]) + length + content


# ---- reports ---------------------------------------------------------------------------------


def _read_report(lots: Lots) -> None:
    lines = []
    for number in range(1 + lots.below(3)):
        words = [b"%040d" % number, b"10.0.0.1:7000@17000,h,k=v", b"master", b"-", b"0", b"0", b"1"]
        words += [b"connected", b"0-5"]
        if number == 0:
            words[2] = b"myself,master"
        for _ in range(lots.below(3)):
            words[lots.below(9)] = lots.choice(
                [*NODE_WORDS, *NUMBERS, "a\x85b".encode(), b"a\x1cb"]
            )
        lines.append(b" ".join(words))
    info = b"\r\n".join(lots.choice(INFO_LINES) for _ in range(lots.below(8)))
    info += lots.choice([b"\r\nx:" + b"9" * 5000, b"", b"\r\ndb1:keys=" + b"9" * 5000])
    try:
        report = parse_report(ASKED, (b"\n".join(lines), info, info), "")
    except BackendProtocolError:
        return
    if report.not_in_cluster_mode:
        return
    assert all(0 <= line.port <= MAX_PORT for line in report.lines)
    assert report.keys >= 0
    assert isinstance(report.number("x"), int)
    assert report.id
    assert report.own_slots is not None
    assert isinstance(report.is_supported, bool)
    parse_client_list(lots.rest())


# ---- advice ----------------------------------------------------------------------------------

TALK = [
    b"get", b"set", b"mget", b"mset", b"del", b"multi", b"exec", b"discard", b"watch", b"unwatch",
    b"eval", b"evalsha", b"fcall", b"subscribe", b"blpop", b"sort", b"sinterstore", b"xread",
    b"client", b"setname", b"hello", b"select", b"reset", b"quit", b"keys", b"scan", b"rename",
    b"zunionstore", b"bitop", b"georadius", b"migrate", b"nosuch", b"publish", b"flushall",
]  # fmt: skip
SOURCES = [b"10.0.0.1:1", b"10.0.0.2:1", b"[::1]:1", b"unix:/x y", b"lua", b"", b"] [", b"\xff"]


@cache
def _specs() -> tuple[CommandSpec, ...]:
    return tuple(snapshot_table(Rules().denied))


def read_log(data: bytes) -> None:
    """Take a log, cut anywhere and with gaps, and make and show the report."""
    lots = Lots(data)
    shows = lots.below(64) == 63
    pins = PinTable([Pin(b"k", b"t")] if lots.flag() else [])
    rules = Rules(
        transactions=lots.choice(["strict", "split"]),
        cross_slot=lots.choice(["reject", "reads", "all"]),
        pins=pins,
        databases=1 + lots.below(2),
    )
    wording = Wording(hide_keys=lots.flag(), show_values=lots.flag())
    analysis = Analysis(_specs(), rules, wording)
    while lots:
        for piece in lots.cut(b"".join(_line(lots) for _ in range(1 + lots.below(4)))):
            analysis.feed(piece)
        if lots.rarely():
            analysis.skip()
    analysis.end()
    report = make_report(analysis, Source("log", "-", "x"))
    json.dumps(report.as_json())
    if shows:  # it takes ten times as long as all the rest
        show_report(report, Console(file=io.StringIO(), width=80))


def _line(lots: Lots) -> bytes:
    words = [lots.choice(TALK)]
    for _ in range(lots.below(6)):
        words.append(
            lots.choice([b"k%d" % lots.below(9), lots.choice(WORDS), lots.choice(NUMBERS)])
        )
    if lots.rarely():
        words.append(lots.take(8) * (1 << lots.below(12)))
    quoted = b" ".join(b'"' + _quoted(word) + b'"' for word in words)
    line = b"%d.%06d [%d %b] %b" % (
        lots.below(9), lots.below(1000), lots.below(3) if lots.rarely() else 0,
        lots.choice(SOURCES if lots.rarely() else SOURCES[:3]), quoted,
    )  # fmt: skip
    if lots.rarely():
        at = lots.below(len(line))
        line = line[:at] + lots.take(2) + line[at:]
    return line + lots.choice([b"\n", b"\n", b"\n", b"\r\n"])


def _quoted(word: bytes) -> bytes:
    return b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\x%02x" % byte
        for byte in word
    )
