"""A Celery application: tasks, retries, priorities, a schedule. Configured by the environment."""

import os

import redis
from celery import Celery

URL = os.environ["REDIS_URL"]

app = Celery("compat", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"queue_order_strategy": "priority", "priority_steps": [0, 5, 9]},
    result_expires=600,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    beat_schedule={"tick": {"task": "celery_app.tick", "schedule": 0.5}},
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def fails_twice(self, key):
    count = redis.Redis.from_url(URL).incr(key)
    if count < 3:
        raise self.retry(countdown=0.1)
    return count


@app.task
def fails():
    raise ValueError("on purpose")


@app.task
def tick():
    redis.Redis.from_url(URL).incr("ticks")
