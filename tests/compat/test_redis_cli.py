"""redis-cli: interactive on a terminal, --scan, --bigkeys, --memkeys, --pipe, --eval, -r, RESP3."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest
from applications import Serve, Workers

from proxy.cluster.topology import Address
from proxy.resp.encode import encode_command

PROGRAM = shutil.which("redis-cli")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="redis-cli is not installed")
ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r")


def _command(address: Address, *more: str) -> tuple[str, ...]:
    return (PROGRAM or "", "-h", address.host, "-p", str(address.port), *more)


class _Terminal:
    """Somebody who types, and reads the screen."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb"
            os.execv(command[0], command)
        self.screen = b""

    def type(self, line: str, until: str, within_s: float = 10.0) -> str:
        """Type a line; return what came on the screen up to ``until``."""
        seen = len(self.screen)
        os.write(self.fd, line.encode() + b"\n")
        deadline = time.monotonic() + within_s
        while until.encode() not in self.screen[seen + len(line) :]:
            ready, _, _ = select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, self.screen
            self.screen += ANSI.sub(b"", os.read(self.fd, 4096))
        return self.screen[seen:].decode()

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_a_person_at_the_prompt_gets_what_a_server_says(serve: Serve) -> None:
    address = serve()
    terminal = _Terminal(_command(address))
    try:
        terminal.type("SET greeting 'hello world'", "OK")
        terminal.type("get greeting", '"hello world"')
        terminal.type("LPUSH list a b c", "(integer) 3")
        terminal.type("LRANGE list 0 -1", '3) "a"')
        terminal.type("INCR greeting", "(error) ERR value is not an integer")
        terminal.type("nonsense", "(error) ERR unknown command 'nonsense'")
        terminal.type("MULTI", "(TX)>")
        terminal.type("INCR counter", "QUEUED")
        terminal.type("EXEC", "1) (integer) 1")
        terminal.type("HELLO 3", "proto")
        terminal.type("HGETALL none", "(empty hash)")
        terminal.type("SELECT 0", "OK")
        terminal.type("help GET", "since: 1.0.0")
        terminal.type("SUBSCRIBE news", "(integer) 1")
    finally:
        terminal.close()


def test_scan_bigkeys_and_memkeys_see_every_key(serve: Serve, workers: Workers) -> None:
    address = serve()
    commands = "".join(f"SET key:{n} {n}\n" for n in range(300)) + "RPUSH biglist a b c d e\n"
    subprocess.run(_command(address), input=commands.encode(), check=True, capture_output=True)

    scanned = workers.run(*_command(address, "--scan", "--pattern", "key:*")).split()
    big = workers.run(*_command(address, "--bigkeys"))
    heavy = workers.run(*_command(address, "--memkeys"))

    assert sorted(scanned) == sorted(f"key:{n}" for n in range(300))
    assert "Sampled 301 keys in the keyspace" in big
    assert "Biggest   list found" in big
    assert "has 5 items" in big
    assert "Sampled 301 keys in the keyspace" in heavy


def test_a_mass_insertion_by_pipe_counts_replies_and_errors(serve: Serve) -> None:
    address = serve()
    data = b"".join(encode_command("SET", f"bulk:{n}", n) for n in range(20_000))
    data += encode_command("INCR", "bulk:1", "too many")

    done = subprocess.run(
        _command(address, "--pipe"), input=data, capture_output=True, check=False, timeout=60
    )

    assert b"errors: 1, replies: 20001" in done.stdout, done
    left = subprocess.run(_command(address, "DBSIZE"), capture_output=True, check=True)
    assert left.stdout == b"20000\n"


def test_scripts_repetitions_and_raw_values(serve: Serve, workers: Workers) -> None:
    address = serve()
    script = workers.directory / "add.lua"
    script.write_text("return redis.call('INCRBY', KEYS[1], ARGV[1])")

    assert workers.run(*_command(address, "--eval", str(script), "sum", ",", "42")) == "42\n"
    assert workers.run(*_command(address, "-r", "3", "INCR", "n")) == "1\n2\n3\n"
    assert workers.run(*_command(address, "-3", "HGETALL", "none")) == "\n"
    assert workers.run(*_command(address, "--no-raw", "EXISTS", "n")) == "(integer) 1\n"
