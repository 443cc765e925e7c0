"""Ask a Celery worker for work, and print what came of it."""

import sys
import time

import celery_app as app
from celery import chain, chord, group

WAIT = {"timeout": 30}


def work():
    results = [app.add.delay(number, number) for number in range(50)]
    print([result.get(**WAIT) for result in results] == [2 * n for n in range(50)])
    print(chain(app.add.s(1, 2), app.add.s(3), app.add.s(4))().get(**WAIT))
    print(group(app.add.s(n, 1) for n in range(5))().get(**WAIT))
    print(chord([app.add.s(n, n) for n in range(10)])(app.total.s()).get(**WAIT))
    print(app.fails_twice.delay("attempts").get(**WAIT))
    print(repr(app.fails.delay().get(propagate=False, **WAIT)))
    urgent = [app.add.apply_async((n, 0), priority=n % 10) for n in range(20)]
    print([result.get(**WAIT) for result in urgent] == list(range(20)))
    print(app.add.apply_async((1, 1), countdown=0.5).get(**WAIT))


def control():
    print([list(reply.values()) for reply in app.app.control.ping(timeout=2)])
    registered = app.app.control.inspect(timeout=2).registered()
    print("celery_app.add" in next(iter(registered.values())))
    task = app.add.apply_async((1, 1), countdown=60)
    task.revoke()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        revoked = app.app.control.inspect(timeout=1).revoked() or {}
        if any(task.id in ids for ids in revoked.values()):
            print("revoked")
            break


{"work": work, "control": control}[sys.argv[1]]()
