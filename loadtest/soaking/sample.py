"""What a soak measures, and the table of it: pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the proxy.

    Attributes:
        seconds: Since the soak began.
        commands: Sent so far.
        visits: Clients that have come so far.
        is_quiet: Whether no visitor is there and nobody is owed an answer.
        event: What was done to the cluster just then; empty for nothing.
        connections: Of clients, as they count them.
        resident_bytes: Of the proxy's process, by the kernel.
        held_bytes: What the proxy counts of requests and replies that it keeps.
        descriptors: Open ones of the process.
        threads: Of the process.
        cpu_s: Used by the process so far.
        clients: As the proxy counts them.
        node_connections: The proxy's to the nodes, shared and private.
        in_flight: Pieces of requests without an answer.
        lanes: Kinds of connections to nodes; who has keys tracked has one alone.
        leftovers: Clients that are blocked, channels that are listened to, and connections to
            nodes that one client has to itself.
    """

    seconds: float
    commands: int
    visits: int
    is_quiet: bool
    event: str
    connections: int
    resident_bytes: int
    held_bytes: int
    descriptors: int
    threads: int
    cpu_s: float
    clients: int
    node_connections: int
    in_flight: int
    lanes: int
    leftovers: int

    @property
    def other_descriptors(self) -> int:
        """Descriptors that are no client's and lead to no node."""
        return self.descriptors - self.clients - self.node_connections


def write_samples(samples: Sequence[Sample]) -> str:
    """Return them as CSV, a row each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Sample))
    for sample in samples:
        values = asdict(sample) | {
            "seconds": f"{sample.seconds:.1f}",
            "cpu_s": f"{sample.cpu_s:.1f}",
            "is_quiet": int(sample.is_quiet),
        }
        writer.writerow(values.values())
    return text.getvalue()


def read_samples(text: str) -> list[Sample]:
    """Return the samples of a CSV.

    Raises:
        ValueError: It is no such table.
    """
    samples = []
    for row in csv.DictReader(io.StringIO(text)):
        try:
            samples.append(
                Sample(
                    seconds=float(row.pop("seconds")),
                    cpu_s=float(row.pop("cpu_s")),
                    is_quiet=row.pop("is_quiet") == "1",
                    event=row.pop("event"),
                    **{name: int(value) for name, value in row.items()},
                )
            )
        except (KeyError, TypeError) as problem:
            raise ValueError(f"not a table of samples: {problem}") from None
    return samples


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return some so many samples, evenly chosen, and all that are quiet or have an event."""
    step = max(1, -(-len(samples) // most))
    return [
        sample
        for place, sample in enumerate(samples)
        if place % step == 0 or sample.is_quiet or sample.event
    ]
