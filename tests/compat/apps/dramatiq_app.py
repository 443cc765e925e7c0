"""A Dramatiq application with results, retries, delays and a pipeline. URL by the environment."""

import os

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

URL = os.environ["REDIS_URL"]

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def add(x, y):
    return x + y


@dramatiq.actor(store_results=True, max_retries=5, min_backoff=50, max_backoff=100)
def fails_twice(key):
    count = redis.Redis.from_url(URL).incr(key)
    if count < 3:
        raise RuntimeError("on purpose")
    return count
