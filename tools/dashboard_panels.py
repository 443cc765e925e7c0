"""What is on the dashboard: data of deploy/grafana/slotway.json.

A panel is a title, a unit and its queries. Rates are of all chosen proxies together, if the
panel does not tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

# Which proxies: chosen at the top of the dashboard.
OF = 'job=~"$job", instance=~"$instance"'
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One chart or figure: its queries are pairs of (query, legend)."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    text: str = ""
    is_stat: bool = False
    # (from which value on, colour), the first of them without a value.
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return a query for how much a counter grows in a second, summed up."""
    selected = f"{OF}, {where}" if where else OF
    return f"sum{_by(by)} (rate({metric}{{{selected}}}[{RATE}]))"


def level(metric: str, by: str = "", how: str = "sum") -> str:
    """Return a query for a gauge, summed up."""
    return f"{how}{_by(by)} ({metric}{{{OF}}})"


def quantile(share: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return a query for a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', f'le {by}', where)})"


def mean(histogram: str, by: str = "") -> str:
    """Return a query for the mean of a histogram."""
    return f"{rate(f'{histogram}_sum', by)} / {rate(f'{histogram}_count', by)}"


def _by(labels: str) -> str:
    return f" by ({', '.join(labels.split())})" if labels else ""


ERROR_SHARE = f"{rate('slotway_request_errors_total')} / {rate('slotway_requests_total')}"
NOT_BLOCKING = 'family!="blocking"'
WHOLE, BACKEND = "slotway_node_duration_seconds", "slotway_node_backend_duration_seconds"
DURATION = "slotway_request_duration_seconds"

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel(
                "Proxies that are ready",
                ((level("slotway_ready"), "ready"),),
                is_stat=True,
                steps=((None, "red"), (1, "green")),
            ),
            Panel(
                "Slots with a node",
                ((level("slotway_slots_covered", how="min"), "slots"),),
                is_stat=True,
                steps=((None, "red"), (16384, "green")),
            ),
            Panel("Clients", ((level("slotway_clients"), "clients"),), is_stat=True),
            Panel("Requests", ((rate("slotway_requests_total"), "req/s"),), "reqps", is_stat=True),
            Panel(
                "Answered with an error",
                ((ERROR_SHARE, "share"),),
                "percentunit",
                is_stat=True,
                steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
            ),
            Panel(
                "Latency, 99 of 100",
                ((quantile(0.99, DURATION, where=NOT_BLOCKING), "p99"),),
                "s",
                is_stat=True,
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "Requests by family",
                ((rate("slotway_requests_total", "family"), "{{family}}"),),
                "reqps",
            ),
            Panel(
                "Reads and writes",
                ((rate("slotway_requests_total", "direction"), "{{direction}}"),),
                "reqps",
            ),
            Panel(
                "Errors by class",
                ((rate("slotway_error_replies_total", "class"), "{{class}}"),),
                "reqps",
                "What clients got, whoever made it.",
            ),
            Panel(
                "Latency by family, half of the requests",
                ((quantile(0.5, DURATION, "family", NOT_BLOCKING), "{{family}}"),),
                "s",
            ),
            Panel(
                "Latency by family, 99 of 100",
                ((quantile(0.99, DURATION, "family", NOT_BLOCKING), "{{family}}"),),
                "s",
            ),
            Panel(
                "Split requests and their parts",
                (
                    (rate("slotway_split_width_count"), "split requests"),
                    (rate("slotway_split_width_sum"), "parts"),
                ),
                "reqps",
            ),
            Panel(
                "Off the hot road, by reason",
                ((rate("slotway_punts_total", "reason"), "{{reason}}"),),
                "reqps",
                "These cost some ten times as much; a rise says that the traffic has changed.",
            ),
        ),
    ),
    (
        "Where the time goes",
        (
            Panel(
                "Whole latency by node, 99 of 100",
                ((quantile(0.99, WHOLE, "node"), "{{node}}"),),
                "s",
                "As a client would measure it here.",
            ),
            Panel(
                "The nodes' share, 99 of 100",
                ((quantile(0.99, BACKEND, "node"), "{{node}}"),),
                "s",
                "From writing to a node until its reply was read.",
            ),
            Panel(
                "Mean: nodes and proxy",
                (
                    (mean(BACKEND), "nodes"),
                    (f"({mean(WHOLE)}) - ({mean(BACKEND)})", "proxy"),
                ),
                "s",
                "What the proxy adds: waiting for a connection, a redirect or a full queue.",
            ),
            Panel(
                "Requests by node",
                ((rate("slotway_node_requests_total", "node"), "{{node}}"),),
                "reqps",
            ),
            Panel(
                "On their way to nodes",
                (
                    (level("slotway_node_in_flight_requests", "node"), "{{node}} sent"),
                    (level("slotway_node_queued_requests", "node"), "{{node}} waiting"),
                ),
            ),
            Panel(
                "Waiting bytes by node",
                ((level("slotway_node_queued_bytes", "node"), "{{node}}"),),
                "bytes",
            ),
            Panel(
                "Bytes from and to nodes",
                (
                    (rate("slotway_node_received_bytes_total", "node"), "{{node}} from"),
                    (rate("slotway_node_sent_bytes_total", "node"), "{{node}} to"),
                ),
                "Bps",
            ),
            Panel(
                "Errors of nodes",
                ((rate("slotway_node_errors_total", "node"), "{{node}}"),),
                "reqps",
            ),
            Panel(
                "Connections to nodes",
                ((level("slotway_node_connections", "node"), "{{node}}"),),
            ),
        ),
    ),
    (
        "What goes wrong, and what is done about it",
        (
            Panel(
                "Redirects and refusals",
                ((rate("slotway_refusals_total", "kind"), "{{kind}}"),),
                "reqps",
            ),
            Panel(
                "Sent again, given up, unknown",
                (
                    (rate("slotway_resends_total"), "sent again"),
                    (rate("slotway_expired_requests_total"), "given up"),
                    (rate("slotway_unknown_outcomes_total"), "outcome unknown"),
                    (rate("slotway_late_replies_total"), "late replies"),
                ),
                "reqps",
            ),
            Panel(
                "Limits reached",
                ((rate("slotway_limit_hits_total", "limit"), "{{limit}}"),),
                "ops",
            ),
            Panel(
                "Connections lost and tried",
                (
                    (rate("slotway_node_lost_connections_total", "node"), "{{node}} lost"),
                    (rate("slotway_failed_dials_total"), "tried in vain"),
                    (rate("slotway_dials_total"), "tried"),
                ),
                "ops",
            ),
            Panel(
                "Changes of the map",
                (
                    (rate("slotway_map_changes_total"), "changes"),
                    (rate("slotway_map_refreshes_total"), "asked for"),
                    (rate("slotway_failed_map_refreshes_total"), "asked in vain"),
                ),
                "ops",
            ),
            Panel(
                "Slots without a node",
                ((f"16384 - {level('slotway_slots_covered', 'instance', 'min')}", "{{instance}}"),),
            ),
            Panel(
                "Nodes that answer health checks",
                (
                    (level("slotway_node_up", "node", "min"), "{{node}}"),
                    (level("slotway_node_breaker_open", "node", "max"), "{{node}}, breaker open"),
                ),
            ),
            Panel(
                "Time of a health check",
                ((level("slotway_node_ping_seconds", "node", "max"), "{{node}}"),),
                "s",
            ),
            Panel(
                "Missed health checks, breakers",
                (
                    (rate("slotway_node_missed_health_checks_total"), "missed"),
                    (rate("slotway_breaker_openings_total"), "breakers opened"),
                    (rate("slotway_spared_requests_total"), "answered by a breaker"),
                ),
                "ops",
            ),
            Panel(
                "Late reads, asked of another node too",
                (
                    (rate("slotway_hedges_total"), "asked"),
                    (rate("slotway_hedges_won_total"), "answered first"),
                ),
                "ops",
            ),
            Panel(
                "Replicas that may answer reads",
                ((level("slotway_replica_reads_allowed", "node", "min"), "{{node}}"),),
            ),
            Panel("Nodes by role", ((level("slotway_nodes", "role", "max"), "{{role}}"),)),
        ),
    ),
    (
        "Clients",
        (
            Panel(
                "Clients",
                (
                    (level("slotway_clients"), "connected"),
                    (level("slotway_clients_blocked"), "blocked"),
                    (level("slotway_clients_stopped"), "stopped"),
                    (level("slotway_clients_max"), "limit"),
                ),
            ),
            Panel(
                "Let in and turned away",
                (
                    (rate("slotway_clients_accepted_total"), "let in"),
                    (rate("slotway_clients_refused_total"), "turned away"),
                    (rate("slotway_protocol_errors_total"), "not RESP"),
                ),
                "ops",
            ),
            Panel(
                "In flight", ((level("slotway_in_flight_requests", "instance"), "{{instance}}"),)
            ),
            Panel(
                "Bytes from and to clients",
                (
                    (rate("slotway_client_received_bytes_total"), "from"),
                    (rate("slotway_client_sent_bytes_total"), "to"),
                ),
                "Bps",
            ),
            Panel(
                "Bytes held for clients",
                ((level("slotway_client_buffer_bytes", "buffer"), "{{buffer}}"),),
                "bytes",
            ),
            Panel(
                "Listeners",
                (
                    (level("slotway_pubsub_clients"), "clients"),
                    (level("slotway_pubsub_topics", "kind"), "{{kind}}"),
                ),
            ),
            Panel(
                "Messages",
                (
                    (rate("slotway_pubsub_messages_total"), "from nodes"),
                    (rate("slotway_pubsub_deliveries_total"), "to clients"),
                ),
                "ops",
            ),
        ),
    ),
    (
        "The proxy itself",
        (
            Panel(
                "Processor",
                ((rate("process_cpu_seconds_total", "instance"), "{{instance}}"),),
                "percentunit",
                "One process uses one core: near 100 % start another.",
            ),
            Panel(
                "Memory",
                (
                    (level("process_resident_memory_bytes", "instance"), "{{instance}}"),
                    (level("slotway_held_bytes", "instance"), "{{instance}}, held for clients"),
                    (level("slotway_held_max_bytes"), "limit of that, 0: none"),
                ),
                "bytes",
            ),
            Panel(
                "File descriptors",
                (
                    (level("process_open_fds", "instance"), "{{instance}}"),
                    (level("process_max_fds", how="min"), "limit"),
                ),
            ),
            Panel(
                "A turn of everything, 99 of 100",
                (
                    (quantile(0.99, "slotway_tick_duration_seconds"), "data plane"),
                    (quantile(0.99, "slotway_turn_duration_seconds"), "control plane"),
                ),
                "s",
                "So long may one side have waited for the other.",
            ),
            Panel(
                "Lanes and their connections",
                (
                    (level("slotway_lanes", "lane"), "{{lane}} lanes"),
                    (level("slotway_lane_connections", "lane"), "{{lane}} connections"),
                ),
            ),
            Panel(
                "Private connections",
                ((level("slotway_private_connections", "state"), "{{state}}"),),
            ),
            Panel(
                "Scripts remembered",
                ((level("slotway_script_memory_bytes", "instance"), "{{instance}}"),),
                "bytes",
            ),
        ),
    ),
)
