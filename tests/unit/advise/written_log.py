"""Write lines as a server's MONITOR does: the tests' own copy of ``sdscatrepr``."""

from __future__ import annotations

from proxy.advise.analysis import Analysis
from proxy.advise.rules import Rules
from proxy.commands.table import snapshot_table

NAMED = {
    ord("\\"): b"\\\\",
    ord('"'): b'\\"',
    10: b"\\n",
    13: b"\\r",
    9: b"\\t",
    7: b"\\a",
    8: b"\\b",
}


def quoted(argument: bytes) -> bytes:
    """Return an argument as a server writes it."""
    pieces = []
    for byte in argument:
        if byte in NAMED:
            pieces.append(NAMED[byte])
        elif 32 <= byte < 127:
            pieces.append(bytes([byte]))
        else:
            pieces.append(b"\\x%02x" % byte)
    return b'"' + b"".join(pieces) + b'"'


def written(
    *args: bytes | str, source: str = "10.0.0.1:5000", database: int = 0, at_us: int = 0
) -> bytes:
    """Return the line of one command; a source ``lua`` is a script's."""
    words = b" ".join(quoted(a if isinstance(a, bytes) else a.encode()) for a in args)
    return b"%d.%06d [%d %b] %b" % (at_us // 10**6, at_us % 10**6, database, source.encode(), words)


def log_of(text: str, *, source: str = "10.0.0.1:5000", database: int = 0) -> bytes:
    """Return a log of commands, one a line; ``lua:`` before one says that a script did it."""
    lines = []
    for command in filter(None, map(str.strip, text.splitlines())):
        is_script = command.startswith("lua:")
        words = command.removeprefix("lua:").split()
        lines.append(written(*words, source="lua" if is_script else source, database=database))
    return b"\n".join(lines) + b"\n"


def analysed(*logs: bytes, rules: Rules | None = None) -> Analysis:
    """Return the ended analysis of some logs, one after the other."""
    rules = rules or Rules()
    analysis = Analysis(snapshot_table(rules.denied), rules)
    for log in logs:
        analysis.feed(log)
    analysis.end()
    return analysis
