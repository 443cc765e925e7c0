"""One measurement: run redis-benchmark against a port, watch one process meanwhile.

CPU is the process's CPU clock, read before and after: nanoseconds, all
threads, also those that ended meanwhile. ``utime + stime`` of /proc/PID/stat
is the same sum in steps of 10 ms, 1 % of a run.

Cost: a run lasts as long as redis-benchmark does, plus a few milliseconds
until the process has seen the clients leave.
"""

import csv
import io
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from workloads import Workload

RUN_TIMEOUT_S = 90.0  # a run lasts about 1 s; a contender that hangs must not hang the rest
_QUIET_STEP_S = 0.005
_QUIET_LIMIT_S = 0.5
# Linux's number for "CPU time of process PID": (~PID << 3) | CPUCLOCK_SCHED,
# what clock_getcpuclockid(3) computes; Python does not offer that call.
_CPUCLOCK_SCHED = 2


class RunFailed(Exception):
    """redis-benchmark gave no figures; the text says what it said instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run gave.

    Attributes:
        rate: Requests per second.
        p50_ms: Median latency as the client saw it.
        p99_ms: Latency that one request in a hundred exceeded.
        cpu_us: CPU microseconds of the watched process per request.
        resident_bytes: Its resident memory when the run ended.
        idle_client_bytes: Resident memory per idle client; None without any.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    resident_bytes: float
    idle_client_bytes: float | None


def cpu_ns(pid: int) -> int:
    """Return the CPU time a process has used so far, all its threads together."""
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory.

    From smaps_rollup, which counts pages; VmRSS may lag by a batch per CPU.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise RunFailed(f"/proc/{pid}/smaps_rollup has no Rss line")


def run_workload(
    workload: Workload,
    *,
    port: int,
    pid: int,
    requests: int,
    idle_client_bytes: float | None,
) -> Sample:
    """Run redis-benchmark once.

    Raises:
        RunFailed: An error reply, a refused connection, no figures, or
            nothing at all for ``RUN_TIMEOUT_S``.
        OSError: The watched process is gone.
    """
    command = benchmark_command(workload, port=port, requests=requests)
    before_ns = cpu_ns(pid)
    try:
        done = subprocess.run(
            command, input=workload.value, capture_output=True, timeout=RUN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"no end after {RUN_TIMEOUT_S:g} s") from error
    used_ns = _cpu_ns_when_quiet(pid) - before_ns
    rate, p50_ms, p99_ms = parse_benchmark(done)
    return Sample(
        rate=rate,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        cpu_us=used_ns / 1000 / requests,
        resident_bytes=resident_bytes(pid),
        idle_client_bytes=idle_client_bytes,
    )


def benchmark_command(workload: Workload, *, port: int | str, requests: int) -> list[str]:
    """Return redis-benchmark's command line; ``-x`` reads the value from standard input."""
    return [
        "redis-benchmark",
        *("-p", str(port), "-c", str(workload.clients), "-P", str(workload.pipeline)),
        *("-n", str(requests), "-r", str(workload.keyspace), "--csv"),
        *(["-x"] if workload.value else []),
        *workload.command,
    ]


def parse_benchmark(done: subprocess.CompletedProcess[bytes]) -> tuple[float, float, float]:
    """Return requests per second, p50 and p99 in milliseconds from ``--csv`` output.

    Raises:
        RunFailed: There are no figures, or redis-benchmark reported a failure.
    """
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(errors="replace"))))
    if done.returncode != 0 or not rows:
        said = done.stderr or done.stdout
        raise RunFailed(f"redis-benchmark: exit {done.returncode}: {said[-300:]!r}")
    row = rows[-1]
    return float(row["rps"]), float(row["p50_latency_ms"]), float(row["p99_latency_ms"])


def _cpu_ns_when_quiet(pid: int) -> int:
    """Return ``cpu_ns`` once it stands still: the clients' leaving is work, too."""
    last = cpu_ns(pid)
    deadline = time.monotonic() + _QUIET_LIMIT_S
    while time.monotonic() < deadline:
        time.sleep(_QUIET_STEP_S)
        now = cpu_ns(pid)
        if now == last:
            break
        last = now
    return last
