"""Sidekiq, which runs in Ruby: a worker with two queues; bulk, schedule, retries, its API."""

from __future__ import annotations

from applications import RUBY, SPLIT, Serve, Workers, find_sidekiq

from proxy.embedded.waiting import wait_for

TIMEOUT_S = 30


def test_a_worker_does_what_is_asked_of_it(serve: Serve, workers: Workers) -> None:
    ruby, sidekiq = find_sidekiq()
    address = serve(**SPLIT)
    url = f"redis://{address.host}:{address.port}/0"
    queues = ("-c", "2", "-q", "urgent", "-q", "default")
    log = workers.start(sidekiq, "-r", RUBY / "sidekiq_app.rb", *queues, REDIS_URL=url)
    wait_for(
        lambda: b"Booting Sidekiq" in log.read_bytes(),
        TIMEOUT_S,
        lambda: log.read_text()[-3000:],
    )

    printed = workers.run(ruby, RUBY / "sidekiq_client.rb", REDIS_URL=url, within_s=90)

    assert printed.splitlines() == [
        *("jobs of two queues", "a bulk", "a job in half a second", "retries, by hand"),
        *("failures are counted", "the schedule", "the process tells of itself"),
        *("a process is told to be quiet", "a queue is read and cleared"),
    ]
