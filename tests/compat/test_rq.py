"""RQ: a worker over several queues, results, dependencies, retries, schedules, the registries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from applications import APPS, Serve, Workers

from proxy.embedded.waiting import wait_for

rq = pytest.importorskip("rq", reason="rq is not installed")
TIMEOUT_S = 30

# It WATCHes a job and what that depends on together.
PINNED = {"pin": "rq:=rq"}


@pytest.fixture
def client(serve: Serve) -> Iterator[redis.Redis]:
    address = serve(**PINNED)
    with redis.Redis(address.host, address.port) as connected:
        yield connected


@pytest.fixture(autouse=True)
def worker(workers: Workers, client: redis.Redis) -> None:
    place = client.connection_pool.connection_kwargs
    url = f"redis://{place['host']}:{place['port']}/0"
    program = (sys.executable, "-m", "rq.cli", "worker", "high", "low", "--with-scheduler")
    log = workers.start(*program, "--url", url, PYTHONPATH=str(APPS))
    wait_for(lambda: b"Listening on" in log.read_bytes(), TIMEOUT_S, lambda: log.read_text())


def test_jobs_are_done_and_their_results_kept(client: redis.Redis) -> None:
    high, low = rq.Queue("high", connection=client), rq.Queue("low", connection=client)
    jobs = [queue.enqueue("rq_jobs.multiply", n, 2) for n in range(5) for queue in (high, low)]

    wait_for(lambda: all(job.is_finished for job in jobs), TIMEOUT_S, "ten jobs")

    assert [job.return_value() for job in jobs] == [2 * n for n in range(5) for _ in "hl"]
    assert high.finished_job_registry.count == 5
    assert len(high) == len(low) == 0


def test_a_job_waits_for_others_and_a_failed_one_is_tried_again(client: redis.Redis) -> None:
    queue = rq.Queue("low", connection=client)
    first = queue.enqueue("rq_jobs.multiply", 3, 4)
    second = queue.enqueue("rq_jobs.multiply", 5, 6, depends_on=first)
    failing = queue.enqueue("rq_jobs.fail", retry=rq.Retry(max=1))

    wait_for(lambda: second.is_finished, TIMEOUT_S, "the dependent job")
    wait_for(lambda: failing.is_failed, TIMEOUT_S, "the failing job")

    assert second.return_value() == 30
    assert failing.id in queue.failed_job_registry
    assert "on purpose" in failing.latest_result().exc_string


def test_jobs_are_scheduled_enqueued_in_bulk_and_cancelled(client: redis.Redis) -> None:
    queue = rq.Queue("low", connection=client)
    later = queue.enqueue_in(timedelta(seconds=1), "rq_jobs.multiply", 2, 2)
    never = queue.enqueue_in(timedelta(hours=1), "rq_jobs.multiply", 2, 2)
    with client.pipeline() as pipe:
        many = queue.enqueue_many(
            [rq.Queue.prepare_data("rq_jobs.multiply", (n, n)) for n in range(5)], pipeline=pipe
        )
        pipe.execute()
    never.cancel()

    wait_for(lambda: later.is_finished, TIMEOUT_S, "the scheduled job")
    wait_for(lambda: all(job.is_finished for job in many), TIMEOUT_S, "five jobs")

    assert never.is_canceled
    assert [job.return_value() for job in many] == [n * n for n in range(5)]
    assert rq.Worker.count(connection=client) >= 1
