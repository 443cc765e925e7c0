"""arq: an asyncio worker with WATCH and MULTI over job keys, results, retries, delays, cron."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from applications import SPLIT, Serve, Workers, finish

from proxy.cluster.topology import Address

arq = pytest.importorskip("arq", reason="arq is not installed")


async def _result(job: Any) -> object:
    """Return a job's result. arq looks for it, then into the queue: it may come between."""
    while True:
        try:
            return await job.result(timeout=30, poll_delay=0.05)
        except arq.jobs.ResultNotFound:
            await asyncio.sleep(0.05)


async def _work(address: Address) -> dict[str, object]:
    pool = await arq.create_pool(arq.connections.RedisSettings(address.host, address.port))
    jobs = [await pool.enqueue_job("multiply", n, 3) for n in range(30)]
    found: dict[str, object] = {"products": [await _result(job) for job in jobs]}
    again = await pool.enqueue_job("fails_once")
    found["tries"] = await _result(again)
    later = await pool.enqueue_job("multiply", 2, 2, _defer_by=0.3)
    found["deferred"] = await _result(later)
    one = await pool.enqueue_job("multiply", 1, 1, _job_id="only-once", _defer_by=5)
    two = await pool.enqueue_job("multiply", 1, 1, _job_id="only-once", _defer_by=5)
    found["unique"] = one is not None and two is None
    for _ in range(300):
        if int(await pool.get("arq-seconds") or 0) >= 1:
            found["cron"] = True
            break
        await asyncio.sleep(0.05)
    await pool.aclose()
    return found


def test_a_worker_does_what_is_asked_of_it(serve: Serve, workers: Workers) -> None:
    address = serve(**SPLIT)
    workers.start_python(
        *("-m", "arq", "arq_worker.WorkerSettings"),
        REDIS_URL=f"redis://{address.host}:{address.port}/0",
    )

    found = finish(_work(address))

    assert found == {
        "products": [3 * n for n in range(30)],
        "tries": 2,
        "deferred": 4,
        "unique": True,
        "cron": True,
    }
