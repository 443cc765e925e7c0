"""Celery: a worker, results, chords, retries, priorities, remote control and beat."""

from __future__ import annotations

import sys

import pytest
import redis
from applications import APPS, SPLIT, Serve, Workers

from proxy.embedded.waiting import wait_for

pytest.importorskip("celery", reason="celery is not installed")
TIMEOUT_S = 30
CELERY = ("-m", "celery", "-A", "celery_app")

# Celery 5.7 counts a chord's results, and Kombu 5.7 keeps its queues' bindings, by scripts over
# several keys. All the rest may lie anywhere.
PINNED = {**SPLIT, "pin": "_kombu.=kombu,celery-taskset-meta-=celery"}


@pytest.fixture
def url(serve: Serve, workers: Workers) -> str:
    address = serve(**PINNED)
    found = f"redis://{address.host}:{address.port}/0"
    log = workers.start_python(
        *CELERY, "worker", "--concurrency", "2", "--loglevel", "info", REDIS_URL=found
    )
    wait_for(lambda: b" ready." in log.read_bytes(), TIMEOUT_S, lambda: log.read_text()[-3000:])
    return found


def test_a_worker_does_what_is_asked_of_it(workers: Workers, url: str) -> None:
    printed = workers.run(sys.executable, APPS / "celery_client.py", "work", REDIS_URL=url)

    assert printed.split("\n") == [
        *("True", "10", "[1, 2, 3, 4, 5]", "90", "3", "ValueError('on purpose')", "True", "2", "")
    ]


def test_a_worker_is_watched_and_told_what_to_do(workers: Workers, url: str) -> None:
    printed = workers.run(sys.executable, APPS / "celery_client.py", "control", REDIS_URL=url)

    assert printed.split("\n") == ["[[{'ok': 'pong'}]]", "True", "revoked", ""]


def test_beat_has_its_schedule_run(workers: Workers, url: str) -> None:
    workers.start_python(*CELERY, "beat", "-s", workers.directory / "schedule", REDIS_URL=url)

    with redis.Redis.from_url(url) as client:
        wait_for(lambda: int(client.get("ticks") or 0) >= 3, TIMEOUT_S, "three ticks")
