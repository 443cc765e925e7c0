"""``slotway advise`` watches a real server; a real cluster and a real proxy confirm what it says.

Each row of ``TRAFFIC`` is what one client does. It is done three times: on a standalone
server, where advise watches; on a cluster, by a client that knows slots and redirects and
nothing else; and through the proxy. What advise says would break must fail there, and what
it says would work must not.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from advised_traffic import FILL, GENEROUS, HARD, TRAFFIC, Said, do, do_on_cluster, errors
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.advise.monitor_log import LineCutter, parse_line
from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.embedded.waiting import wait_for
from proxy.embedded.wire import NodeConnection

pytestmark = [pytest.mark.live, pytest.mark.takes(60)]


@contextmanager
def advising(
    server: StandaloneServer, *options: str, password: str = ""
) -> Iterator[Callable[..., tuple[int, dict[str, object], str]]]:
    """Run advise, and give the function that ends it: (exit code, report, standard error)."""
    command = [sys.executable, "-m", "proxy", "advise", "--server", str(server.address), "--json"]
    process = subprocess.Popen(
        [*command, *options],
        env=os.environ | {"REDISCLI_AUTH": password},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def end(*, by_itself: bool = False) -> tuple[int, dict[str, object], str]:
        if not by_itself:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        return process.returncode, json.loads(out) if out else {}, err

    try:
        wait_for(lambda: is_monitored(server), 20, "advise to watch")
        yield end
    finally:
        if process.poll() is None:  # the test has failed
            process.kill()
            process.communicate()


def is_monitored(server: StandaloneServer) -> bool:
    found = server.node.call("CLIENT", "LIST")
    assert isinstance(found, bytes)
    return b"cmd=monitor" in found


def said_of(report: dict[str, object]) -> dict[str, Said]:
    """Return what a report says of each named client."""
    said: dict[str, Said] = {}
    for each in report["findings"]:
        finding = each["kind"], each["command"], each["cluster"], each["slotway"]
        assert not each["more_clients"]
        for client in each["clients"]:
            said.setdefault(client["name"], set()).add(finding)
    return said


def prepare(call: Callable[..., object]) -> None:
    for key in FILL:
        call("SET", key, "1")


def advise_on_traffic(server: StandaloneServer, *options: str) -> tuple[int, dict[str, object]]:
    """Let every client of ``TRAFFIC`` work on a standalone server that advise watches."""
    with advising(server, *options) as end:
        prepare(server.node.call)
        for name, (commands, _) in TRAFFIC.items():
            replies = do(server.address, commands, name)
            assert errors(replies) == [], name
        code, report, _ = end()
    return code, report


def test_the_three_keys_are_on_three_nodes(cluster: EmbeddedCluster) -> None:
    nodes = {cluster.primary_for(key_slot(key)).port for key in (b"a", b"b", b"c")}

    assert len(nodes) == 3


def test_advise_finds_exactly_what_would_break(standalone: StandaloneServer) -> None:
    code, report = advise_on_traffic(standalone)

    assert code == 1
    assert said_of(report) == {name: said for name, (_, said) in TRAFFIC.items() if said}
    assert report["limits"] == []


def test_a_cluster_confirms_every_claim(
    standalone: StandaloneServer, cluster: EmbeddedCluster
) -> None:
    _, report = advise_on_traffic(standalone)
    said = said_of(report)
    for key in FILL:
        cluster.primary_for(key.encode()).call("SET", key, "1")

    for name, (commands, _) in TRAFFIC.items():
        verdicts = {cluster_verdict for _, _, cluster_verdict, _ in said.get(name, ())}
        replies = do_on_cluster(cluster, commands)

        found = errors(replies)
        assert bool(found) == ("breaks" in verdicts), (name, found)
        if any(kind.endswith("in_several_slots") for kind, *_ in said.get(name, ())):
            codes = {error.split()[0] for error in found}
            assert codes & {"CROSSSLOT", "MOVED"}, (name, found)
        if "partial" in verdicts:
            assert 0 < len(replies[0]) < len(FILL), name


@pytest.mark.parametrize("changed", [{}, GENEROUS], ids=["default", "generous"])
def test_the_proxy_confirms_every_claim(
    standalone: StandaloneServer,
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    changed: dict[str, str],
) -> None:
    options = [option for each in changed.items() for option in ("--set", "=".join(each))]
    _, report = advise_on_traffic(standalone, *options)
    said = said_of(report)
    proxy = make_proxy(cluster.addresses, settings=changed)
    for key in FILL:
        do(proxy.address, f"SET {key} 1")

    for name, (commands, _) in TRAFFIC.items():
        verdicts = {slotway for *_, slotway in said.get(name, ())}
        replies = do(proxy.address, commands)

        assert bool(errors(replies)) == ("breaks" in verdicts), (name, errors(replies))


def test_what_generous_settings_allow_is_not_called_broken(standalone: StandaloneServer) -> None:
    options = [option for each in GENEROUS.items() for option in ("--set", "=".join(each))]

    _, report = advise_on_traffic(standalone, *options)

    broken = {
        name
        for name, said in said_of(report).items()
        if any(slotway == "breaks" for *_, slotway in said)
    }
    assert broken == HARD


def test_a_saved_log_says_the_same_as_watching(
    standalone: StandaloneServer, tmp_path: Path
) -> None:
    program = shutil.which("redis-cli")
    if program is None:
        pytest.skip("there is no redis-cli on this machine")
    path = tmp_path / "saved.log"
    with path.open("wb") as file:
        saving = subprocess.Popen([program, "-p", str(standalone.port), "MONITOR"], stdout=file)
    try:
        wait_for(lambda: is_monitored(standalone), 20, "redis-cli to watch")
        for name, (commands, _) in TRAFFIC.items():
            do(standalone.address, commands, name)
        standalone.node.call("ECHO", "the end")
        wait_for(lambda: b"the end" in path.read_bytes(), 20, "the log to be written")
    finally:
        saving.terminate()
        saving.wait()

    command = [sys.executable, "-m", "proxy", "advise", str(path), "--json"]
    found = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert found.returncode == 1
    assert said_of(json.loads(found.stdout)) == {
        name: said for name, (_, said) in TRAFFIC.items() if said
    }


def test_harmless_traffic_gives_exit_code_0(standalone: StandaloneServer) -> None:
    with advising(standalone) as end:
        do(standalone.address, "SET a 1; GET a; MGET {t}a {t}b")
        code, report, _ = end()

    assert (code, report["findings"]) == (0, [])


def test_a_name_given_before_the_watch_began_is_known(standalone: StandaloneServer) -> None:
    connection = NodeConnection(standalone.address)
    with connection:
        connection.call("CLIENT", "SETNAME", "early")
        with advising(standalone) as end:
            connection.call("MGET", "a", "b")
            _, report, _ = end()

    assert list(said_of(report)) == ["early"]


def test_the_commands_of_the_server_itself_are_known(standalone: StandaloneServer) -> None:
    with advising(standalone) as end:
        standalone.node.call("GET", "a")
        _, report, error = end()

    assert report["source"]["table"] == f"COMMAND of {standalone.address}"
    assert "MONITOR makes the server write every command once more" in error


def test_a_terminal_shows_how_far_it_is(standalone: StandaloneServer) -> None:
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "proxy", "advise", "--server", str(standalone.address)]
    with os.fdopen(outer, "rb", buffering=0) as screen:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inner)
        os.close(inner)
        wait_for(lambda: is_monitored(standalone), 20, "advise to watch")
        do(standalone.address, "MGET a b")
        shown = b""
        while b"1 commands, 1 would break on a cluster" not in shown:
            shown += screen.read(4096)

        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert b"MGET a b" in out
    assert b"\x1b" not in out


def test_the_watch_ends_by_itself_after_its_time(standalone: StandaloneServer) -> None:
    with advising(standalone, "--seconds", "1") as end:
        do(standalone.address, "MGET a b")
        code, report, _ = end(by_itself=True)

    assert (code, report["source"]["is_interrupted"]) == (1, False)


def test_a_server_that_dies_leaves_a_report_of_what_was_seen(engine: str) -> None:
    with StandaloneServer(engine) as server, advising(server) as end:
        do(server.address, "MGET a b")
        server.node.kill()
        code, report, _ = end(by_itself=True)

    assert code == 1
    assert "closed the connection" in report["source"]["notes"][0]


def refused(server: StandaloneServer, *options: str, password: str) -> str:
    """Run advise, which must not begin, and return what it says."""
    command = [sys.executable, "-m", "proxy", "advise", "--server", str(server.address), *options]
    environment = os.environ | {"REDISCLI_AUTH": password}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    return done.stderr


def test_a_password_is_given_and_a_missing_or_wrong_one_told(engine: str) -> None:
    with StandaloneServer(engine) as server:
        server.node.call("CONFIG", "SET", "requirepass", "secret")

        said = {
            password: refused(server, "--seconds", "0.1", password=password)
            for password in ("", "wrong", "secret")
        }

    assert "wants a password" in said[""]
    assert "WRONGPASS" in said["wrong"]
    assert "no command was seen" in said["secret"]


def test_a_user_without_the_right_is_told_so(standalone: StandaloneServer) -> None:
    standalone.node.call("ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-monitor")

    try:
        said = refused(standalone, "--user", "blind", password="pw")
    finally:
        standalone.node.call("ACL", "DELUSER", "blind")

    assert "refused MONITOR: NOPERM" in said


def test_a_user_who_may_only_watch_gets_a_report_with_what_is_built_in(
    standalone: StandaloneServer,
) -> None:
    standalone.node.call("ACL", "SETUSER", "watcher", "on", ">pw", "+monitor", "+ping")

    try:
        with advising(standalone, "--user", "watcher", password="pw") as end:
            do(standalone.address, "MGET a b")
            code, report, _ = end()
    finally:
        standalone.node.call("ACL", "DELUSER", "watcher")

    assert code == 1
    assert report["source"]["table"] == "Redis 7.0, built in"
    assert "CLIENT LIST" in report["source"]["notes"][0]


def test_any_bytes_come_back_from_a_real_servers_monitor(standalone: StandaloneServer) -> None:
    monitor, client = NodeConnection(standalone.address), NodeConnection(standalone.address)
    cutter = LineCutter()
    with monitor, client:
        monitor.send([["MONITOR"]])
        assert next_line(monitor, cutter) == b"+OK"

        @settings(max_examples=300, deadline=None)
        @given(args=st.lists(st.binary(max_size=50), min_size=1, max_size=5))
        def round_trip(args: list[bytes]) -> None:
            client.call("RPUSH", "list", *args)

            line = parse_line(next_line(monitor, cutter))

            assert line is not None
            assert line.args == (b"RPUSH", b"list", *args)

        round_trip()
        every_byte = bytes(range(256))
        client.call("SET", every_byte, "12")
        line = parse_line(next_line(monitor, cutter))
        assert line is not None
        assert line.args == (b"SET", every_byte, b"12")


def next_line(monitor: NodeConnection, cutter: LineCutter) -> bytes:
    """Return the one line that comes now."""
    while True:
        lines = cutter.feed(monitor._socket.recv(65536))
        if lines:
            ((line, _),) = lines
            return line


FAMILIES = (
    "MULTI; SET user:17 x; RPUSH user:17:cart y; EXEC",
    "EVAL return(redis.call('set',KEYS[1],1)) 2 jobs:wait jobs:active",
)


def test_the_hash_tags_it_proposes_make_a_cluster_do_it(
    standalone: StandaloneServer, cluster: EmbeddedCluster
) -> None:
    with advising(standalone) as end:
        do(standalone.address, FAMILIES[0])
        _, report, _ = end()

    (fix,) = report["hash_tags"]
    renamed = FAMILIES[0]
    for before, after in reversed(list(zip(fix["patterns"], fix["names"], strict=True))):
        renamed = renamed.replace(f" {before} ".replace("*", "17"), f" {after} ".replace("*", "17"))
    assert errors(do_on_cluster(cluster, FAMILIES[0])) != []
    assert errors(do_on_cluster(cluster, renamed)) == []
    assert "{user:17}:cart" in renamed


def test_the_pins_it_proposes_make_the_proxy_do_it(
    standalone: StandaloneServer,
    cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    tmp_path: Path,
) -> None:
    with advising(standalone) as end:
        for commands in FAMILIES:
            do(standalone.address, commands)
        _, report, _ = end()
    config = tmp_path / "proxy.toml"
    config.write_text(
        "".join(
            f"[[pin]]\nprefix = {json.dumps(prefix)}\ntag = {json.dumps(pin['tag'])}\n"
            for pin in report["pins"]
            for prefix in pin["names"]
        )
    )

    proxy = make_proxy(cluster.addresses, arguments=["-c", str(config)])

    assert [errors(do(proxy.address, commands)) for commands in FAMILIES] == [[], []]
    with advising(standalone, "-c", str(config), "--for", "slotway") as end:
        for commands in FAMILIES:
            do(standalone.address, commands)
        code, _, _ = end()
    assert code == 0
