"""The load test itself, as a user runs it: does it pass and fail for the right reasons?"""

from __future__ import annotations

import csv
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_here import ON_ONE_ENGINE

from proxy.embedded import ProxyProcess, StandaloneServer
from proxy.embedded.leash import Leash

pytestmark = pytest.mark.live

LOCUSTFILE = Path(__file__).parents[2] / "loadtest" / "locustfile.py"
RUN_LIMIT_S = 60.0
WHAT_ALL_MIXES_DO = {
    *("GET", "SET", "HSET", "HGETALL", "EXPIRE", "LPUSH", "BRPOP", "BRPOP (from push to wake-up)"),
    *("SUBSCRIBE", "PUBLISH", "message (from PUBLISH to delivery)", "pipeline of 100"),
    *("MSET", "MGET", "UNLINK", "MULTI EXEC of 4"),
}


class Load:
    """One run of locust without its web page.

    Attributes:
        exit_code: Of the process.
        printed: All it said.
        requests: Each name's number of requests and of failed ones.
    """

    def __init__(self, directory: Path, port: int, *options: str, query: str = "") -> None:
        prefix, log = directory / "load", directory / "load.log"
        command = [
            *(sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", "--only-summary"),
            *("--host", f"redis://127.0.0.1:{port}{query}", "--csv", prefix, *options),
        ]
        with Leash() as leash:
            process = leash.start([str(word) for word in command], log=log)
            try:
                self.exit_code = process.wait(RUN_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        self.printed = log.read_text()
        rows = csv.DictReader(prefix.with_name("load_stats.csv").read_text().splitlines())
        self.requests = {
            row["Name"]: (int(row["Request Count"]), int(row["Failure Count"])) for row in rows
        }


def test_every_mix_runs_through_the_proxy_without_a_failure(
    proxy_process: ProxyProcess, tmp_path: Path
) -> None:
    options = "--users 22 --spawn-rate 50 --run-time 5s"

    load = Load(tmp_path, proxy_process.port, *options.split())

    assert load.exit_code == 0, load.printed
    assert "PASSED all thresholds held" in load.printed
    assert set(load.requests) - {"DEL"} == {*WHAT_ALL_MIXES_DO, "Aggregated"}  # DEL is rare
    assert all(count > 0 for count, _ in load.requests.values())


@ON_ONE_ENGINE
def test_a_threshold_that_is_missed_ends_the_run_with_a_failure_and_its_name(
    proxy_process: ProxyProcess, tmp_path: Path
) -> None:
    options = "--mix cache --users 2 --run-time 2s --max-p99-ms 0.001 --min-rps 1000000"

    load = Load(tmp_path, proxy_process.port, *options.split())

    assert load.exit_code == 1, load.printed
    assert "FAILED --max-p99-ms 0.001: p99 was " in load.printed
    assert "FAILED --min-rps 1e+06: there were " in load.printed
    assert "--max-fail-ratio" not in load.printed


@ON_ONE_ENGINE
def test_several_processes_follow_a_shape_and_report_each_second(
    proxy_process: ProxyProcess, tmp_path: Path
) -> None:
    timeline = tmp_path / "timeline.json"
    options = "--mix cache=3,pubsub=1 --shape ramp --steps 2 --users 8 --run-time 8s --processes 2"

    load = Load(tmp_path, proxy_process.port, *options.split(), "--timeline", str(timeline))

    assert load.exit_code == 0, load.printed
    assert set(load.requests) == {
        *("GET", "SET", "SUBSCRIBE", "PUBLISH", "message (from PUBLISH to delivery)", "Aggregated")
    }
    seconds = json.loads(timeline.read_text())
    users = [users for _, users, _, _ in seconds if users is not None]
    assert {4, 8} <= set(users)  # and others, while they come and go
    assert max(users) == 8
    counted = sum(count for *_, times in seconds for _, count in times)
    assert counted == load.requests["Aggregated"][0]


@ON_ONE_ENGINE
def test_the_same_file_runs_against_a_standalone_server(
    standalone: StandaloneServer, tmp_path: Path
) -> None:
    options = "--mix multikey,transaction --users 4 --spawn-rate 50 --run-time 2s"

    load = Load(tmp_path, standalone.port, *options.split())

    assert load.exit_code == 0, load.printed
    assert set(load.requests) == {"MSET", "MGET", "UNLINK", "MULTI EXEC of 4", "Aggregated"}


class Liar(socketserver.StreamRequestHandler):
    """A server that takes every value and gives another one back."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            args = [self._read_argument() for _ in range(int(line[1:]))]
            self.wfile.write(b"$5\r\nwrong\r\n" if args[0] == b"GET" else b"+OK\r\n")

    def _read_argument(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


@contextmanager
def lying_server() -> Iterator[int]:
    """Run a ``Liar`` for each connection; gives the port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Liar) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_value_is_a_failure_with_a_line_of_its_own(tmp_path: Path) -> None:
    options = "--mix cache --users 3 --spawn-rate 50 --run-time 2s"

    with lying_server() as port:
        load = Load(tmp_path, port, *options.split(), query="?protocol=2")

    assert load.exit_code == 1, load.printed
    wrong, wrong_failures = load.requests["GET (wrong value)"]
    assert wrong == wrong_failures > 0
    assert load.requests["GET"] == (wrong, 0)
    assert "WrongValue: b'wrong' of locust:cache:" in load.printed
    assert "FAILED --max-fail-ratio 0: " in load.printed


def test_a_mix_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", "--mix", "cashe"]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=RUN_LIMIT_S, cwd=tmp_path, check=False
    )

    assert done.returncode != 0
    assert "--mix: 'cashe' is not one of all, cache, session" in done.stdout + done.stderr
