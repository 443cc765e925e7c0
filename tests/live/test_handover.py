"""SIGUSR2: a successor takes the place of a proxy; who goes along, and what if it fails."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from admin_client import DEADLINE_S, administered
from engine_here import ON_ONE_ENGINE
from papers import Papers, for_redis_py, to_clients
from service_manager import told
from successors import Line, line_of

from proxy.embedded import EmbeddedCluster, NodeConnection, wait_for
from proxy.resp.encode import encode_command

# No server sees any of this.
pytestmark = [pytest.mark.live, ON_ONE_ENGINE]


# ---- who goes along, and who does not ----------------------------------------------------------


@pytest.fixture(scope="module")
def line(cluster: EmbeddedCluster) -> Iterator[Line]:
    settings = {"listen.drain_linger_s": "15"}
    with administered(cluster.addresses, settings) as admin, line_of(admin) as line:
        yield line


def pid_of(port: int) -> int:
    with redis.Redis(port=port) as client:
        return client.info("server")["process_id"]


def test_a_client_is_the_same_one_afterwards(line: Line) -> None:
    port = line.proxy.port
    with ExitStack() as stack:
        known = stack.enter_context(redis.Redis(port=port, protocol=3, client_name="ada"))
        known.execute_command("CLIENT", "NO-TOUCH", "ON")
        before = known.client_info()
        cut = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        frame = encode_command("SET", "big", b"x" * 300_000)
        cut.sendall(b"PING\r\n" + frame[:150_000])
        assert cut.recv(100) == b"+PONG\r\n"
        mute = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        mute.sendall(b"CLIENT REPLY OFF\r\nSET muted 1\r\n")
        wait_for(lambda: known.get("muted") == b"1", DEADLINE_S, "what has no reply")

        line.hand_over()
        after = known.client_info()
        cut.sendall(frame[150_000:])
        mute.sendall(b"SET muted 2\r\nCLIENT REPLY ON\r\n")

        assert cut.recv(100) == b"+OK\r\n"
        assert mute.recv(100) == b"+OK\r\n"
        assert known.mget("muted", "big") == [b"2", b"x" * 300_000]
        assert pid_of(port) == line.pid
        for field in ("id", "name", "addr", "flags", "resp", "user", "lib-name", "lib-ver"):
            assert before[field] == after[field], field
        with redis.Redis(port=port) as newcomer:
            assert newcomer.client_id() > after["id"] + 2
    assert line.admin.ask("/readyz").status == 200
    assert "process_start_time" in line.admin.ask("/metrics").body.decode()


def test_a_wait_goes_on_in_the_successor(line: Line) -> None:
    """One that a server waits, one over several slots, one of a stream, and one whose time ends."""
    port = line.proxy.port

    def ask(*args: str) -> socket.socket:
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        stream.sendall(encode_command(*args))
        return stream

    with ExitStack() as stack:
        other = stack.enter_context(redis.Redis(port=port))
        other.xadd("stream", {"n": 1}, id="1-1")
        waiting = [
            ask("BLPOP", "queue", "0"),
            ask("BLPOP", "many", "others", "0"),
            ask("BLMOVE", "source", "{source}:to", "LEFT", "RIGHT", "0"),
            ask("XREAD", "BLOCK", "0", "STREAMS", "stream", "$"),
        ]
        ending = ask("BLPOP", "never", "3")
        wait_for(lambda: other.info("clients")["blocked_clients"] == 5, DEADLINE_S, "all to wait")

        line.hand_over()
        other.rpush("queue", "a")
        other.rpush("others", "b")
        other.rpush("source", "c")
        other.xadd("stream", {"n": 2}, id="2-1")

        assert waiting[0].recv(100) == b"*2\r\n$5\r\nqueue\r\n$1\r\na\r\n"
        assert waiting[1].recv(100) == b"*2\r\n$6\r\nothers\r\n$1\r\nb\r\n"
        assert waiting[2].recv(100) == b"$1\r\nc\r\n"
        assert b"2-1" in waiting[3].recv(200)
        assert ending.recv(100) == b"*-1\r\n"
        assert pid_of(port) == line.pid


def test_a_transaction_is_brought_to_its_end_before_its_client_goes_along(line: Line) -> None:
    with NodeConnection(line.proxy.address) as busy:
        assert busy.call("MULTI") == b"OK"
        assert busy.call("SET", "a", "1") == b"QUEUED"

        before = len(line.said("listening "))
        line.begin()
        wait_for(lambda: len(line.said("listening ")) > before, DEADLINE_S, "the successor")
        assert busy.call("SET", "{a}b", "2") == b"QUEUED"
        assert busy.call("EXEC") == [b"OK", b"OK"]
        line.follow()

        assert busy.call("GET", "a") == b"1"
        assert pid_of(line.proxy.port) == line.pid


def test_a_pause_goes_on_in_the_successor(line: Line) -> None:
    port = line.proxy.port
    write = encode_command("INCR", "paused")
    with redis.Redis(port=port) as boss, ExitStack() as stack:
        boss.delete("paused")
        boss.client_pause(10 * int(DEADLINE_S) * 1000, all=False)
        early = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        early.sendall(encode_command("PING") + write)
        assert early.recv(100) == b"+PONG\r\n"

        line.hand_over()
        late = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        late.sendall(encode_command("PING") + write)
        assert late.recv(100) == b"+PONG\r\n"

        assert boss.get("paused") is None
        boss.client_unpause()
        assert sorted(each.recv(100) for each in (early, late)) == [b":1\r\n", b":2\r\n"]
    assert pid_of(port) == line.pid


def test_who_subscribes_is_sent_away_and_can_come_back(line: Line) -> None:
    with redis.Redis(port=line.proxy.port) as client, client.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=DEADLINE_S)["type"] == "subscribe"

        line.hand_over()

        assert listener.get_message(timeout=DEADLINE_S)["type"] == "subscribe"
        client.publish("news", "now")
        assert listener.get_message(timeout=DEADLINE_S)["data"] == b"now"


def tls_port_of(line: Line) -> int:
    (said,) = wait_for(lambda: line.said("listening "), DEADLINE_S, "the line that tells the ports")
    return int(re.findall(r"tls://[^:]+:(\d+)", said)[0])


def test_every_port_is_what_it_was(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """A port for TLS whose number nobody chose, one without, and a Unix socket, which goes last."""
    files = Papers(tmp_path / "papers").issue("proxy")
    path = tmp_path / "slotway.sock"
    settings = to_clients(files) | {"tls.mode": "beside", "tls.port": "0"}
    settings["listen.unix_socket"] = str(path)
    with (
        administered(cluster.addresses, settings) as admin,
        line_of(admin) as line,
        ExitStack() as stack,
    ):
        tls_port = tls_port_of(line)
        plain = stack.enter_context(redis.Redis(port=admin.proxy.port))
        local = stack.enter_context(redis.Redis(unix_socket_path=str(path)))
        secured = stack.enter_context(redis.Redis(port=tls_port, **for_redis_py(files)))
        before = [plain.client_id(), local.client_id()]
        assert secured.ping()

        for _ in range(2):
            line.hand_over()

        assert [plain.client_id(), local.client_id()] == before
        assert local.client_info()["addr"].startswith(str(path))
        # Who speaks TLS was told to go in good order, and has come again by itself.
        assert secured.info("server")["process_id"] == line.pid
        assert plain.info("server")["process_id"] == line.pid
        line.end()

    assert not path.exists()


def test_a_transaction_over_tls_is_brought_to_its_end_too(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    files = Papers(tmp_path / "papers").issue("proxy")
    settings = to_clients(files) | {"tls.mode": "beside", "tls.port": "0"}
    settings["listen.drain_linger_s"] = "15"
    with (
        administered(cluster.addresses, settings) as admin,
        line_of(admin) as line,
        redis.Redis(
            port=tls_port_of(line), single_connection_client=True, **for_redis_py(files)
        ) as busy,
    ):
        busy.execute_command("MULTI")
        busy.execute_command("SET", "a", "1")

        line.begin()
        wait_for(lambda: len(line.said("listening ")) == 2, DEADLINE_S, "the successor")
        replies = busy.execute_command("EXEC")
        line.follow()

        assert replies == [b"OK"]


def test_the_service_manager_looks_after_the_successor_then(
    cluster: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with told(path) as wait_for_line, administered(cluster.addresses) as admin:
        wait_for_line("READY=1")
        with line_of(admin) as line:
            line.begin()
            # In this order: only from its main process does it take READY=1 and signs of life.
            successor = int(wait_for_line("MAINPID=").removeprefix("MAINPID="))
            wait_for_line("READY=1")
            line.follow()
            wait_for_line("WATCHDOG=1")
            pid = line.pid
            line.end()
            wait_for_line("STOPPING=1")

    assert pid == successor


# ---- when it cannot be --------------------------------------------------------------------------


def test_a_successor_that_cannot_start_changes_nothing(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text("")
    with (
        administered(cluster.addresses, arguments=["--config", str(path)]) as admin,
        line_of(admin) as line,
        redis.Redis(port=admin.proxy.port) as client,
    ):
        before = client.client_id()
        path.write_text("[listen]\nmax_client = 3\n")

        line.begin()
        said = wait_for(lambda: line.said("not handed over"), DEADLINE_S, "why not")
        is_alive = client.set("a", 1)
        path.write_text("[listen]\nmax_clients = 33\nbacklog = 44\n")
        line.hand_over()

        assert "exit_code=2" in said[0]
        assert line.said("listen.max_client: given a key that does not exist")
        assert is_alive
        assert client.client_id() == before
        assert client.info("clients")["maxclients"] == 33
        assert line.said("listen.backlog")


def test_two_successors_at_once_are_one(line: Line) -> None:
    before = len(line.said("a successor starts"))
    line.begin()
    wait_for(lambda: len(line.said("a successor starts")) > before, DEADLINE_S, "a start")
    line.begin()

    line.follow()

    assert line.said("is starting already")
    assert pid_of(line.proxy.port) == line.pid


def test_who_is_told_to_end_meanwhile_takes_its_successor_along(cluster: EmbeddedCluster) -> None:
    with administered(cluster.addresses) as admin, line_of(admin) as line:
        line.begin()
        started = wait_for(lambda: line.said("a successor starts"), DEADLINE_S, "a start")[0]
        successor = int(started.rpartition("process=")[2])

        code = line.end()

    assert code == 0
    assert os.waitstatus_to_exitcode(os.waitpid(successor, 0)[1]) != 0
