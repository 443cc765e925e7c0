"""What locust is taught: our options, shapes, thresholds and timeline.

Strategy: everything is a listener of locust's own events, registered by
``register``. ``--mix`` and ``--shape`` are obeyed when locust has read its command line
and made its environment; a worker keeps all kinds of users and makes those
that the master asks for, so only the master needs these options.
"""

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, stats
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import Events
from locust.runners import MasterRunner, Runner, WorkerRunner

from load.mixes import USERS
from load.mixture import parse_mix
from load.schedules import SCHEDULES, Run, users_at
from load.thresholds import Outcome, Thresholds, find_misses
from load.timeline import Timeline, rounded_ms

DEFAULT_USERS = 100
DEFAULT_SECONDS = 60
DEFAULT_STEPS = 10
DEFAULT_THINK_MS = 20.0
DEFAULT_SPAWN_RATE = 100.0  # a second; locust warns of more for each worker
_USERS_SEEN_EVERY_S = 0.5
_REPORT_KEY = "slotway_timeline"
_MISSED = 1


def register(events: Events) -> None:
    """Add our listeners."""
    # locust's own rounding is to whole milliseconds below 100; a GET takes a fraction of one.
    stats.bucket_response_time = rounded_ms
    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(prepare)


def add_options(parser: LocustArgumentParser) -> None:
    """Add our options to locust's command line, each also as an environment variable."""
    group = parser.add_argument_group("Redis load", "what loadtest/locustfile.py adds")

    def add(name: str, words: str, *, in_web_ui: bool = False, **more: object) -> None:
        variable = "LOCUST_" + name.removeprefix("--").replace("-", "_").upper()
        group.add_argument(name, help=words, env_var=variable, **more)
        parser._actions[-1].include_in_web_ui = in_web_ui

    add(
        "--mix",
        f"kinds of users: all, or some of {', '.join(USERS)}; cache=8,queue=2 gives weights",
        metavar="A,B",
        default="all",
    )
    add(
        "--shape",
        f"one of {', '.join(SCHEDULES)}: users come and go by it, up to --users "
        f"(default {DEFAULT_USERS}), for --run-time (default {DEFAULT_SECONDS} s)",
        choices=list(SCHEDULES),
    )
    add("--steps", "levels of --shape ramp", type=_positive(int), default=DEFAULT_STEPS)
    add(
        "--think-ms",
        f"how long a user waits between two tasks, on average (default {DEFAULT_THINK_MS:g})",
        in_web_ui=True,
        type=float,
        default=DEFAULT_THINK_MS,
    )
    add(
        "--max-fail-ratio",
        "exit with 1 if more than this share of the requests failed (default 0)",
        type=float,
        default=0.0,
    )
    add("--max-p99-ms", "exit with 1 if one request in a hundred took longer", type=float)
    add("--min-rps", "exit with 1 if there were fewer requests a second", type=float)
    add("--timeline", "write what happened in each second to this file, as JSON", metavar="FILE")


def _positive(kind: type[int]) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if (number := kind(text)) < 1:
            raise ArgumentTypeError(f"{text!r} is not above 0")
        return number

    return parse


class Shape(LoadTestShape):
    """One of ``SCHEDULES``."""

    abstract = True  # chosen by --shape, not by being there
    use_common_options = True

    def __init__(self, name: str, run: Run, spawn_rate: float) -> None:
        super().__init__()
        self.name = name
        self.run = run
        self.spawn_rate = spawn_rate

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there shall be now, and how fast they come."""
        users = users_at(self.name, self.run, self.get_run_time())
        return None if users is None else (users, self.spawn_rate)


def prepare(environment: Environment, runner: Runner, **_: object) -> None:
    """Obey our options, now that locust has made its environment."""
    # gevent's clock stands since before everything was imported; --run-time, which locust
    # measures by it, would be shorter by that: by seconds on a busy machine.
    gevent.get_hub().loop.update_now()
    options = environment.parsed_options
    try:
        weights = parse_mix(options.mix, {name: user.weight for name, user in USERS.items()})
    except ValueError as error:
        raise SystemExit(f"--mix: {error}") from None
    for name, weight in weights.items():
        USERS[name].weight = weight
    environment.user_classes = [USERS[name] for name in weights]
    if options.shape:
        run = Run(
            users=options.num_users or DEFAULT_USERS,
            seconds=options.run_time or DEFAULT_SECONDS,
            steps=options.steps,
        )
        spawn_rate = options.spawn_rate or DEFAULT_SPAWN_RATE
        environment.shape_class = Shape(options.shape, run, spawn_rate)
        environment.shape_class.runner = runner
    timeline = keep_timeline(environment, runner)
    if not isinstance(runner, WorkerRunner):
        environment.events.quitting.add_listener(judge)
        if options.timeline:
            environment.events.quitting.add_listener(
                lambda **_: Path(options.timeline).write_text(json.dumps(timeline.take()))
            )


def keep_timeline(environment: Environment, runner: Runner) -> Timeline:
    """Count requests by second, and bring a worker's counts to its master.

    Nothing is kept without ``--timeline``: a day's seconds would be hundreds of megabytes.
    A worker has its master's options from the first user on.
    """
    timeline = Timeline()
    events = environment.events

    def note(response_time: float, exception: BaseException | None, **_: object) -> None:
        if environment.parsed_options.timeline:
            timeline.note(time.time(), response_time, is_failure=exception is not None)

    def send(data: dict[str, Any], **_: object) -> None:
        data[_REPORT_KEY] = timeline.take()

    def receive(data: dict[str, Any], **_: object) -> None:
        timeline.merge(data.get(_REPORT_KEY, ()))

    def look() -> None:
        while True:
            timeline.note_users(time.time(), runner.user_count)
            gevent.sleep(_USERS_SEEN_EVERY_S)

    if isinstance(runner, MasterRunner):
        events.worker_report.add_listener(receive)
    else:
        events.request.add_listener(note)
    if isinstance(runner, WorkerRunner):
        events.report_to_master.add_listener(send)
    elif environment.parsed_options.timeline:
        gevent.spawn(look)
    return timeline


def judge(environment: Environment, **_: object) -> None:
    """Set the exit code by the thresholds, and say which were missed."""
    options, total = environment.parsed_options, environment.stats.total
    outcome = Outcome(
        requests=total.num_requests,
        failures=total.num_failures,
        rate=total.total_rps,
        p99_ms=total.get_response_time_percentile(0.99),
        crashes=sum(crash["count"] for crash in environment.runner.exceptions.values()),
    )
    thresholds = Thresholds(
        max_fail_ratio=options.max_fail_ratio,
        max_p99_ms=options.max_p99_ms,
        min_rate=options.min_rps,
    )
    misses = find_misses(outcome, thresholds)
    environment.process_exit_code = _MISSED if misses else 0
    for miss in misses or ["all thresholds held"]:
        print(("FAILED " if misses else "PASSED ") + miss, flush=True)
