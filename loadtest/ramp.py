"""Raise the number of users until more of them only wait: a ramp, for real.

    python loadtest/ramp.py --baseline

Strategy: starts a cluster and the proxy, and a standalone server for
comparison, runs locustfile.py against each in turn by locust's own command
line, and makes of its timeline a plot, a table and the knee. Which processes
used the machine's cores is counted beside, for on one machine the load
generator is the hungriest: the knee is that of all of them together, and the
difference between the two ramps is what the proxy costs.

Cost: steps x seconds a ramp, twice with ``--baseline``, and some seconds to start.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ending import GONE_WRONG, exit_code_of
from load.plot import draw_ramp
from load.steps import Knee, Step, cores_between, find_knee, steps_of
from load.summary import knee_sentence, put_between_markers, write_csv, write_markdown
from load.timeline import Timeline
from machine import machine_facts
from measure import cpu_ns

from proxy.embedded import EmbeddedCluster, EmbeddedError, ProxyProcess, StandaloneServer
from proxy.embedded.engines import ENGINES, engine_label
from proxy.embedded.leash import Leash

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
REPORTS = HERE.parent / "build" / "load"  # large, and not committed
PRIMARIES = 3
SAMPLE_EVERY_S = 0.5
END_LIMIT_S = 30.0
STATISTICS = "_stats.csv"  # how locust names its file of each command's figures
_NODE_TIMEOUT_MS = 15_000  # Redis's default: a node that waits for a busy CPU has not failed

Cpu = Callable[[], int]
"""Nanoseconds of CPU a party has used so far."""


class LocustFailed(Exception):
    """locust gave no figures; the text says what it said instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ramps; return 0, 1 if requests failed, or 2 if it could not run."""
    options = parse_options(arguments)
    failures = (LocustFailed, EmbeddedError, OSError)
    return exit_code_of(lambda: report(options), "The ramp", failures)


def report(options: argparse.Namespace) -> int:
    """Run the ramps, and write down what was found; return the exit code."""
    facts = collect_facts(options)
    options.reports.mkdir(parents=True, exist_ok=True)
    for old in options.reports.glob(f"*{STATISTICS}"):
        old.unlink()
    ramps = {"slotway": ramp_of_proxy(options)}
    if options.baseline:
        ramps["standalone server"] = ramp_of_standalone(options)
    return write_report(options, facts, ramps)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line as values; ends the program if it is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=500, help="users in the last step (500)")
    parser.add_argument("--steps", type=int, default=10, help="how many steps (10)")
    parser.add_argument("--step-s", type=float, default=7.0, help="seconds of a step (7)")
    parser.add_argument("--processes", type=int, default=2, help="locust's workers (2)")
    parser.add_argument("--mix", default="all", help="see locust --help; all")
    parser.add_argument("--think-ms", type=float, default=50.0, help="see locust --help; 50")
    parser.add_argument("--engine", choices=ENGINES, default="valkey", help="the servers")
    parser.add_argument(
        "--baseline", action="store_true", help="the same against one standalone server"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="for ramp.svg, ramp.csv")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="for locust's own files")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the results between FILE's markers"
    )
    return parser.parse_args(arguments)


def collect_facts(options: argparse.Namespace) -> dict[str, str]:
    """Return what a reader must know of the circumstances."""
    return {
        **machine_facts(),
        "servers": f"{engine_label(options.engine)}: a cluster of {PRIMARIES} primaries"
        + (", and one standalone server" if options.baseline else ""),
        "load": (
            f"mix {options.mix}, {options.steps} steps of {options.step_s:g} s up to "
            f"{options.users} users, {options.think_ms:g} ms to think, "
            f"{options.processes} processes of locust on the same machine"
        ),
        "command": f"`{shlex.join(['python', *sys.argv])}`",
    }


def ramp_of_proxy(options: argparse.Namespace) -> list[Step]:
    """Run the ramp through a proxy to a cluster."""
    cluster = EmbeddedCluster(
        options.engine, primaries=PRIMARIES, replicas=0, node_timeout_ms=_NODE_TIMEOUT_MS
    )
    with cluster, ProxyProcess(cluster.addresses) as proxy:
        parties: dict[str, Cpu] = {
            "proxy": lambda: cpu_ns(proxy.pid),
            "servers": lambda: sum(cpu_ns(node.pid) for node in cluster.nodes),
        }
        return run_ramp("slotway", proxy.port, parties, options)


def ramp_of_standalone(options: argparse.Namespace) -> list[Step]:
    """Run the ramp straight to one server."""
    with StandaloneServer(options.engine) as server:
        parties: dict[str, Cpu] = {"servers": lambda: cpu_ns(server.node.pid)}
        return run_ramp("standalone", server.port, parties, options)


def run_ramp(
    name: str, port: int, parties: Mapping[str, Cpu], options: argparse.Namespace
) -> list[Step]:
    """Run locust against a port and return the steps.

    Raises:
        LocustFailed: It gave no timeline.
    """
    prefix = options.reports / name
    timeline = prefix.with_name(f"{name}_timeline.json")
    timeline.unlink(missing_ok=True)
    seconds = options.steps * options.step_s
    print(f"{name}: {seconds:.0f} s up to {options.users} users", flush=True)
    command = [
        *(sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py")),
        *("--headless", "--only-summary", "--processes", str(options.processes)),
        *("--host", f"redis://127.0.0.1:{port}", "--mix", options.mix, "--shape", "ramp"),
        *("--users", str(options.users), "--run-time", f"{seconds:.0f}s"),
        *("--steps", str(options.steps), "--think-ms", f"{options.think_ms:g}"),
        *("--timeline", str(timeline), "--html", f"{prefix}.html", "--csv", str(prefix)),
    ]
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        log = prefix.with_suffix(".log")
        log.unlink(missing_ok=True)
        locust = leash.start(command, log=log)
        stack.callback(locust.wait)
        stack.callback(locust.terminate)
        everybody = {"locust": lambda: family_cpu_ns(locust.pid), **parties}
        samples = stack.enter_context(sampled(everybody))
        try:
            locust.wait(seconds + END_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise LocustFailed(f"no end after {seconds + END_LIMIT_S:g} s, see {log}") from None
    if not timeline.is_file():
        raise LocustFailed(f"{name}:\n{log.read_text()[-2000:]}")
    return read_steps(timeline, samples)


def read_steps(path: Path, samples: Sequence[tuple[float, Mapping[str, int]]]) -> list[Step]:
    """Return the steps of a timeline that locust wrote, with the CPU used in each."""
    timeline = Timeline()
    timeline.merge(json.loads(path.read_text()))
    return [
        replace(step, cores=cores_between(samples, step.start, step.start + step.seconds))
        for step in steps_of(timeline.seconds)
    ]


@contextmanager
def sampled(
    parties: Mapping[str, Cpu],
) -> Iterator[list[tuple[float, dict[str, int]]]]:
    """Note the CPU time of all parties twice a second, as long as the block lasts."""
    samples: list[tuple[float, dict[str, int]]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            try:
                now = {party: read() for party, read in parties.items()}
            except (OSError, EmbeddedError):
                continue  # somebody is leaving
            samples.append((time.time(), now))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()


def family_cpu_ns(pid: int) -> int:
    """Return the CPU time of a process and its children.

    Raises:
        OSError: One of them is gone.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_ns(pid) + sum(cpu_ns(int(child)) for child in children)


def write_report(
    options: argparse.Namespace, facts: Mapping[str, str], ramps: Mapping[str, list[Step]]
) -> int:
    """Write plot, CSV and section, say where the knees are; return the exit code."""
    knees: dict[str, Knee] = {}
    for name, steps in ramps.items():
        if (knee := find_knee(steps)) is None:
            print(f"{name}: the steps are too short to count", file=sys.stderr)
            return GONE_WRONG
        knees[name] = knee
        print(knee_sentence(name, knee).replace("**", ""))
    options.results.mkdir(parents=True, exist_ok=True)
    picture = options.results / "ramp.svg"
    picture.write_text(draw_ramp(ramps, knees))
    (options.results / "ramp.csv").write_text(write_csv(ramps))
    for statistics in sorted(options.reports.glob(f"*{STATISTICS}")):
        shutil.copy(statistics, options.results)
    if options.markdown is not None:
        place = os.path.relpath(picture, options.markdown.parent)
        section = write_markdown(facts, ramps, knees, place)
        put_between_markers(options.markdown, section)
    print(f"plot and CSV: {options.results}; locust's reports: {options.reports}")
    failures = sum(step.failures for steps in ramps.values() for step in steps)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
