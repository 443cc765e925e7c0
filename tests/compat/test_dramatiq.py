"""Dramatiq: workers with its Lua dispatcher, results, retries, delays, pipelines, groups."""

from __future__ import annotations

import sys

import pytest
from applications import APPS, Serve, Workers

from proxy.embedded.waiting import wait_for

pytest.importorskip("dramatiq", reason="dramatiq is not installed")

# Its Lua works on keys that it makes of the namespace: they must be in one slot.
PINNED = {"pin": "dramatiq=dramatiq"}


def test_workers_do_what_is_asked_of_them(serve: Serve, workers: Workers) -> None:
    address = serve(**PINNED)
    url = f"redis://{address.host}:{address.port}/0"
    log = workers.start_python(
        *("-m", "dramatiq", "dramatiq_app", "--processes", "1", "--threads", "4"), REDIS_URL=url
    )
    wait_for(lambda: b"is ready for action" in log.read_bytes(), 30, lambda: log.read_text())

    printed = workers.run(sys.executable, APPS / "dramatiq_client.py", REDIS_URL=url)

    assert printed.split("\n") == ["True", "3", "3", "10", "[1, 2, 3, 4, 5]", ""]
