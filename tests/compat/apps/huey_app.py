"""A Huey application: tasks, retries, a schedule, locks, priorities. URL by the environment."""

import os

from huey import PriorityRedisHuey, RedisHuey, crontab

URL = os.environ["REDIS_URL"]
kind = PriorityRedisHuey if os.environ.get("HUEY_KIND") == "priority" else RedisHuey
huey = kind("compat", url=URL)


@huey.task()
def add(x, y):
    return x + y


@huey.task(retries=3, retry_delay=0)
def fails_twice(key):
    if huey.storage.conn.incr(key) < 3:
        raise RuntimeError("on purpose")
    return "done"


@huey.periodic_task(crontab(minute="*"))
def every_minute():
    huey.storage.conn.incr("minutes")


@huey.task()
@huey.lock_task("one-at-a-time")
def locked():
    return "alone"
