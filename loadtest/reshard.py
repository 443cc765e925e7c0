"""Move slots with redis-cli and with slotway, side by side: time, and a client's longest wait.

    python loadtest/reshard.py --markdown docs/cluster.md

Strategy: for each engine and tool a fresh cluster with the same keys of five types, one client
that reads and writes keys of the slots that move, through a proxy, and the same
``reshard`` from the first primary to the second. Time is that of the command, from
start to exit. Afterwards every key must still be there, and no request have failed.

Cost: with 200,000 keys about a minute a round for both engines.
"""

import argparse
import random
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import redis
from comparison import tell_comparison
from machine import machine_facts

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, EmbeddedError, ProxyProcess
from proxy.embedded.engines import ENGINES, engine_label

BEGIN = "<!-- reshard: begin; written by loadtest/reshard.py -->"
END = "<!-- reshard: end -->"
BATCH = 3000
CLIENT_KEYS = 20_000
LIMIT_S = 600.0
WARM_UP_S = 1.0
TOOLS = {"redis": ("redis-cli", "classic"), "valkey": ("redis-cli", "classic", "atomic")}


class ReshardFailed(Exception):
    """A tool failed, or keys or requests were lost; the text says which."""


@dataclass(frozen=True, slots=True)
class Run:
    """One reshard."""

    seconds: float
    longest_wait_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; return 0, or 2 if one could not be run."""
    options = parse_options(arguments)
    failures = (ReshardFailed, EmbeddedError, OSError, ValueError)
    return tell_comparison(lambda: measure(options), options.markdown, (BEGIN, END), failures)


def measure(options: argparse.Namespace) -> str:
    """Run every round, and return them as Markdown."""
    facts = machine_facts()
    runs: dict[tuple[str, str], list[Run]] = {}
    for number in range(options.rounds):
        for engine in options.engine or ENGINES:
            for tool in TOOLS[engine]:
                run = reshard(engine, tool, options.keys, options.slots)
                runs.setdefault((engine, tool), []).append(run)
                waited = f"longest wait {run.longest_wait_s * 1000:.0f} ms"
                print(f"round {number + 1}, {engine}, {tool}: {run.seconds:.1f} s, {waited}")
    return write_markdown(facts, options, runs)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line as values; ends the program if it is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=200_000, help="in the cluster (200,000)")
    parser.add_argument("--slots", type=int, default=2000, help="that move (2,000)")
    parser.add_argument("--rounds", type=int, default=3, help="the median is told (3)")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="one of them; both")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the results between FILE's markers"
    )
    return parser.parse_args(arguments)


def reshard(engine: str, tool: str, keys: int, slots: int) -> Run:
    """Move slots of a fresh cluster under traffic.

    Raises:
        ReshardFailed: The tool failed, or keys or requests were lost.
    """
    with EmbeddedCluster(engine) as cluster, ProxyProcess(cluster.addresses) as proxy:
        source, target = cluster.primaries()[:2]
        moving = set(cluster.slots_of(source)[-slots:]) | set(cluster.slots_of(source)[:slots])
        fill(cluster, keys)
        names = [name for name in map(name_of, range(keys)) if key_slot(name.encode()) in moving]
        ids = [node.call_text("CLUSTER", "MYID").decode() for node in (source, target)]
        with one_client(proxy.port, names[:CLIENT_KEYS]) as (waits, errors):
            time.sleep(WARM_UP_S)
            waits.clear()
            started = time.perf_counter()
            done = subprocess.run(
                command_of(tool, str(source.address), ids, slots),
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            seconds = time.perf_counter() - started
        there = sum(int(node.call("DBSIZE")) for node in cluster.primaries())
        if done.returncode or errors or there != keys:
            said = (done.stderr or done.stdout)[-300:]
            raise ReshardFailed(
                f"{engine}, {tool}: exit {done.returncode} {said!r}, {there} of {keys} keys, "
                f"{len(errors)} failed requests {errors[:1]}"
            )
        return Run(seconds, max(waits))


def command_of(tool: str, seed: str, ids: Sequence[str], slots: int) -> list[str]:
    """Return the command line of a tool; ``classic`` and ``atomic`` are slotway's methods."""
    source, target = ids
    if tool == "redis-cli":
        options = f"--cluster-from {source} --cluster-to {target} --cluster-slots {slots}"
        return ["redis-cli", "--cluster", "reshard", seed, *options.split(), "--cluster-yes"]
    options = f"--from {source} --to {target} --slots {slots} --method {tool} --yes --seed {seed}"
    return [sys.executable, "-m", "proxy", "cluster", "reshard", *options.split()]


def name_of(number: int) -> str:
    """Return the name of a key."""
    return f"k{number}"


def fill(cluster: EmbeddedCluster, keys: int) -> None:
    """Write keys of five types, straight to the nodes."""
    owner = {slot: node.port for node in cluster.primaries() for slot in cluster.slots_of(node)}
    clients = [redis.Redis(port=node.port) for node in cluster.primaries()]
    ports = [node.port for node in cluster.primaries()]
    pipes = {
        port: client.pipeline(transaction=False)
        for port, client in zip(ports, clients, strict=True)
    }
    for number in range(keys):
        name = name_of(number)
        pipe = pipes[owner[key_slot(name.encode())]]
        match number % 5:
            case 0:
                pipe.set(name, "x" * 50, ex=36_000)
            case 1:
                pipe.hset(name, mapping={"a": 1, "b": 2})
            case 2:
                pipe.rpush(name, 1, 2, 3)
            case 3:
                pipe.sadd(name, 1, 2, 3)
            case _:
                pipe.zadd(name, {"a": 1})
        if number % BATCH == BATCH - 1:
            for each in pipes.values():
                each.execute()
    for each in pipes.values():
        each.execute()
    for client in clients:
        client.close()


@contextmanager
def one_client(port: int, names: Sequence[str]) -> Iterator[tuple[list[float], list[str]]]:
    """Let a client read and write keys, in turn, as long as the block lasts.

    Yields:
        How long it waited for each answer, in seconds, and what failed.
    """
    waits: list[float] = []
    errors: list[str] = []
    ended = threading.Event()

    def work() -> None:
        chance = random.Random(1)
        with redis.Redis(port=port, socket_timeout=30) as client:
            while not ended.is_set():
                name = chance.choice(names)
                is_write = chance.random() < 0.5
                started = time.perf_counter()
                try:
                    if not (client.expire(name, 36_000) if is_write else client.exists(name)):
                        errors.append(f"{name} is gone")
                except redis.RedisError as error:
                    errors.append(repr(error))
                waits.append(time.perf_counter() - started)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield waits, errors
    finally:
        ended.set()
        worker.join()


def write_markdown(
    facts: Mapping[str, str],
    options: argparse.Namespace,
    runs: Mapping[tuple[str, str], Sequence[Run]],
) -> str:
    """Return the section: what was done, and a row for each engine and tool."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += [
        f"- load: {options.slots:,} slots of a cluster with {options.keys:,} small keys",
        f"- client: one, reads and writes through slotway; median of {options.rounds} rounds",
        f"- command: `{shlex.join(['python', *sys.argv])}`",
        "",
        "| | time | longest wait | ratio of times |",
        "|---|---|---|---|",
    ]
    for (engine, tool), found in runs.items():
        seconds = median(run.seconds for run in found)
        wait_ms = median(run.longest_wait_s for run in found) * 1000
        base = median(run.seconds for run in runs[engine, "redis-cli"])
        ratio = "" if tool == "redis-cli" else f"{base / seconds:.1f}"
        name = "redis-cli" if tool == "redis-cli" else f"`slotway cluster reshard` ({tool})"
        lines.append(
            f"| {engine_label(engine)}, {name} | {seconds:.1f} s | {wait_ms:.0f} ms | {ratio} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
