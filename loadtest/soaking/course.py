"""A soak from its first command to its last: rounds of load, and a look at the proxy after each.

Strategy: at the end of a round all visitors are sent home and everything is answered; the
clients that stay are connected still, so what the proxy keeps for a connection as long as
that lives is seen growing too. Every other round something happens to the cluster.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, wait_for
from soaking.crowd import Crowd, repeat
from soaking.learning import learn
from soaking.repertoire import BIG_KEY, BIG_VALUE, common_script, steady_script
from soaking.sample import Sample
from soaking.steps import Ask
from soaking.trouble import Trouble
from soaking.visits import Host, next_visit
from soaking.watcher import Watcher

QUIET_DEADLINE_S = 60.0
COMMON_SCRIPTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much, and of what.

    Attributes:
        commands: In all.
        rounds: In how many rounds, equally long.
        visitors: How many are there at a time.
        stay_commands: How long a visit is on average: commands of all clients together.
        depths: How many clients stay that send so many commands at once.
        script_commands: How many commands each of them repeats.
        is_troubled: Whether failovers and moves of slots happen.
        seed: Makes the choices.
    """

    commands: int = 50_000_000
    rounds: int = 40
    visitors: int = 5000
    stay_commands: int = 1_000_000
    depths: Mapping[int, int] = field(default_factory=lambda: {100: 16, 30: 12, 10: 8, 1: 6})
    script_commands: int = 2000
    is_troubled: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Scripts:
    """What is asked, with the right answers."""

    steady: Sequence[Sequence[Ask]]
    common: Sequence[Ask]


def learn_scripts(plan: Plan, server: Address) -> Scripts:
    """Return all scripts with the replies of a standalone server.

    Raises:
        NotRepeatable, OSError: As ``learn``.
    """
    steady = []
    for depth, clients in plan.depths.items():
        for _ in range(clients):
            number = len(steady)
            script = steady_script(
                f"soak:{number}",
                plan.script_commands,
                depth,
                is_big=depth > 1 and number % 2 == 0,
                seed=plan.seed + number,
            )
            steady.append(learn(server, script))
    common = learn(server, [common_script(number) for number in range(COMMON_SCRIPTS)])
    return Scripts(steady, common)


def soak(
    plan: Plan,
    scripts: Scripts,
    cluster: EmbeddedCluster,
    proxy: ProxyProcess,
    watcher: Watcher,
    tell: Callable[[str], object],
) -> list[Sample]:
    """Run it, and return what was seen; the last sample is of a proxy with no client at all.

    Args:
        plan: What to do.
        scripts: Learnt for it.
        cluster: With a replica of each primary, if there is to be trouble.
        proxy: Before it.
        watcher: Its.
        tell: Takes a line after each round.

    Raises:
        WrongAnswer: An answer was wrong, or did not come.
        NotInTime: The proxy did not come to rest.
        EmbeddedError, OSError: Something has ended that must not.
    """
    with NodeConnection(proxy.address) as first:
        first.call("SET", BIG_KEY, BIG_VALUE)
    host = Host(scripts.common, plan.stay_commands, random.Random(plan.seed))
    samples: list[Sample] = []
    with Trouble(cluster) as trouble:
        with Crowd(
            proxy.address,
            [repeat(script) for script in scripts.steady],
            size=plan.visitors,
            next_visit=lambda number: next_visit(host, number),
        ) as crowd:

            def look(*, is_quiet: bool, event: str = "") -> Sample:
                return watcher.look(
                    commands=crowd.commands,
                    visits=crowd.visits,
                    connections=crowd.connections,
                    is_quiet=is_quiet,
                    event=event,
                )

            for number in range(plan.rounds):
                event = trouble.begin() if plan.is_troubled and number % 2 else ""
                if event:
                    samples.append(look(is_quiet=False, event=event))
                crowd.run(
                    plan.commands // plan.rounds,
                    on_tick=lambda: samples.append(look(is_quiet=False)),
                    is_busy=lambda: not trouble.is_over(),
                )
                crowd.send_home()
                quiet = wait_until_quiet(lambda: look(is_quiet=True))
                samples.append(quiet)
                tell(round_line(number + 1, plan.rounds, quiet))
        commands, visits = crowd.commands, crowd.visits
    samples.append(
        wait_until_quiet(
            lambda: watcher.look(commands=commands, visits=visits, connections=0, is_quiet=False)
        )
    )
    return samples


def wait_until_quiet(look: Callable[[], Sample]) -> Sample:
    """Return the first sample in which nothing is left of the clients that have gone.

    Raises:
        NotInTime: Something stays; the message says what.
    """
    sample = look()

    def is_quiet() -> bool:
        nonlocal sample
        before, sample = sample, look()
        return (
            sample.clients == sample.connections
            and not sample.in_flight
            and not sample.leftovers
            # What is being closed is not counted any more, but open still.
            and sample.descriptors == before.descriptors
            and sample.node_connections == before.node_connections
        )

    wait_for(is_quiet, QUIET_DEADLINE_S, lambda: f"a quiet proxy: {sample}")
    return sample


def round_line(number: int, rounds: int, sample: Sample) -> str:
    """Return what is told of a round."""
    return (
        f"{number}/{rounds}: {sample.commands:,} commands, {sample.visits:,} visits, "
        f"{sample.resident_bytes / 2**20:.1f} MiB, {sample.other_descriptors} descriptors, "
        f"{sample.node_connections} connections to nodes, {sample.seconds:.0f} s"
    )
