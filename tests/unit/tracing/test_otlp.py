"""What leaves as OTLP, read back by a receiver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from otlp_receiver import OtlpReceiver, as_dict

from proxy.embedded.ports import LOOPBACK, lease_ports
from proxy.tracing.otlp import OtlpExport
from proxy.tracing.spans import Kind, Moment, Span

SERVER, CLIENT = 2, 3  # SpanKind of the wire
ERROR = 2


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


def export_to(endpoint: str) -> OtlpExport:
    return OtlpExport(url=f"{endpoint}/v1/traces", service_name="orders", version="1.2")


def a_trace() -> Span:
    node = Span("GET h:1", Kind.CLIENT, 1_000, 2_000, {"slotway.slot": 93}, failed="MOVED")
    return Span(
        "GET",
        Kind.SERVER,
        500,
        3_000,
        {"slotway.keys": ["a", "b"], "slotway.parts": 1},
        moments=[Moment("slotway.moved", 1_500, {"slotway.node": "h:1"})],
        children=[node],
    )


def test_spans_arrive_with_their_times_kinds_attributes_and_events(receiver: OtlpReceiver) -> None:
    assert export_to(receiver.endpoint)([a_trace()]) == ""

    (root,) = receiver.roots
    (node,) = receiver.children_of(root)
    assert (root.name, root.kind) == ("GET", SERVER)
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (500, 3_000)
    assert as_dict(root.attributes) == {"slotway.keys": ["a", "b"], "slotway.parts": 1}
    (event,) = root.events
    assert (event.name, event.time_unix_nano) == ("slotway.moved", 1_500)
    assert as_dict(event.attributes) == {"slotway.node": "h:1"}
    assert (node.name, node.kind, node.status.code) == ("GET h:1", CLIENT, ERROR)
    assert as_dict(node.attributes) == {"slotway.slot": 93, "error.type": "MOVED"}
    assert node.trace_id == root.trace_id


def test_each_trace_has_a_number_of_its_own(receiver: OtlpReceiver) -> None:
    assert export_to(receiver.endpoint)([a_trace(), a_trace()]) == ""

    assert len({span.trace_id for span in receiver.spans}) == 2
    assert len({span.span_id for span in receiver.spans}) == 4


def test_the_resource_says_who_sent_them(receiver: OtlpReceiver) -> None:
    export_to(receiver.endpoint)([a_trace()])

    assert receiver.resource["service.name"] == "orders"
    assert receiver.resource["service.version"] == "1.2"


def test_what_a_collector_refuses_is_told_with_its_reason(receiver: OtlpReceiver) -> None:
    export = OtlpExport(url=f"{receiver.endpoint}/elsewhere", service_name="x", version="1")

    assert "404" in export([a_trace()])
    assert receiver.spans == []


def test_a_collector_that_is_not_there_is_told_in_bounded_time() -> None:
    with lease_ports(1) as leased:
        export = export_to(f"http://{LOOPBACK}:{leased.ports[0]}")

        problem = export([a_trace()])

    assert problem
    assert "\n" not in problem
