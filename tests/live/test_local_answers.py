"""What the proxy answers itself, compared with what a standalone server answers.

The handlers are called directly, around a fake client and a fake context; the
server is real, of both engines. The same dialogue goes to both, over RESP2 and
RESP3, and the raw frames must be equal.

What may differ, and is made equal before the comparison:

- ids, addresses, file descriptors, ages, and the sizes of buffers and traffic:
  ``VOLATILE_FIELDS`` of CLIENT LIST and CLIENT INFO;
- ``modules`` of HELLO: Valkey 9.1 names its Lua engine, the proxy names none;
- ``lib-name`` and ``lib-ver`` behind Redis 7.0, which does not have them yet.

What differs on purpose is not in the dialogues, but has tests of its own at
the end of this file.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import hiredis
import pytest

from proxy.cluster.topology import Node
from proxy.commands.spec import Road
from proxy.commands.table import compile_table
from proxy.embedded.errors import EngineMissing
from proxy.embedded.standalone import StandaloneServer
from proxy.resp.encode import encode_command
from proxy.resp.inline import split_inline
from proxy.sessions.local import find_async, find_sync
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.state import ClientState

# The fakes are the unit tests' own; pytest puts only this file's folder on the path.
sys.path.append(str(Path(__file__).parents[1] / "unit" / "sessions"))
from local_dialogues import (
    DIALOGUES,
    PASSWORD_DIALOGUES,
    PASSWORDS,
    VALKEY_DIALOGUES,
)
from session_fakes import FakeClient, FakeContext, FakeNodes, topology_of

pytestmark = pytest.mark.live

TIMEOUT_S = 10
COMPARED_VERSIONS = {"redis": b"7.0.", "valkey": b"9.1."}
# Every server answers this with this, logged in or not, and nothing changes by it.
SENTINEL = encode_command("HELLO", 2, "end-of-answer")
SENTINEL_ANSWER = b"-ERR Syntax error in HELLO option 'end-of-answer'\r\n"

VOLATILE_FIELDS = (
    b"id addr laddr fd age idle qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem"
    b" tot-net-in tot-net-out tot-cmds"
).split()


# ---- the two sides -------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A standalone server that runs."""

    port: int
    version: bytes


class Connection:
    """A connection to a real server that gives raw frames."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        host, number = self.socket.getsockname()
        self.address = f"{host}:{number}".encode()
        self.id = self.say(b"CLIENT", b"ID").strip(b":\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.socket.close()

    def say(self, *args: bytes) -> bytes:
        """Return the raw answer, which may be empty; what comes after it is not an answer."""
        return self.send(encode_command(*args))

    def send(self, frames: bytes) -> bytes:
        """Return all that the server sends for some requests, or sends before it closes."""
        self.socket.sendall(frames + SENTINEL)
        received = b""
        while not received.endswith(SENTINEL_ANSWER):
            data = self.socket.recv(1 << 16)
            if not data:
                return received + b"<closed>"
            received += data
        return received.removesuffix(SENTINEL_ANSWER)


class OneServer(FakeNodes):
    """A "cluster" whose every node is one real server, for what is passed on."""

    def __init__(self, port: int) -> None:
        super().__init__(topology_of(["only"]), {})
        self.port = port

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        with Connection(self.port) as connection:
            connection.say(b"HELLO", b"%d" % resp)
            return connection.say(*args)


class Proxy:
    """The local answers, for one client; its "cluster" is the server it is compared with."""

    def __init__(
        self, engine: str, running: Running, passwords: dict[bytes, bytes] | None = None
    ) -> None:
        passwords = passwords or {}
        self.client = FakeClient(state=ClientState(authenticated=not passwords))
        self.id = b"%d" % self.client.id
        self.address = self.client.address.encode()
        self.context = FakeContext(
            server_name=engine.encode(),
            server_version=running.version,
            passwords=PasswordBook(passwords),
            connected=[self.client],
            nodes=OneServer(running.port),
        )

    async def say(self, *args: bytes) -> bytes:
        """Return the raw answer, with a mark when the client is closed after it."""
        answer = await self.context.ask(self.client, *args)
        return answer + b"<closed>" if self.client.closed else answer


def words_of(line: str, me: Connection | Proxy) -> list[bytes]:
    """Return the words of a line as redis-cli would send them, with {id} and the like filled in."""
    words = split_inline(line.encode())
    assert words
    filled = {b"{id}": me.id, b"{addr}": me.address, b"{long}": 200 * b"x"}
    return [filled.get(word, word) for word in words]


def normal(answer: bytes, engine: str) -> bytes:
    """Return an answer with everything taken out that this file's head says may differ."""
    if answer.startswith((b"*14\r\n$6\r\nserver", b"%7\r\n$6\r\nserver")):
        answer = re.sub(rb"\r\nid\r\n:\d+", b"\r\nid\r\n:N", answer)
        return answer.partition(b"$7\r\nmodules\r\n")[0]
    if re.match(rb"[$=]\d+\r\n(txt:)?id=", answer):
        header, _, text = answer.partition(b"\r\n")
        for field in VOLATILE_FIELDS:
            text = re.sub(rb"\b%b=\S+" % field, field + b"=*", text)
        if engine == "redis":
            text = re.sub(rb" lib-name=\S* lib-ver=\S*", b"", text)
        return header[:1] + text
    return answer


# ---- the comparison ----------------------------------------------------------------


@pytest.fixture(scope="module", params=["redis", "valkey"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def running(engine: str) -> Iterator[Running]:
    """Run a standalone server of the engine, in the version whose words the handlers use."""
    try:
        server = StandaloneServer(engine)
    except EngineMissing as missing:
        pytest.skip(str(missing))
    with server:
        with Connection(server.port) as connection:
            hello = connection.say(b"HELLO")
        version = hello.partition(b"$7\r\nversion\r\n")[2].split(b"\r\n")[1]
        if not version.startswith(COMPARED_VERSIONS[engine]):
            pytest.skip(f"{engine} {version.decode()} has other words here and there")
        yield Running(server.port, version)


@pytest.fixture
def server(running: Running) -> Iterator[Connection]:
    """Connect to the server, anew for each test."""
    with Connection(running.port) as connection:
        yield connection


@pytest.fixture
def server_with_passwords(running: Running) -> Iterator[Connection]:
    """Connect to the same server, which now wants PASSWORDS, and do not log in."""
    with Connection(running.port) as admin:
        admin.say(b"CONFIG", b"SET", b"requirepass", PASSWORDS[b"default"])
        admin.say(b"ACL", b"SETUSER", b"bob", b"on", b">" + PASSWORDS[b"bob"], b"+@all", b"~*")
        with Connection(running.port) as stranger:
            yield stranger
        admin.say(b"CONFIG", b"SET", b"requirepass", b"")
        admin.say(b"ACL", b"DELUSER", b"bob")


async def compare(
    engine: str, dialogue: str, server: Connection, proxy: Proxy, *, resp: int
) -> None:
    """Say every line of a dialogue to both and assert that the answers are equal."""
    lines = [line.strip() for line in dialogue.strip().splitlines()]
    if resp == 3:
        lines.insert(0, "HELLO 3")
    for line in lines:
        expected = server.say(*words_of(line, server))
        answer = await proxy.say(*words_of(line, proxy))
        assert normal(answer, engine) == normal(expected, engine), line


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
async def test_local_answers_are_a_standalone_servers(
    engine: str, running: Running, server: Connection, dialogue: str, resp: int
) -> None:
    await compare(engine, dialogue, server, Proxy(engine, running), resp=resp)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", VALKEY_DIALOGUES.values(), ids=VALKEY_DIALOGUES.keys())
async def test_what_only_newer_servers_answer_is_theirs(
    engine: str, running: Running, server: Connection, dialogue: str, resp: int
) -> None:
    if engine == "redis":
        pytest.skip("Redis 7.0 does not know these; the proxy answers them all the same")
    await compare(engine, dialogue, server, Proxy(engine, running), resp=resp)


@pytest.mark.parametrize("dialogue", PASSWORD_DIALOGUES.values(), ids=PASSWORD_DIALOGUES.keys())
async def test_logging_in_is_as_at_a_standalone_server(
    engine: str, running: Running, server_with_passwords: Connection, dialogue: str
) -> None:
    proxy = Proxy(engine, running, PASSWORDS)
    await compare(engine, dialogue, server_with_passwords, proxy, resp=2)


@pytest.mark.parametrize(
    "dialogue",
    [
        ["CLIENT REPLY SKIP", "PING 1", "PING 2"],
        ["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING 1", "PING 2"],
        ["CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING 1"],
        ["CLIENT REPLY SKIP", "CLIENT REPLY foo", "PING 1"],
        ["CLIENT REPLY SKIP", "RESET", "PING 1"],
        ["CLIENT REPLY OFF", "PING 1", "CLIENT REPLY SKIP", "PING 2", "CLIENT REPLY ON", "PING 3"],
        ["CLIENT REPLY OFF", "CLIENT REPLY foo", "CLIENT REPLY OFF", "RESET", "PING 1"],
        ["CLIENT REPLY foo", "PING 1"],
    ],
    ids=" ".join,
)
async def test_the_same_replies_are_left_out(
    engine: str, running: Running, server: Connection, dialogue: list[str]
) -> None:
    proxy = Proxy(engine, running)
    requests = [words_of(line, proxy) for line in dialogue]

    expected = server.send(b"".join(encode_command(*words) for words in requests))
    answers = b"".join([await proxy.say(*words) for words in requests])

    assert answers == expected


async def test_another_client_is_killed_and_hears_nothing(
    engine: str, running: Running, server: Connection
) -> None:
    proxy = Proxy(engine, running)
    other = FakeClient(id=11)
    proxy.context.connected.append(other)

    with Connection(running.port) as victim:
        expected = server.say(b"CLIENT", b"KILL", b"ID", victim.id)
        what_the_victim_hears = victim.socket.recv(1)
    answer = await proxy.say(b"CLIENT", b"KILL", b"ID", b"11")

    assert answer == expected
    assert what_the_victim_hears == b""
    assert other.closed == "at once"


def test_every_command_that_the_table_calls_local_has_a_handler(server: Connection) -> None:
    reader = hiredis.Reader()
    reader.feed(server.say(b"COMMAND"))

    local = [spec for spec in compile_table(reader.gets()) if spec.road is Road.LOCAL]

    for spec in local:
        words = spec.name.split(b"|")
        assert find_async(words) is not None or find_sync(words) is not None, spec.name
    assert local


# ---- what differs on purpose ---------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        # One database, where a standalone server has sixteen unless it is told otherwise.
        ("SELECT 1", b"-ERR DB index is out of range\r\n"),
        # Arithmetic; Redis 7.0 refuses it without a cluster, Valkey 9.1 does not.
        ("CLUSTER KEYSLOT foo", b":12182\r\n"),
        # They concern the connection to the proxy, whatever the servers' age.
        ("CLIENT SETINFO LIB-NAME x", b"+OK\r\n"),
        ("CLIENT NO-TOUCH ON", b"+OK\r\n"),
        ("CLIENT KILL MAXAGE 1000", b":0\r\n"),
        ("CLUSTER MYSHARDID", b"-ERR This instance has cluster support disabled\r\n"),
    ],
)
async def test_the_proxy_differs_on_purpose(
    engine: str, running: Running, line: str, answer: bytes
) -> None:
    proxy = Proxy(engine, running)

    assert await proxy.say(*words_of(line, proxy)) == answer


async def test_a_hello_that_fails_leaves_the_name_alone_even_behind_redis_7_0(
    engine: str, running: Running, server: Connection
) -> None:
    proxy = Proxy(engine, running)

    for words in ((b"HELLO", b"2", b"SETNAME", b"x", b"FOO"), (b"CLIENT", b"GETNAME")):
        kept_by_server = server.say(*words)
        kept_by_proxy = await proxy.say(*words)

    assert kept_by_server == (b"$1\r\nx\r\n" if engine == "redis" else b"$-1\r\n")
    assert kept_by_proxy == b"$-1\r\n"
