"""The examples of docs/proxy-command.md are what redis-cli shows, but for the numbers."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for
from proxy.insight.views import Health
from proxy.insight.views_answers import EventKind, Fate
from proxy.sessions.proxy_command_info import SECTIONS

pytestmark = pytest.mark.live

PAGE = (Path(__file__).parents[2] / "docs/proxy-command.md").read_text("utf-8")
EXAMPLES = re.findall(r"```console\n127\.0\.0\.1:6379> ([^\n]*)\n(.*?)```", PAGE, re.DOTALL)
SLOW_SCRIPT = "for i = 1, 3e7 do end return redis.call('GET', KEYS[1])"


def numberless(text: str) -> str:
    """Return text with 0 for every number: times, ports and rates are others in each run."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", text).rstrip()


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-cli (redis-tools)")
def test_every_example_is_what_redis_cli_shows(cluster: EmbeddedCluster) -> None:
    assert len(EXAMPLES) >= 9
    with ProxyProcess(cluster.addresses, settings={"insight.sample_every": "1"}) as proxy:
        with redis.Redis(port=proxy.port, protocol=3) as client:
            make_traffic(client)
            wait_for(lambda: rate(client) > 0, 10.0, "a second of traffic in the rates")

        for command, shown in EXAMPLES:
            words = ["redis-cli", "-3", "--no-raw", "-p", str(proxy.port), *shlex.split(command)]
            answer = subprocess.run(words, capture_output=True, text=True, check=False)
            assert numberless(answer.stdout) == numberless(shown), command


def make_traffic(client: redis.Redis) -> None:
    """Use a key, send a big value, and be slow."""
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(4):
            for _ in range(500):
                pipeline.get("user:1")
            pipeline.execute()
    client.set("report", "x" * 200_000)
    client.get("report")
    client.client_setname("report-worker")
    client.eval(SLOW_SCRIPT, 1, "user:1")


def rate(client: redis.Redis) -> float:
    """Return the requests a second that the proxy tells."""
    found: float = client.execute_command("PROXY", "STATS")[b"last_10s"][b"requests"]
    return found


def test_every_fate_kind_health_and_section_is_explained() -> None:
    for word in (*Fate, *EventKind, *Health, *SECTIONS):
        assert f"`{word}`" in PAGE, word
