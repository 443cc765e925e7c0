"""Load through the proxy from ordinary clients: redis-py's plain Redis.

    locust -f loadtest/locustfile.py --headless --users 50 --spawn-rate 50 \
        --run-time 30s --host redis://127.0.0.1:6379

The same file against a standalone server gives what there is to compare
with. See loadtest/README.md for the mixes, shapes and thresholds.
"""

from load.hooks import register
from load.mixes import (
    CacheUser,
    MultiKeyUser,
    PipelineUser,
    PubSubUser,
    QueueUser,
    SessionUser,
    TransactionUser,
)
from locust import events

# locust takes the users it finds here.
__all__ = [
    "CacheUser",
    "MultiKeyUser",
    "PipelineUser",
    "PubSubUser",
    "QueueUser",
    "SessionUser",
    "TransactionUser",
]

register(events)
