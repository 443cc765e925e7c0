"""Write proxy/commands/snapshot.json: what one Redis 7.0 says about its commands.

The snapshot serves servers that cannot describe their commands in full (Redis
6.2 and older, or COMMAND forbidden by ACL). It is the reply of a running
server and nothing else, so it is made, never edited:

    redis-server --port 7999 &
    python tools/make_snapshot.py 127.0.0.1 7999

Only the fields that ``proxy/commands/rows.py`` reads are kept; one line a
command, sorted, so that a difference between two versions can be read.

``--wire FILE`` (and ``--resp 3``) writes the bytes of the reply instead,
compressed: the data of tests/unit/commands.
"""

from __future__ import annotations

import argparse
import gzip
import json
import socket
import sys
from pathlib import Path

import hiredis

SNAPSHOT = Path(__file__).resolve().parent.parent / "proxy" / "commands" / "snapshot.json"
KEPT_OF_A_KEY_SPEC = ("flags", "begin_search", "find_keys")
READ_BYTES = 1 << 16


def ask(host: str, port: int, *commands: tuple[bytes, ...]) -> tuple[list[object], bytes]:
    """Return the values of the replies to ``commands``, and the last one's bytes.

    Raises:
        ConnectionError: The server closed the connection or refused a command.
    """
    reader = hiredis.Reader()
    replies: list[object] = []
    wire = b""
    with socket.create_connection((host, port), timeout=10) as connection:
        for command in commands:
            connection.sendall(hiredis.pack_command(command))
            wire = b""
            while (reply := reader.gets()) is False:
                received = connection.recv(READ_BYTES)
                if not received:
                    raise ConnectionError(f"{host}:{port} closed the connection")
                reader.feed(received)
                wire += received
            if isinstance(reply, hiredis.ReplyError):
                raise ConnectionError(f"{host}:{port} answered {reply}")
            replies.append(reply)
    return replies, wire


def to_json(value: object) -> object:
    """Return a value with text for bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return value


def row_to_json(row: list[object]) -> list[object]:
    """Return one command's ten fields; key specs as objects, without their notes."""
    name, arity, flags, first, last, step, categories, tips, key_specs, _ = map(to_json, row)
    return [
        name,
        arity,
        sorted(flags),
        first,
        last,
        step,
        sorted(categories),
        tips,
        [
            {key: _as_map(value) for key, value in _pairs(spec) if key in KEPT_OF_A_KEY_SPEC}
            for spec in key_specs
        ],
        sorted(row_to_json(subcommand) for subcommand in row[9]),
    ]


def _pairs(flat: list) -> list[tuple]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _as_map(value: object) -> object:
    """Return begin_search and find_keys as objects; the list of flags stays one."""
    if isinstance(value, list) and value[:1] == ["type"]:
        return {key: dict(_pairs(item)) if key == "spec" else item for key, item in _pairs(value)}
    return value


def snapshot_text(host: str, port: int) -> str:
    """Return the whole file for the server at ``host:port``."""
    (info, commands), _ = ask(host, port, (b"INFO", b"server"), (b"COMMAND",))
    facts = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    rows = sorted((row_to_json(row) for row in commands), key=lambda row: row[0])
    lines = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in rows)
    return f'{{"server": "redis {facts["redis_version"]}", "commands": [\n{lines}\n]}}\n'


def main() -> int:
    """Write the snapshot, or with --wire one reply as it came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--wire", type=Path, help="write the reply's bytes to this file, gzipped")
    parser.add_argument("--resp", choices=("2", "3"), default="2", help="for --wire")
    options = parser.parse_args()

    if options.wire:
        hello = (b"HELLO", options.resp.encode())
        _, wire = ask(options.host, options.port, hello, (b"COMMAND",))
        options.wire.write_bytes(gzip.compress(wire, mtime=0))
        return 0
    SNAPSHOT.write_text(snapshot_text(options.host, options.port), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
