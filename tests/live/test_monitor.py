"""MONITOR of what passes the proxy: the lines of a standalone server."""

from __future__ import annotations

import re
import subprocess

import pytest
from speakers import DEADLINE_S, Speaker, dialogue

from proxy.embedded import ProxyProcess, StandaloneServer, wait_for

pytestmark = pytest.mark.live

LINE = re.compile(rb'\+\d{10}\.\d{6} \[0 127\.0\.0\.1:\d+\] "(.*)"\r\n', re.DOTALL)

DIALOGUES = {
    "commands": """
        m MONITOR
        a SET k v
        a get k
        a MSET a 1 b 2
        a PING
        a ECHO "a\\"b\\\\c\\n\\r\\t\\a\\b\\xff\\x00z' ~"
        a SET k v EX 0
        a INCR k
        a KEYS *
        a CLIENT INFO
        a CONFIG GET maxmemory
        a COMMAND COUNT
        a SCRIPT LOAD "return 1"
        a OBJECT HELP
        a XADD stream * f v
        a BLPOP nothing 0.01
        a PUBLISH x y
    """,
    "what was not run": """
        m MONITOR
        a GET
        a FOO bar
        a SELECT
        a PING a b
        a CLIENT FOO
        a SUBSCRIBE
        a SET k v
    """,
    "secrets": """
        m MONITOR
        a AUTH secret
        a AUTH someone secret
        a HELLO 3 AUTH default secret SETNAME bob
        a HELLO 2 AUTH default secret
        a HELLO 3 AUTH someone secret
    """,
    "transactions": """
        m MONITOR
        a MULTI
        a SET q 1
        a GET q
        a EXEC
        a MULTI
        a SET q 2
        a DISCARD
        a GET q
    """,
    "a monitor may not do everything": """
        m MONITOR
        m GET k
        m SET k v
        m MONITOR
        m PING
        m CLIENT INFO
        m BLPOP k 1
        m EVAL "return 1" 0
        m PUBLISH x y
        m FOO
        m RESET
        m GET k
        a GET k
        m MONITOR x
        m MONITOR
        a GET k
        m QUIT
        a GET k
    """,
    "several monitors": """
        m MONITOR
        n MONITOR
        a SET k v
        n RESET
        a SET k v
    """,
    "a monitor that wants no replies": """
        m MONITOR
        m CLIENT REPLY OFF
        a SET k v
        m CLIENT REPLY ON
        a SET k v
    """,
    "inside a transaction": """
        a MULTI
        a MONITOR
        a EXEC
        b SET k v
    """,
    "subscribers": """
        m MONITOR
        a SUBSCRIBE x
        a UNSUBSCRIBE x
        a GET k
    """,
    "a subscriber in its mode": """
        m MONITOR
        a SUBSCRIBE x
        a GET k
        a PING hello
        a UNSUBSCRIBE
    """,
}
CASES = [(name, resp) for resp in (2, 3) for name in DIALOGUES]


@pytest.mark.parametrize(("name", "resp"), CASES, ids=[f"{n}, RESP{r}" for n, r in CASES])
def test_a_monitor_sees_what_a_standalone_server_shows(
    standalone: StandaloneServer, proxy_process: ProxyProcess, name: str, resp: int
) -> None:
    text = DIALOGUES[name]

    expected = dialogue(standalone.port, text, resp=resp)
    got = dialogue(proxy_process.port, text, resp=resp, like=expected)

    lines = [line.strip() for line in text.strip().splitlines()] + ["(the end)"] * 9
    sides = [
        [(line, what.get("m"), what.get("n")) for line, what in zip(lines, heard, strict=False)]
        for heard in (got, expected)
    ]
    assert sides[0] == sides[1]


def test_pipelined_requests_are_all_shown_in_their_order(proxy_process: ProxyProcess) -> None:
    with Speaker(proxy_process.port) as monitor, Speaker(proxy_process.port) as client:
        assert monitor.ask("MONITOR") == b"+OK\r\n"
        for number in range(1000):
            client.send("SET", f"k:{number}", number)
        client.read_many(1000)

        lines = monitor.read_many(1000)

    said = [LINE.fullmatch(line) for line in lines]
    assert [found and found[1] for found in said] == [
        b'SET" "k:%d" "%d' % (number, number) for number in range(1000)
    ]


def test_an_inline_command_is_shown(proxy_process: ProxyProcess) -> None:
    with Speaker(proxy_process.port) as monitor, Speaker(proxy_process.port) as client:
        monitor.ask("MONITOR")
        client.socket.sendall(b"set inline 'a b'\r\n")

        found = LINE.fullmatch(monitor.read())

        assert found is not None
        assert found[1] == b'set" "inline" "a b'


def test_a_monitor_that_does_not_read_is_cut_and_nobody_waits(make_proxy, cluster) -> None:
    proxy = make_proxy(
        cluster.addresses, settings={"limits.pubsub_output_limit_bytes": str(1 << 20)}
    )
    with Speaker(proxy.port, receive_buffer_bytes=4096) as slow, Speaker(proxy.port) as client:
        slow.ask("MONITOR")
        for _ in range(400):
            assert client.ask("SET", "k", b"x" * 50_000) == b"+OK\r\n"

        wait_for(
            lambda: b"flags=O" not in client.ask("CLIENT", "LIST"), DEADLINE_S, "the monitor's end"
        )
    assert b"pubsub_output_limit_bytes" in proxy.log.read_bytes()


def test_redis_cli_monitors(proxy_process: ProxyProcess) -> None:
    with subprocess.Popen(
        ["redis-cli", "-p", str(proxy_process.port), "monitor"], stdout=subprocess.PIPE
    ) as cli:
        assert cli.stdout is not None
        assert cli.stdout.readline() == b"OK\n"
        with Speaker(proxy_process.port) as client:
            client.ask("SET", "k", "v")

            line = cli.stdout.readline()

        cli.terminate()
    assert line.endswith(b'"SET" "k" "v"\n')
