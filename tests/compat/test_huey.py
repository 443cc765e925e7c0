"""Huey: a consumer, with and without priorities, results, retries, delays, chains, locks."""

from __future__ import annotations

import sys

import pytest
from applications import APPS, Serve, Workers

from proxy.embedded.waiting import wait_for

pytest.importorskip("huey", reason="huey is not installed")

# Its storage has several keys for each queue, "huey.NAME" and so on, and Lua over them.
PINNED = {"pin": "huey.=huey"}


@pytest.mark.parametrize("kind", ["plain", "priority"])
def test_a_consumer_does_what_is_asked_of_it(serve: Serve, workers: Workers, kind: str) -> None:
    address = serve(**PINNED)
    environment = {"REDIS_URL": f"redis://{address.host}:{address.port}/0", "HUEY_KIND": kind}
    log = workers.start_python(
        *("-m", "huey.bin.huey_consumer", "huey_app.huey", "-w", "4", "-d", "0.01", "-m", "0.05"),
        **environment,
    )
    wait_for(lambda: b"started" in log.read_bytes(), 30, lambda: log.read_text())

    printed = workers.run(sys.executable, APPS / "huey_client.py", **environment)

    assert printed.split("\n") == ["True", "3", "done", "[3, 6, 10]", "alone", "True", ""]
