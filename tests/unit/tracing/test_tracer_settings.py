"""When traces are sent, where to, and what is refused at start."""

from __future__ import annotations

import builtins
import sys

import pytest
from fake_samples import FakeSample, a_get

from proxy.config import Tracing
from proxy.errors import ConfigError
from proxy.tracing.sender import Sender
from proxy.tracing.spans import Facts
from proxy.tracing.tracer import Tracer, open_tracer, traces_url

FACTS = Facts(place=lambda node: None, database=lambda sample: 0, keys=lambda keys: [])


def test_without_an_endpoint_there_are_no_traces() -> None:
    assert open_tracer(Tracing(), FACTS) is None


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector/otlp", "https://collector/otlp/v1/traces"),
        ("https://collector/v1/traces", "https://collector/v1/traces"),
    ],
)
def test_otlps_own_path_is_added_to_the_endpoint(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"tracing\.endpoint.*http://host:port"):
        open_tracer(Tracing(endpoint=endpoint), FACTS)


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match=r"tracing\.endpoint.*OTEL_EXPORTER") as refusal:
        open_tracer(Tracing(endpoint="https://us:hush@collector"), FACTS)

    assert "hush" not in str(refusal.value)


def test_without_the_extra_an_endpoint_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *args: object) -> object:
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name="opentelemetry")
        return whole(name, *args)

    monkeypatch.delitem(sys.modules, "proxy.tracing.otlp", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigError, match=r"tracing\.endpoint.*slotway\[tracing\]"):
        open_tracer(Tracing(endpoint="http://127.0.0.1:4318"), FACTS)


def test_one_in_so_many_samples_is_sent() -> None:
    sender = Sender(lambda traces: "", to="there", pace_s=3600.0)
    tracer = Tracer(every=3, facts=FACTS, sender=sender)

    for _ in range(9):
        tracer(a_get())

    assert sender.close(10.0)
    assert sender.sent == 3


def test_a_sample_of_the_proxys_own_answer_is_no_trouble() -> None:
    sender = Sender(lambda traces: "", to="there", pace_s=3600.0)

    Tracer(every=1, facts=FACTS, sender=sender)(FakeSample(road="punt"))

    assert sender.close(10.0)
    assert sender.sent == 1
