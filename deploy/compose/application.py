"""An application of compose.yaml: it has an ordinary Redis at 127.0.0.1:6379, as far as it knows.

It counts, keeps sessions, reads many keys at once and passes work through a queue, and
writes a line each second. Behind the port are six servers, and the keys lie in many slots.
"""

import itertools
import time

import redis

PAUSE_S = 1.0


def main() -> None:
    """Work until it is ended; what failed is said, and the next round begins.

    Of a write that was on its way to a server that dies nobody knows whether it ran: that is
    an error, here as with one server.
    """
    server = redis.Redis(host="127.0.0.1", port=6379, decode_responses=True)
    for number in itertools.count():
        try:
            print(work(server, number))
        except redis.RedisError as problem:
            print(f"failed: {problem}")
        time.sleep(PAUSE_S)


def work(server: redis.Redis, number: int) -> str:
    """Do what such programs do, with keys wherever they happen to lie."""
    visits = server.incr("visits")
    server.setex(f"session:{number}", 3600, f"user:{number}")
    server.mset({f"user:{number}": "Ada", f"cart:{number}": "3 items", "last": number})
    user, cart = server.mget(f"user:{number}", f"cart:{number}")
    server.rpush("queue:mail", f"welcome {number}")
    job = server.blpop(["queue:urgent", "queue:mail"], timeout=1)
    return f"visits={visits} keys={server.dbsize()} user={user} cart={cart!r} job={job[1]!r}"


if __name__ == "__main__":
    main()
