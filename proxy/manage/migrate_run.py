"""Carry moves out: several slots in flight, one road a node at a time, stopped when asked.

Strategy: what is left to do is read from the cluster, never remembered, so that a run after
a kill is a run like any other. Slots go in chunks; a worker takes the next chunk
whose two nodes are idle. A stop lets the chunks in flight end, so that no slot stays open.

Cost: see ``migrate_classic`` and ``migrate_atomic``; workers only wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from proxy.manage.agreement import first_disagreement
from proxy.manage.errors import CannotPlan, Interrupted
from proxy.manage.links import Links
from proxy.manage.manners import ATOMIC_SLOTS, CLASSIC_SLOTS
from proxy.manage.migrate_atomic import (
    can_migrate_atomically,
    migrate_atomically,
    wait_for_others,
)
from proxy.manage.migrate_classic import ClassicMigration, Road
from proxy.manage.migrate_keys import BigKey, Tally, check_single_database
from proxy.manage.move_plan import Move, remaining_moves
from proxy.manage.patience import wait_until_none
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.view import View

WORKERS = 4
LOOK_EVERY_S = 0.1  # how soon Ctrl-C is noticed
METHODS = ("auto", "atomic", "classic")


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """How slots are moved."""

    method: str = "auto"
    """``atomic`` (Valkey 9), ``classic`` (MIGRATE), ``auto``: atomic where all nodes know it.

    Only the classic way can be throttled: with ``keys_per_s`` it is what ``auto`` means.
    """
    keys_per_s: float = 0.0
    """No faster than this, over all nodes together; 0: as fast as the nodes allow."""
    workers: int = WORKERS
    """Pairs of nodes between which slots move at the same time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: An unknown method, or one that cannot be throttled.
        """
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r}: {', '.join(METHODS)}")
        if self.method == "atomic" and self.keys_per_s:
            raise ValueError("an atomic migration cannot be throttled: method classic can")

    @property
    def may_be_atomic(self) -> bool:
        """The servers' own migration is to be used where they have it."""
        return self.method != "classic" and not self.keys_per_s


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """What was done."""

    slots: int
    keys: int
    """Moved with MIGRATE; the servers do not tell how many went with an atomic migration."""
    seconds: float
    method: str
    big_keys: tuple[BigKey, ...]
    """Of a MiB or more; each blocked its servers for as long as it took. Classic."""


class Stop:
    """Asks a run to end after the chunks in flight; may be set from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Somebody has asked."""
        return self._event.is_set()


def run_moves(
    links: Links,
    look_again: Callable[[], View],
    moves: Sequence[Move],
    options: MoveOptions | None = None,
    on_progress: OnProgress = ignore,
    stop: Stop | None = None,
) -> MoveOutcome:
    """Move what is not yet where it belongs, and wait until all nodes agree.

    Args:
        links: To the nodes.
        look_again: Returns what all nodes say now.
        moves: Of a plan.
        options: How.
        on_progress: Told before each step, one call at a time, by whichever thread works.
        stop: Set it to end early. Ctrl-C in the thread of the call does the same.

    Raises:
        Interrupted: It was asked to stop; the message says how far it is.
        ManageError: A node refused or went away. Slots may be open then; the same call,
            or a repair, goes on with them.
    """
    chosen = options or MoveOptions()
    view = _after_running_jobs(links, look_again, on_progress)
    left = remaining_moves(moves, view)
    run = _Run(links, view, left, chosen, on_progress, stop or Stop())
    started = time.monotonic()
    run.work()
    on_progress(Progress("wait until every node agrees", run.done, run.total, run.tally.keys))
    silent = set(view.silent)
    wait_until_none(lambda: first_disagreement(look_again(), silent=silent))
    return MoveOutcome(
        slots=run.done,
        keys=run.tally.keys,
        seconds=time.monotonic() - started,
        method=run.method,
        big_keys=tuple(run.tally.big_keys),
    )


def _after_running_jobs(
    links: Links, look_again: Callable[[], View], on_progress: OnProgress
) -> View:
    """Look when no atomic migration runs: one goes on after its beginner was killed."""
    view = look_again()
    addresses = [report.address for report in view.primaries]
    if not can_migrate_atomically(links, addresses):
        return view
    for address in addresses:
        wait_for_others(links, address, lambda words: on_progress(Progress(words)))
    return look_again()


class _Run:
    """One run: the chunks that wait, the nodes that are busy, and what is done."""

    def __init__(
        self,
        links: Links,
        view: View,
        moves: Sequence[Move],
        options: MoveOptions,
        on_progress: OnProgress,
        stop: Stop,
    ) -> None:
        self.tally = Tally()
        self.done = 0
        self.total = sum(len(move.slots) for move in moves)
        self._links = links
        self._view = view
        self._options = options
        self._on_progress = on_progress
        self._stop = stop
        self._throttle = _Throttle(options.keys_per_s)
        self.method = self._choose_method(moves)
        size = ATOMIC_SLOTS if self.method == "atomic" else CLASSIC_SLOTS
        self._waiting = deque(
            Move(move.source, move.target, move.slots[start : start + size])
            for move in moves
            for start in range(0, len(move.slots), size)
        )
        self._busy: set[str] = set()
        self._turn = threading.Condition()
        self._telling = threading.RLock()

    def work(self) -> None:
        """Work until everything is moved, or until somebody asks to stop."""
        with ThreadPoolExecutor(max(1, self._options.workers)) as workers:
            jobs: list[Future[None]] = []
            try:
                # The first works before the last has begun, so Ctrl-C counts from here on.
                for _ in range(max(1, self._options.workers)):
                    jobs.append(workers.submit(self._serve))
                # Again and again: the kernel may give the signal to a thread that only works,
                # and this one, asleep, would not be told.
                while wait(jobs, LOOK_EVERY_S, FIRST_EXCEPTION).not_done and not self._stop.is_set:
                    pass
            except KeyboardInterrupt:
                self._stop.set()
            finally:
                _raise_first(jobs, self._wake)
        if self.done < self.total:
            raise Interrupted(
                f"{self.done} of {self.total} slots are moved, and none is open; "
                "the same plan goes on from there"
            )

    def _serve(self) -> None:
        try:
            while (chunk := self._next_chunk()) is not None:
                try:
                    self._move(chunk)
                finally:
                    with self._turn:
                        self._busy -= {chunk.source, chunk.target}
                        self._turn.notify_all()
        except BaseException:
            self._stop.set()
            raise

    def _next_chunk(self) -> Move | None:
        """Return a chunk whose nodes are idle; None if there is nothing more to do."""
        with self._turn:
            while self._waiting and not self._stop.is_set:
                for chunk in self._waiting:
                    if not {chunk.source, chunk.target} & self._busy:
                        self._waiting.remove(chunk)
                        self._busy |= {chunk.source, chunk.target}
                        return chunk
                # A stop is noticed even if no node becomes idle.
                self._turn.wait(LOOK_EVERY_S)
            return None

    def _wake(self) -> None:
        with self._turn:
            self._turn.notify_all()

    def _move(self, chunk: Move) -> None:
        source, target = self._view.by_id[chunk.source], self._view.by_id[chunk.target]

        words = f"{source.address} to {target.address}"

        def on_step(step: str) -> None:
            self._tell(words, step)

        def on_keys(keys: int) -> None:
            self._throttle.wait(keys)
            self._tell(words, "keys")

        if self.method == "atomic":
            wait_for_others(self._links, source.address, on_step)
            migrate_atomically(self._links, source.address, chunk.target, chunk.slots, on_step)
        else:
            road = road_between(self._view, chunk.source, chunk.target)
            migration = ClassicMigration(self._links, road, tally=self.tally, on_keys=on_keys)
            migration.move(chunk.slots, on_step)
        with self._telling:
            self.done += len(chunk.slots)
        self._tell(words, "done")

    def _tell(self, words: str, step: str) -> None:
        if self._stop.is_set:
            words = f"stopping, {words}"
        with self._telling:
            self._on_progress(Progress(words, self.done, self.total, self.tally.keys, step))

    def _choose_method(self, moves: Sequence[Move]) -> str:
        nodes = {node for move in moves for node in (move.source, move.target)}
        addresses = [self._view.by_id[node].address for node in nodes]
        if self._options.may_be_atomic:
            is_marked = any(
                report.topology.migrating or report.topology.importing
                for report in self._view.reports
            )
            if not is_marked and can_migrate_atomically(self._links, addresses):
                return "atomic"
            if self._options.method == "atomic":
                reason = "slots are open" if is_marked else "not all nodes know MIGRATESLOTS"
                raise CannotPlan([f"no atomic migration: {reason}"])
        for node in {move.source for move in moves}:
            report = self._view.by_id[node]
            databases = [
                name for name in report.info if name.startswith("db") and name[2:].isdigit()
            ]
            check_single_database(report.address, databases)
        return "classic"


def road_between(view: View, source: str, target: str) -> Road:
    """Return the road from one primary to another, with everybody who has to hear of it."""
    announced = view.topology.node_by_id(target)
    return Road(
        source=view.by_id[source].address,
        source_id=source,
        target=view.by_id[target].address,
        target_id=target,
        target_announced=announced.address if announced else view.by_id[target].address,
        bystanders=tuple(
            report.address
            for report in view.reports
            if report.is_primary and report.id not in (source, target)
        ),
        setslot_waits=any(
            report.engine == "valkey" and report.version_pair >= (8, 0) for report in view.reports
        ),
    )


class _Throttle:
    """Lets so many keys a second pass, over all workers."""

    def __init__(self, keys_per_s: float) -> None:
        self._keys_per_s = keys_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, keys: int) -> None:
        if not self._keys_per_s:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + keys / self._keys_per_s
            pause_s = self._free_at - now
        time.sleep(pause_s)


def _raise_first(jobs: Sequence[Future[None]], wake: Callable[[], None]) -> None:
    wake()
    wait(jobs)
    for job in jobs:
        problem = job.exception()
        if problem is not None:
            raise problem
