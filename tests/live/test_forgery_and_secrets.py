"""Nothing that a client says forges a reply, a line or a metric; no secret is ever told.

One proxy with everything switched on that tells of requests: log at debug, access log, a sample
of every request, a trace of it, slow log, admin port; with keys that have passwords for every
side that speaks TLS. Clients say hostile words wherever words are echoed; then everything
that it has told is read: replies, log, metrics, views, traces, CLIENT LIST, MONITOR, INFO,
CONFIG, its command line and its name.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from admin_client import DEADLINE_S, Admin
from otlp_receiver import OtlpReceiver
from papers import Papers, locked
from prometheus_client.parser import text_string_to_metric_families

from proxy.cluster.addresses import Address
from proxy.dataplane.frames import ReplyStream
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, lease_ports, wait_for
from proxy.embedded.engines import speaks_tls
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

FORGED = "forged-by-a-client"
HOSTILE = {
    "reply": f"x\r\n+{FORGED}\r\n",
    "error": f"x\r\n-ERR {FORGED}\r\n",
    "push": f"x\r\n>1\r\n+{FORGED}\r\n",
    "line": f'x\n{{"event": "{FORGED}", "level": "info"}}\n',
    "metric": f'x"}} 1\nslotway_{FORGED.replace("-", "_")} 1\n',
    "client": f"x user=root cmd={FORGED}\nid=1 addr={FORGED}",
    "page": f"<script>{FORGED}</script>",
    "header": f"x\r\nX-{FORGED}: 1\r\n\r\n",
    "terminal": f"x\x1b[2J\x1b]0;{FORGED}\x07",
    "null": f"x\x00{FORGED}",
}
# Where a client's words may be repeated; % stands for them.
PLACES = (
    ("%",), ("%", "a"), ("GET", "%"), ("GET", "%", "%"), ("SET", "%", "%"), ("CLIENT", "%"),
    ("CLIENT", "SETNAME", "%"), ("CLIENT", "SETINFO", "LIB-NAME", "%"), ("CLIENT", "KILL", "%"),
    ("AUTH", "%", "%"), ("HELLO", "3", "AUTH", "%", "%"), ("HELLO", "%"), ("SELECT", "%"),
    ("CONFIG", "%"), ("CONFIG", "GET", "%"), ("OBJECT", "%", "k"), ("EVAL", "%", "0"),
    ("EVAL", "return redis.error_reply(ARGV[1])", "0", "%"), ("EVALSHA", "%", "0"),
    ("EVAL", "return {err = ARGV[1]}", "1", "k", "%"), ("SUNION", "%a", "%b"), ("FCALL", "%", "0"),
    ("SCRIPT", "%"), ("SUBSCRIBE", "%"), ("PUBLISH", "%", "%"), ("XADD", "%", "%", "f", "v"),
    ("PROXY", "%"), ("PROXY", "EXPLAIN", "%", "%"), ("COMMAND", "GETKEYS", "%"),
    ("BLPOP", "%", "%"), ("CLUSTER", "%"), ("ACL", "%"), ("MIGRATE", "%"), ("SET", "k", "v", "%"),
    ("SORT", "%", "%"),
)  # fmt: skip

SECRETS = {
    name: f"hush-{name}-hush"
    for name in (
        *("nodes", "clients", "ann", "bob", "token", "wrong", "typed"),
        *("key-to-clients", "key-to-nodes", "key-of-admin"),
    )
}
ROUTES = (
    "/", "/livez", "/readyz", "/metrics", "/topology", "/clients", "/stats", "/slowlog", "/hotkeys",
    "/bigkeys", "/events", "/config",
)  # fmt: skip
MARKER = b"the-last-reply"
MONITORED = re.compile(rb"\+\d+\.\d{6} \[\d+ [^ ]+\] (\"[^\r\n]*\")+\r\n")


class Talk:
    """A connection that sends what it is told, and keeps every byte that it is sent."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection((address.host, address.port), DEADLINE_S)
        self.address = Address(*self._socket.getsockname())
        self.received = b""
        self.is_closed = False

    def say(self, *requests: Sequence[str]) -> list[bytes]:
        """Send requests and return all frames up to the reply to a last one of its own."""
        before = len(self.received)
        last = encode_command("PING", MARKER)
        self._socket.sendall(b"".join(encode_command(*words) for words in requests) + last)
        while self.received.count(MARKER, before) == 0 and not self.is_closed:
            data = self._socket.recv(1 << 16)
            self.received += data
            self.is_closed = not data
        return ReplyStream().feed(self.received[before:])

    def read(self, until: bytes) -> None:
        """Read on until it was sent this."""
        while until not in self.received:
            data = self._socket.recv(1 << 16)
            assert data
            self.received += data

    def close(self) -> None:
        self._socket.close()


@dataclass
class House:
    """The proxy, its admin port, and a client that monitors it."""

    proxy: ProxyProcess
    admin: Admin
    monitor: Talk
    traces: OtlpReceiver
    nodes: Sequence[RedisNode]
    files: Path
    """Where its secrets are."""

    def talk(self) -> Talk:
        """Return a client that has logged in."""
        talk = Talk(self.proxy.address)
        assert talk.say(("AUTH", SECRETS["clients"]))[0] == b"+OK\r\n"
        return talk

    def views(self) -> dict[str, str]:
        """Return what every route says, with the token and without."""
        bearer = {"Authorization": f"Bearer {SECRETS['token']}"}
        return {
            f"{path} {len(headers)}": self.admin.ask(path, headers=headers).body.decode()
            for path in ROUTES
            for headers in ({}, bearer)
        }

    def log(self) -> str:
        """Return the log, once all of it is written."""
        talk = self.talk()
        talk.say(("GET", "k"))
        talk.close()
        address = f'"{talk.address}"'
        wait_for(lambda: address in self.proxy.log.read_text(), DEADLINE_S, "the last line")
        return self.proxy.log.read_text()


@pytest.fixture(scope="module")
def house(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A proxy that asks for passwords, has them for its nodes, and tells all that it may tell."""
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("nodes", "bob", "key-to-clients", "key-to-nodes", "key-of-admin"):
        (folder / name).write_text(SECRETS[name] + "\n")
    papers = Papers(folder / "papers")
    to_nodes = locked(papers.issue("to-nodes"), SECRETS["key-to-nodes"])
    to_clients = locked(papers.issue("to-clients"), SECRETS["key-to-clients"])
    of_admin = locked(papers.issue("of-admin"), SECRETS["key-of-admin"])
    with_tls = speaks_tls(engine)
    servers = papers.issue("servers") if with_tls else None
    with ExitStack() as stack:
        cluster = stack.enter_context(EmbeddedCluster(engine, replicas=0, tls=servers))
        port = stack.enter_context(lease_ports(1)).ports[0]
        traces = stack.enter_context(OtlpReceiver())
        for node in cluster.nodes:
            with node.connect() as connection:
                connection.call("CONFIG", "SET", "masterauth", SECRETS["nodes"])
                connection.call("CONFIG", "SET", "requirepass", SECRETS["nodes"])
        config = folder / "proxy.toml"
        config.write_text(
            f"""
            [cluster]
            password_file = "{folder}/nodes"
            tls = {str(with_tls).lower()}
            tls_ca_file = "{to_nodes.ca}"
            tls_cert_file = "{to_nodes.cert}"
            tls_key_file = "{to_nodes.key}"
            tls_key_password_file = "{folder}/key-to-nodes"
            [tls]
            mode = "beside"
            port = 0
            cert_file = "{to_clients.cert}"
            key_file = "{to_clients.key}"
            key_password_file = "{folder}/key-to-clients"
            [clients]
            admins = ["default"]
            users = {{ann = "{SECRETS["ann"]}", bob = "file:{folder}/bob"}}
            [admin]
            enabled = true
            port = {port}
            token = "{SECRETS["token"]}"
            tls_cert_file = "{of_admin.cert}"
            tls_key_file = "{of_admin.key}"
            tls_key_password_file = "{folder}/key-of-admin"
            [log]
            level = "debug"
            format = "json"
            access_every = 1
            access_keys = "show"
            [insight]
            sample_every = 1
            slow_log_ms = 0.001
            [tracing]
            endpoint = "{traces.endpoint}"
            every = 1
            [commands]
            cross_slot = "all"
            [reload]
            watch_s = 0
            """
        )
        settings = {"admin.enabled": "true", "clients.password": SECRETS["clients"]}
        proxy = stack.enter_context(
            ProxyProcess(cluster.addresses, settings=settings, arguments=("--config", str(config)))
        )
        monitor = Talk(proxy.address)
        stack.callback(monitor.close)
        monitor.say(("AUTH", SECRETS["clients"]))
        monitor.say(("MONITOR",))
        admin = Admin(proxy, port, papers.trusting())
        yield House(proxy, admin, monitor, traces, cluster.nodes, folder)


# ---- forgery -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_that_a_client_says_is_taken_for_what_the_proxy_says(
    house: House, kind: str
) -> None:
    words = HOSTILE[kind]

    for place in PLACES:
        talk = house.talk()
        frames = talk.say([word.replace("%", words) for word in place])
        talk.close()
        _is_whole(frames, talk, place)
    for resp in ("2", "3"):
        lister = house.talk()
        lister.say(("HELLO", resp))
        listed = lister.say(("CLIENT", "LIST"))[0]
        lister.close()
        lines = listed.partition(b"\r\n")[2].rstrip(b"\r\n").split(b"\n")
        lines = [line.removeprefix(b"txt:") for line in lines]
        assert [line for line in lines if not line.startswith(b"id=")] == []
        assert FORGED.encode() not in listed

    answer = house.admin.ask("/explain?" + urlencode({"q": words}))
    assert FORGED not in " ".join(answer.headers)
    assert answer.headers["content-type"].startswith("application/json")
    assert json.loads(answer.body)


def _is_whole(frames: list[bytes], talk: Talk, place: Sequence[str]) -> None:
    forged = FORGED.encode()
    for frame in frames:
        assert not frame.startswith((b"+" + forged, b"-ERR " + forged, b">1\r\n+" + forged)), place
        if frame[:1] in b"+-":
            assert frame.count(b"\r") == frame.count(b"\n") == 1, (place, frame)
    assert talk.is_closed or MARKER in frames[-1], (place, frames)


def test_what_is_told_elsewhere_is_one_thing_each(house: House) -> None:
    for words in HOSTILE.values():
        talk = house.talk()
        talk.say(("SET", words, words), ("GET", words), ("CLIENT", "SETNAME", words), (words,))
        talk.close()
    last = house.talk()
    last.say(("ECHO", "end-of-monitoring"))
    last.close()
    house.monitor.read(b"end-of-monitoring")

    frames = ReplyStream().feed(house.monitor.received)
    lines = [frame for frame in frames if frame[:1] == b"+" and b" [" in frame]
    assert len(lines) > len(HOSTILE)
    assert [line for line in lines if not MONITORED.fullmatch(line)] == []
    for line in house.log().splitlines():
        fields = json.loads(line)
        assert {"event", "level", "timestamp"} <= fields.keys()
        assert fields["event"] != FORGED
        assert line.isprintable()
    metrics = house.admin.ask("/metrics").body.decode()
    names = [family.name for family in text_string_to_metric_families(metrics)]
    assert [name for name in names if not name.startswith(("slotway_", "process_"))] == []
    assert FORGED not in metrics
    assert FORGED.replace("-", "_") not in metrics


# ---- secrets -----------------------------------------------------------------------------------


def test_no_secret_is_told_anywhere(house: House) -> None:
    talk = house.talk()
    told = talk.say(
        ("AUTH", SECRETS["wrong"]),
        ("AUTH", "ann", SECRETS["wrong"]),
        ("AUTH", "ann", SECRETS["ann"], "x"),
        ("HELLO", "3", "AUTH", "bob", SECRETS["bob"], "SETNAME", "x y"),
        ("HELLO", "2", "AUTH", "default", SECRETS["clients"]),
        ("ACL", "SETUSER", "x", ">" + SECRETS["typed"]),
        ("ACL", "SETUSR", "x", ">" + SECRETS["typed"]),
        ("CONFIG", "SETT", "requirepass", SECRETS["typed"]),
        ("MIGRATE", "h", "1", "", "0", "1", "AUTH", SECRETS["typed"], "KEYS", "k"),
        ("PROXY", "CONFIG"),
        ("PROXY", "CONFIG", "GET", "*"),
        ("PROXY", "CONFIG", "SET", "clients.password", SECRETS["clients"]),
        ("PROXY", "INFO"),
        ("PROXY", "TOPOLOGY"),
        ("PROXY", "EXPLAIN", "AUTH", SECRETS["typed"]),
        ("PROXY", "HOTKEYS"),
        ("PROXY", "SLOWLOG"),
        ("PROXY", "EVENTS"),
        ("PROXY", "CLIENTS"),
        ("SLOWLOG", "GET", "1000"),
        ("INFO", "everything"),
        ("CLIENT", "LIST"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "GET", "requirepass"),
        ("CONFIG", "GET", "masterauth"),
        ("COMMAND", "COUNT"),
    )
    talk.close()
    stranger = Talk(house.proxy.address)
    told += stranger.say(("AUTH", SECRETS["typed"]), ("GET", "k"), ("QUIT",))
    stranger.close()
    house.admin.ask("/drain", "POST", {"Authorization": f"Bearer {SECRETS['wrong']}"})
    house.admin.ask("/log-level", "POST", {"Authorization": f"Basic {SECRETS['wrong']}"})
    told += refused_by_a_node(house)
    refused = refused_reload(house)
    last = house.talk()
    told += last.say(("STRLEN", "k"))
    last.close()
    wait_for(lambda: house.traces.named("STRLEN"), DEADLINE_S, "the last trace")

    heard = {
        "replies": b"".join(told).decode("utf-8", "replace"),
        "monitor": house.monitor.received.decode("utf-8", "replace"),
        "log": house.log(),
        "reload": refused,
        "traces": repr([request.SerializeToString() for request in house.traces.requests]),
        "command line": Path(f"/proc/{house.proxy.pid}/cmdline").read_text(),
        "name": Path(f"/proc/{house.proxy.pid}/comm").read_text(),
        **house.views(),
    }
    leaks = [
        (place, name) for place, text in heard.items() for name in SECRETS if SECRETS[name] in text
    ]
    assert leaks == []


def refused_by_a_node(house: House) -> list[bytes]:
    """Have a node refuse the proxy's password; return what a client hears of it meanwhile."""
    node = house.nodes[0]
    with node.connect() as connection:
        connection.call("AUTH", SECRETS["nodes"])
        connection.call("CONFIG", "SET", "requirepass", SECRETS["typed"])
        connection.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_for(lambda: "WRONGPASS" in house.proxy.log.read_text(), DEADLINE_S, "a refusal")
        talk = house.talk()
        told = talk.say(("PROXY", "TOPOLOGY"), ("PROXY", "EVENTS"), ("PROXY", "STATS"))
        talk.close()
        connection.call("CONFIG", "SET", "requirepass", SECRETS["nodes"])
    return told


def refused_reload(house: House) -> str:
    """Have the proxy read settings with a wrong password of a key; return what it says."""
    file = house.files / "key-to-clients"
    file.write_text(SECRETS["wrong"])
    answer = house.admin.ask("/reload", "POST", {"Authorization": f"Bearer {SECRETS['token']}"})
    file.write_text(SECRETS["key-to-clients"])
    assert answer.status == 400
    assert "tls.key_" in answer.json["error"]
    return answer.body.decode()
