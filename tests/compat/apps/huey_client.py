"""Ask a Huey consumer for work, and print what came of it."""

import huey_app as app

results = [app.add(n, n) for n in range(50)]
print([result.get(blocking=True, timeout=30) for result in results] == [2 * n for n in range(50)])
print(app.add.schedule((1, 2), delay=1).get(blocking=True, timeout=30))
print(app.fails_twice("huey-attempts").get(blocking=True, timeout=30, preserve=True))
steps = app.add.s(1, 2).then(app.add, 3).then(app.add, 4)
print(app.huey.enqueue(steps).get(blocking=True, timeout=30))
print(app.locked().get(blocking=True, timeout=30))
revoked = app.add.schedule((1, 2), delay=60)
revoked.revoke()
print(revoked.is_revoked())
