"""The machine: what a reader of figures must know of it, and what has to be asked of it."""

import datetime
import os
import platform
import resource
import time
from pathlib import Path

_BUSY_PROBE_S = 1.0


def machine_facts() -> dict[str, str]:
    """Return date, machine, and how busy it is before we start, by their names in a report."""
    cpu_lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in cpu_lines if "model name" in line), "?")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "machine": (
            f"{os.cpu_count()} CPUs ({cpu}), {memory_bytes / 2**30:.0f} GiB, "
            f"{platform.system()} {platform.release()} {platform.machine()}"
        ),
        "busy before the start": f"{busy_fraction():.0%} of all CPUs",
    }


def busy_fraction() -> float:
    """Return how busy the machine is before we start, 0 to 1: what else runs here."""

    def read() -> tuple[int, int]:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(ticks[:8]), ticks[3] + ticks[4]  # all of them; idle and waiting for a disk

    before_all, before_idle = read()
    time.sleep(_BUSY_PROBE_S)
    after_all, after_idle = read()
    return 1 - (after_idle - before_idle) / max(1, after_all - before_all)


def raise_file_limit() -> None:
    """Allow this process and its children as many open files as the hard limit does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
