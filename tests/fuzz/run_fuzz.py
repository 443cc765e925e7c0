"""Run one target with coverage: ``python run_fuzz.py TARGET --cases N``; ``make fuzz`` does it.

Strategy: libFuzzer (atheris brings it) keeps inputs that reach something new and changes those.
What is reached is counted in the data plane itself, which ``make fuzz`` compiles with clang's
counters and AddressSanitizer, and in the Python of ``proxy``. An input that goes wrong is
written to ``--artifacts``, and ``run_fuzz.py TARGET FILE`` runs it again.

Cost: up to 40,000 cases a second for the scanners, some hundreds for a whole engine (one core
of the CI machine).
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import atheris  # noqa: E402
import structlog  # noqa: E402
from borrow import borrow  # noqa: E402

# What is imported before it is instrumented is not counted: that goes for the borrowed, too.
with atheris.instrument_imports(include=["proxy"]):
    borrow()
    from targets import TARGETS

# A case of milliseconds that takes so long hangs.
HANG_S = 30
MEMORY_LIMIT_MB = 2048


def main() -> None:
    """Run a target until so many cases went well, or one did not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("files", nargs="*", help="run only these inputs")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=0, help="end after so long; 0: by cases")
    parser.add_argument("--corpus", type=Path, help="where inputs that reach something are kept")
    parser.add_argument("--artifacts", type=Path, default=Path())
    given = parser.parse_args()
    target = TARGETS[given.target]
    # A line for each thing that was refused would be most of the work.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    flags = [
        f"-runs={given.cases}", f"-seed={given.seed}", f"-max_len={2 * target.longest}",
        f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_LIMIT_MB}", "-print_final_stats=1",
        f"-max_total_time={given.seconds}", f"-artifact_prefix={given.artifacts}/{given.target}-",
        "-reduce_inputs=1", "-len_control=0",
    ]  # fmt: skip
    places = given.files
    if given.corpus and not places:
        places = [str(kept_inputs(given.target, given.corpus))]

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except BaseException:
            traceback.print_exc()  # atheris shows only the outermost of several
            raise

    atheris.Setup([sys.argv[0], *flags, *places], run, internal_libfuzzer=False)
    atheris.Fuzz()


def kept_inputs(name: str, corpus: Path) -> Path:
    """Return the folder of a target's inputs, those of the repository among them."""
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    path = HERE / "corpus" / f"{name}.hex"
    for number, line in enumerate(path.read_text().split() if path.exists() else ()):
        (folder / f"kept-{number}").write_bytes(bytes.fromhex(line))
    return folder


if __name__ == "__main__":
    main()
