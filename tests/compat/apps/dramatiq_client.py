"""Ask a Dramatiq worker for work, and print what came of it."""

import dramatiq
import dramatiq_app as app

messages = [app.add.send(n, n) for n in range(100)]
print(
    [message.get_result(block=True, timeout=30_000) for message in messages]
    == [2 * n for n in range(100)]
)
print(app.add.send_with_options(args=(1, 2), delay=300).get_result(block=True, timeout=30_000))
print(app.fails_twice.send("dramatiq-attempts").get_result(block=True, timeout=30_000))
steps = app.add.message(1, 2) | app.add.message(3) | app.add.message(4)
print(steps.run().get_result(block=True, timeout=30_000))
print(
    list(
        dramatiq.group([app.add.message(n, 1) for n in range(5)])
        .run()
        .get_results(block=True, timeout=30_000)
    )
)
app.broker.join("default", timeout=30_000)
