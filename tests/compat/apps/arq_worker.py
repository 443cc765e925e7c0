"""What arq's worker does: functions, a retry, a cron job. Where Redis is: by the environment."""

import os

from arq import Retry, cron
from arq.connections import RedisSettings


async def multiply(ctx, x, y):
    return x * y


async def fails_once(ctx):
    if ctx["job_try"] == 1:
        raise Retry(defer=0.1)
    return ctx["job_try"]


async def every_second(ctx):
    await ctx["redis"].incr("arq-seconds")


class WorkerSettings:
    functions = (multiply, fails_once)
    cron_jobs = (cron(every_second, second=set(range(60))),)
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    poll_delay = 0.05
