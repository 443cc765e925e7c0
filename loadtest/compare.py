"""Compare the proxy with others, side by side, in one run.

Strategy: all contenders run at the same time and are measured in turn;
every round measures each workload on each contender once, in an order that
rotates, so that whatever the machine does meanwhile meets all of them. Only
ratios within one execution mean anything.

Cost: about 1 s a run, 10 workloads x 4 to 6 contenders x 5 rounds: see
loadtest/README.md, which also says how to read the tables.
"""

import argparse
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from answers import IdleCrowd, WrongAnswer, fill_keyspace
from backends import PRIMARIES, running_backends
from contender import Contender, ContenderFailed
from contenders import CONTENDERS
from ending import GONE_WRONG, exit_code_of
from machine import machine_facts, raise_file_limit
from measure import RunFailed, Sample, benchmark_command, resident_bytes, run_workload
from report import Results, put_section, write_json, write_markdown, write_text
from workloads import WORKLOADS, Workload

from proxy.embedded.engines import ENGINES, engine_label, find_engine
from proxy.embedded.errors import EmbeddedError, EngineMissing
from proxy.embedded.leash import Leash

DEFAULT_ROUNDS = 5
DEFAULT_REQUESTS = 100_000
QUICK_ROUNDS = 2
QUICK_REQUESTS = 8_000
WARM_UP_REQUESTS = 4_000
_SPARE_FILES = 300  # beside the idle clients: 50 busy ones, listeners, backends, logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 0 if every target held, 1 if not, 2 if it could not run."""
    options = parse_options(arguments)
    if problems := find_problems(options):
        print(*problems, sep="\n", file=sys.stderr)
        return GONE_WRONG
    failures = (ContenderFailed, EmbeddedError, OSError)
    return exit_code_of(lambda: report(options), "The comparison", failures)


def report(options: argparse.Namespace) -> int:
    """Measure, and write down what was found; return 0 if every target held, else 1."""
    raise_file_limit()
    results = Results(options.workloads, options.only, collect_facts(options))
    try:
        compare(options, results)
    finally:
        show_progress("")
    print(write_text(results))
    if options.json is not None:
        options.json.write_text(write_json(results))
    if options.markdown is not None:
        put_section(options.markdown, write_markdown(results))
    return 0 if results.all_held else 1


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line as values; ends the program if it is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--rounds", type=_positive, help=f"runs of each (default {DEFAULT_ROUNDS})")
    parser.add_argument(
        "--requests",
        type=_positive,
        help=f"requests of one GET run; the others follow (default {DEFAULT_REQUESTS})",
    )
    parser.add_argument("--workloads", metavar="A,B", help=f"some of: {', '.join(names)}")
    parser.add_argument("--only", metavar="A,B", help=f"some of: {', '.join(CONTENDERS)}")
    parser.add_argument(
        "--engine", choices=ENGINES, default="valkey", help="servers behind the contenders"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: few, short runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the section Results into FILE"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else DEFAULT_ROUNDS)
    options.requests = options.requests or (QUICK_REQUESTS if options.quick else DEFAULT_REQUESTS)
    chosen = _choose(parser, "--workloads", options.workloads, names)
    options.workloads = [workload for workload in WORKLOADS if workload.name in chosen]
    options.only = (
        _choose(parser, "--only", options.only, list(CONTENDERS))
        if options.only is not None
        else [name for name, kind in CONTENDERS.items() if _takes_part(kind)]
    )
    return options


def _takes_part(kind: type[Contender]) -> bool:
    return not kind.is_optional or kind.find_missing() is None


def _choose(
    parser: argparse.ArgumentParser, option: str, text: str | None, known: Sequence[str]
) -> list[str]:
    if text is None:
        return list(known)
    asked = text.split(",")
    for word in asked:
        if word not in known:
            parser.error(f"{option}: {word!r} is not one of {', '.join(known)}")
    return [word for word in known if word in asked]


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def find_problems(options: argparse.Namespace) -> list[str]:
    """Return what keeps the comparison from running, with the remedy."""
    problems = []
    if shutil.which("redis-benchmark") is None:
        problems.append("redis-benchmark is not on PATH: apt-get install redis-tools")
    for name in options.only:
        if (missing := CONTENDERS[name].find_missing()) is not None:
            others = ",".join(other for other in options.only if other != name)
            problems.append(f"{missing}  (or leave it out: --only {others})")
    try:
        find_engine(options.engine)
    except EngineMissing as error:
        problems.append(f"--engine {error}")
    needed = max(workload.idle_clients for workload in options.workloads) + _SPARE_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        others = ",".join(w.name for w in options.workloads if not w.idle_clients)
        problems.append(
            f"{needed} open files are needed, the hard limit is {hard}: ulimit -Hn {needed}"
            f"  (or leave the workload out: --workloads {others})"
        )
    return problems


def collect_facts(options: argparse.Namespace) -> dict[str, str]:
    """Return date, machine, versions and command line, for the head of the report."""
    return {
        **machine_facts(),
        "contenders": ", ".join(CONTENDERS[name].describe_version() for name in options.only),
        "servers": (
            f"{engine_label(options.engine)}: a cluster of {PRIMARIES} primaries, "
            "and one standalone server"
        ),
        "clients": f"{_benchmark_version()}; Python {platform.python_version()}",
        "command": shlex.join(["python", *sys.argv]),
    }


def _benchmark_version() -> str:
    said = subprocess.run(
        ["redis-benchmark", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def compare(options: argparse.Namespace, results: Results) -> None:
    """Start everything, measure, and leave nothing running.

    Raises:
        ContenderFailed: A contender did not start or is wrong from the start.
        EmbeddedError: The servers did not start, or the keyspace could not be filled.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        backends = stack.enter_context(running_backends(options.engine))
        leash = stack.enter_context(Leash())
        contenders = [CONTENDERS[name](backends, directory, leash) for name in options.only]
        for contender in contenders:
            stack.callback(contender.stop)
            contender.start()
            fill_keyspace(contender.port)
        for workload in options.workloads:
            for contender in contenders:
                warm_up(workload, contender)
        for round_number in range(options.rounds):
            for place, workload in enumerate(options.workloads):
                show_progress(f"round {round_number + 1}/{options.rounds}: {workload.title}")
                shift = (round_number + place) % len(contenders)
                for contender in contenders[shift:] + contenders[:shift]:
                    measure(workload, contender, options, results)


def warm_up(workload: Workload, contender: Contender) -> None:
    """Let a contender do the workload once, unmeasured: memory grows, caches fill."""
    if not workload.idle_clients:
        run_requests = max(1, round(WARM_UP_REQUESTS * workload.weight))
        command = benchmark_command(workload, port=contender.port, requests=run_requests)
        subprocess.run(command, input=workload.value, capture_output=True, check=False)


def measure(
    workload: Workload, contender: Contender, options: argparse.Namespace, results: Results
) -> None:
    """Do one run and keep its figures, or the fact that it failed."""
    requests = max(workload.pipeline, round(options.requests * workload.weight))
    try:
        if not workload.idle_clients:
            sample = run_workload(
                workload,
                port=contender.port,
                pid=contender.pid,
                requests=requests,
                idle_client_bytes=None,
            )
        elif contender.is_proxy:
            sample = measure_beside_idle(workload, contender, requests)
        else:
            return  # a server's own limit is 10,000 clients, and no proxy is being measured
    except (RunFailed, ContenderFailed, WrongAnswer, EmbeddedError, OSError) as error:
        results.add_failure(workload, contender.name, error)
    else:
        results.add(workload, contender.name, sample)


def measure_beside_idle(workload: Workload, contender: Contender, requests: int) -> Sample:
    """Run the workload on a fresh process that has idle clients to carry.

    A fresh one, because a process that has worked before has free memory to
    put clients into, and would look lighter than it is. For the same reason
    only the second half of the idle clients is weighed: what a process freed
    while starting holds some of the first.

    Raises:
        RunFailed, ContenderFailed, WrongAnswer, EmbeddedError, OSError: No figures.
    """
    fresh = type(contender)(contender.backends, contender.directory, contender.leash)
    crowd = IdleCrowd()
    with ExitStack() as stack:
        stack.callback(fresh.stop)
        fresh.start()
        stack.callback(crowd.disperse)
        first_half = workload.idle_clients // 2
        second_half = workload.idle_clients - first_half
        crowd.gather(fresh.port, first_half)
        half_bytes = resident_bytes(fresh.pid)
        crowd.gather(fresh.port, second_half)
        grown_bytes = resident_bytes(fresh.pid) - half_bytes
        return run_workload(
            workload,
            port=fresh.port,
            pid=fresh.pid,
            requests=requests,
            idle_client_bytes=grown_bytes / second_half,
        )


def show_progress(text: str) -> None:
    """Say on a terminal's last line what is being done; nothing if there is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
