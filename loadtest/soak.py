"""Tens of millions of commands, thousands of clients that come and go, and nothing left of them.

    python loadtest/soak.py --markdown docs/reliability.md

Strategy: a cluster with replicas and the proxy before it, watched from outside. Every reply must
be, byte for byte, what a standalone server answers (``soaking``). After each round of load the
proxy is looked at while it rests; failovers and moves of slots happen meanwhile.
tests/live/test_soak.py is the same, and small.

Cost: twenty minutes on two cores for the 50,000,000 commands that are its default; longer if they
have other work.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ending import exit_code_of
from load.summary import put_between_markers
from machine import machine_facts, raise_file_limit
from soaking.course import Plan, learn_scripts, soak
from soaking.guest import WrongAnswer
from soaking.learning import NotRepeatable
from soaking.report import BEGIN, END, draw_soak, write_markdown
from soaking.sample import Sample, thinned, write_samples
from soaking.verdict import Limits, judge
from soaking.watcher import watched_proxy

from proxy.embedded import EmbeddedCluster, EmbeddedError, StandaloneServer
from proxy.embedded.engines import ENGINES, engine_label

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
ROWS = 600  # of the CSV, some 50 kB
PLAN = Plan()
_NODE_TIMEOUT_MS = 15_000  # Redis's default: a node that waits for a busy CPU has not failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; return 0, 1 if it was not passed, or 2 if it could not run."""
    options = parse_options(arguments)
    failures = (EmbeddedError, NotRepeatable, OSError, ValueError)
    return exit_code_of(lambda: report(options), "The soak", failures)


def report(options: argparse.Namespace) -> int:
    """Soak, and write down what was found; return 0, or 1 if it was not passed."""
    try:
        facts = collect_facts(options)
        return write_report(options, facts, run(options))
    except WrongAnswer as problem:
        print(f"Wrong: {problem}", file=sys.stderr)
        return 1


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line as values; ends the program if it is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--commands", type=int, default=PLAN.commands, help=f"in all ({PLAN.commands:,})"
    )
    parser.add_argument(
        "--rounds", type=int, default=PLAN.rounds, help=f"looks at rest ({PLAN.rounds})"
    )
    parser.add_argument(
        "--visitors", type=int, default=PLAN.visitors, help=f"at a time ({PLAN.visitors:,})"
    )
    parser.add_argument("--engine", choices=ENGINES, default="valkey", help="the servers")
    parser.add_argument("--results", type=Path, default=RESULTS, help="for soak.svg, soak.csv")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the results between FILE's markers"
    )
    return parser.parse_args(arguments)


def collect_facts(options: argparse.Namespace) -> dict[str, str]:
    """Return what a reader must know of the circumstances."""
    return {
        **machine_facts(),
        "servers": f"{engine_label(options.engine)}: a cluster of 3 primaries and 3 replicas",
        "command": f"`{shlex.join(['python', *sys.argv])}`",
    }


def run(options: argparse.Namespace) -> list[Sample]:
    """Start everything, soak it, and end it all."""
    raise_file_limit()
    plan = Plan(commands=options.commands, rounds=options.rounds, visitors=options.visitors)
    with StandaloneServer(options.engine) as server:
        scripts = learn_scripts(plan, server.address)
    with (
        EmbeddedCluster(options.engine, node_timeout_ms=_NODE_TIMEOUT_MS) as cluster,
        watched_proxy(cluster.addresses) as (proxy, watcher),
    ):
        samples = soak(plan, scripts, cluster, proxy, watcher, lambda line: print(line, flush=True))
        if tracebacks := proxy.tracebacks():
            raise WrongAnswer(f"the proxy's log has a traceback:\n{tracebacks}")
    return samples


def write_report(
    options: argparse.Namespace, facts: dict[str, str], samples: Sequence[Sample]
) -> int:
    """Write plot, CSV and section, say what was found; return the exit code."""
    limits = Limits()
    verdict = judge(samples, limits)
    options.results.mkdir(parents=True, exist_ok=True)
    picture = options.results / "soak.svg"
    picture.write_text(draw_soak(samples))
    (options.results / "soak.csv").write_text(write_samples(thinned(samples, ROWS)))
    if options.markdown is not None:
        place = os.path.relpath(picture, options.markdown.parent)
        section = write_markdown(facts, samples, verdict, limits, place)
        put_between_markers(options.markdown, section, BEGIN, END)
    print(f"plot and CSV: {options.results}")
    for problem in verdict.problems:
        print(f"FAILED {problem}", file=sys.stderr)
    if not verdict.problems:
        print(f"PASSED {verdict.bytes_per_command:.4f} bytes a command, nothing grew")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
