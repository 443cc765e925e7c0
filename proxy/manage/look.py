"""Ask all nodes of a cluster what they see: the only way from the network to a ``View``.

Strategy: the first seed that answers names the others (CLUSTER NODES for who exists,
CLUSTER SLOTS for the endpoint that clients should use), and then everybody is asked at
the same time. Whoever does not answer is part of the view too.

Cost: three round trips; 10 ms for six nodes on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.topology import parse_preferred_endpoints
from proxy.errors import BackendProtocolError
from proxy.manage.errors import ManageError, NodeRefused, NodeUnreachable
from proxy.manage.links import Links
from proxy.manage.report import QUESTIONS, Report, parse_report
from proxy.manage.view import View


def look(links: Links, seeds: Sequence[Address], address_map: AddressMap | None = None) -> View:
    """Return the whole cluster that the seeds belong to.

    Args:
        links: Asked through.
        seeds: The first that answers decides which cluster it is.
        address_map: For nodes that announce what cannot be reached from here.

    Raises:
        ManageError: No seed answers, or the first that does is no cluster's node.
    """
    translate = address_map or AddressMap()
    first = _first_answer(links, seeds)
    endpoints = _endpoints(links, first.address)
    addresses = [
        translate.reachable(endpoints.get(node.id, node.address))
        if node.id != first.id
        else first.address
        for node in first.topology.nodes
    ]
    reports, silent = _ask(links, addresses)
    if not reports:
        raise NodeUnreachable(first.address, "it went away while it was asked")
    return View(tuple(reports), silent, translate)


def look_at(links: Links, addresses: Sequence[Address]) -> View:
    """Return what exactly these nodes say, whatever cluster each belongs to, in their order.

    Nodes that are no cluster's are among the reports (``not_in_cluster_mode``).
    """
    reports, silent = _ask(links, addresses, with_peers=True)
    return View(tuple(reports), silent)


def watcher(
    links: Links,
    seeds: Sequence[Address],
    address_map: AddressMap | None = None,
    *,
    without: str | None = None,
) -> Callable[[], View]:
    """Return a function that looks again, by whatever nodes answered the last time.

    Args:
        links: Asked through.
        seeds: Whom to ask first.
        address_map: As for ``look``.
        without: The id of a node that is not asked for the others, wherever it is reached: it is
            leaving, and will forget them. It is none of the seeds.
    """
    known = list(seeds)

    def again() -> View:
        view = look(links, known, address_map)
        answered = [report.address for report in view.reports if report.id != without]
        known[:] = dict.fromkeys([*answered, *known])
        return view

    return again


def _first_answer(links: Links, seeds: Sequence[Address]) -> Report:
    problems: list[ManageError] = []
    for seed in seeds:
        try:
            report = parse_report(seed, links[seed].call_each(QUESTIONS))
        except ManageError as problem:
            problems.append(problem)
            continue
        except BackendProtocolError as problem:
            problems.append(ManageError(str(problem)))
            continue
        if not report.not_in_cluster_mode:
            return report
        problems.append(ManageError(f"{seed} is not in cluster mode (cluster-enabled yes)"))
    raise problems[0] if problems else ManageError("no seed was given")


def _endpoints(links: Links, address: Address) -> dict[str, Address]:
    try:
        return parse_preferred_endpoints(links[address].call("CLUSTER", "SLOTS"), address)
    except (NodeRefused, BackendProtocolError):
        return {}  # CLUSTER NODES has named addresses too


def _ask(
    links: Links, addresses: Iterable[Address], *, with_peers: bool = False
) -> tuple[list[Report], dict[Address, str]]:
    reports: list[Report] = []
    silent: dict[Address, str] = {}
    for address, replies in links.ask_all(addresses, QUESTIONS).items():
        if isinstance(replies, NodeUnreachable):
            silent[address] = replies.reason
            continue
        try:
            peer = links[address].peer_host() if with_peers else ""
            reports.append(parse_report(address, replies, peer))
        except NodeUnreachable as problem:
            silent[address] = problem.reason
        except NodeRefused as problem:
            silent[address] = problem.words
        except BackendProtocolError as problem:
            silent[address] = str(problem)
    return reports, silent
