"""Traces without a collector: what a header says, what is told of a statement, and a queue that never waits."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from pydantic import SecretStr

from service.errors import SettingInvalid
from service.mirror.statements import described
from service.process.tracing import traces_of
from service.settings.model import TracesSettings
from service.telemetry import exporting, traces
from service.telemetry.exporting import FULL, NOT_TAKEN, QUEUE_MAX, Exporting, Outbox
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Kind, Parent, Span, carried

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEX = st.text("0123456789abcdef", min_size=1)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_a_parent_is_read_as_it_was_written(trace: int, span: int, is_sampled: bool) -> None:
    written = Parent(f"{trace:032x}", f"{span:016x}", is_sampled)
    assert Parent.read(str(written)) == written
    assert Parent.read(str(written).encode()) == written


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.lists(HEX, max_size=5).map("-".join)))
def test_whatever_a_header_holds_is_a_parent_or_none(value: object) -> None:
    found = Parent.read(value)
    assert found is None or Parent.read(str(found)) == found


@pytest.mark.parametrize(
    "value",
    [
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_what_the_standard_forbids_is_none(value: str) -> None:
    assert Parent.read(value) is None


MEMBERS = st.tuples(st.from_regex(r"[a-z][a-z0-9_*/-]{0,20}", fullmatch=True), st.text('aZ 9"\\<>', max_size=200))


@given(st.lists(MEMBERS.map(lambda pair: f"{pair[0]}={pair[1]}."), max_size=40, unique=True))
def test_of_tracestate_as_much_is_handed_on_as_the_standard_asks_for(members: list[str]) -> None:
    told = carried({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": " , ".join(members).encode()})
    found = Parent.read(told)
    assert found is not None
    kept = found.state.split(",") if found.state else []
    assert Parent.read(str(found)) == found
    assert len(found.state) <= 512
    assert [member for member in members if member in kept][: len(kept)] == kept
    if len(",".join(members)) <= 512 and len(members) <= 32:
        assert kept == members
    if len(members) > 32:
        assert kept == []


@pytest.mark.parametrize("state", ["a", "a=b,A=c", "a=b\n", "a=b=c", "\u00e9=1", "a=" + "x" * 257])
def test_a_tracestate_that_cannot_be_read_costs_nothing_but_itself(state: str) -> None:
    told = carried({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": state})
    assert Parent.read(told) == Parent(TRACE, SPAN, is_sampled=True)


def test_a_tracestate_without_a_parent_and_a_parent_with_more_behind_it_are_none() -> None:
    assert carried({"tracestate": "a=b"}) is None
    assert carried({"traceparent": f"00-{TRACE}-{SPAN}-01 a=b"}) is None


def test_long_members_of_a_tracestate_go_first_then_the_oldest() -> None:
    members = ["a=" + "1" * 100, "b=" + "2" * 200, *(f"c{number}=" + "3" * 96 for number in range(5))]
    found = Parent.read(f"00-{TRACE}-{SPAN}-01 {','.join(members)}")
    assert found is not None
    assert found.state.split(",") == [members[0], *members[2:6]]


def test_of_a_later_version_as_much_is_read_as_we_know() -> None:
    assert Parent.read(f"01-{TRACE}-{SPAN}-03-later") == Parent(TRACE, SPAN, is_sampled=True)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT a.name FROM assets AS a WHERE a.name = $1", ("SELECT", "assets")),
        ('SELECT * FROM "my_schema"."v1_assets" LIMIT 1', ("SELECT", "v1_assets")),
        ("INSERT INTO deliveries (seq) SELECT * FROM unnest($1)", ("INSERT", "deliveries")),
        ("SELECT 1 FROM (SELECT x FROM members) AS y", ("SELECT", "members")),
        ("SELECT 'Jane Doe' FROM jane_doe", ("SELECT", None)),
        ("SET LOCAL enable_sort = off", (None, None)),
    ],
)
def test_of_a_statement_its_kind_and_a_table_of_ours_are_told(
    statement: str, told: tuple[str | None, str | None]
) -> None:
    found = described(statement)
    assert (found.get("db.operation.name"), found.get("db.collection.name")) == told


def test_off_begins_nothing_and_carries_nothing() -> None:
    assert OFF.begin("x", Kind.SERVER, f"00-{TRACE}-{SPAN}-01") is None
    assert not OFF.is_on
    assert traces.headers() == {}


def test_what_is_sent_from_within_carries_the_span_and_nothing_after_it() -> None:
    with traces.within(Span(f"00-{TRACE}-{SPAN}-00")):
        assert traces.headers() == {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    with traces.within(Span(f"00-{TRACE}-{SPAN}-00 a=b,c=d e")):
        assert traces.headers() == {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "a=b,c=d e"}
    assert traces.headers() == {}


class Collector(SpanExporter):
    """Takes nothing before it may; remembers how many it was given."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = threading.Event()
        self.got = 0
        self.answer = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.may.wait()
        self.got += len(spans)
        return self.answer


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(exporting, "PAUSE_S", 0.01)
    collector = Collector()
    yield collector
    collector.may.set()


def dropped(metrics: Metrics, reason: str) -> float:
    return float(metrics.traces_dropped.labels(reason)._value.get())


def test_a_collector_that_hangs_costs_what_finds_no_room_and_nobody_waits(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Queue.put

    def never_waiting(queue: Queue[Any], item: Any, block: bool = True, timeout: float | None = None) -> None:
        assert not block, "it would wait for room"
        put(queue, item, block, timeout)

    monkeypatch.setattr(Queue, "put", never_waiting)
    metrics = Metrics()
    outbox = Outbox(collector, metrics.traces_dropped)
    outbox.on_end(ReadableSpan("first"))
    assert collector.asked.wait(10)  # it has the first, and does not come back

    for number in range(QUEUE_MAX + 7):
        outbox.on_end(ReadableSpan(str(number)))
    assert dropped(metrics, FULL) == 7

    outbox.close(0.05)
    assert dropped(metrics, NOT_TAKEN) == QUEUE_MAX


def test_what_is_left_is_sent_at_the_end_and_what_is_refused_is_counted(collector: Collector) -> None:
    metrics = Metrics()
    collector.may.set()
    outbox = Outbox(collector, metrics.traces_dropped)
    for number in range(600):
        outbox.on_end(ReadableSpan(str(number)))
    outbox.close(10)
    assert (collector.got, dropped(metrics, NOT_TAKEN)) == (600, 0)

    collector.answer = SpanExportResult.FAILURE
    outbox = Outbox(collector, metrics.traces_dropped)
    outbox.on_end(ReadableSpan("refused"))
    outbox.close(10)
    assert dropped(metrics, NOT_TAKEN) == 1


@pytest.mark.parametrize(("share", "begun"), [(0.0, 0), (1.0, 50)])
def test_a_share_of_what_begins_here_is_traced_and_what_began_elsewhere_as_it_says(share: float, begun: int) -> None:
    tracing = Exporting(TracesSettings(endpoint="http://127.0.0.1:1", sampled=share), Metrics().traces_dropped)
    try:
        assert sum(tracing.begin("x", Kind.CONSUMER, None) is not None for _ in range(50)) == begun

        traced = tracing.begin("x", Kind.CONSUMER, f"00-{TRACE}-{SPAN}-01")
        assert traced is not None
        assert traced.is_recorded
        assert traced.context.startswith(f"00-{TRACE}-")
        assert SPAN not in traced.context

        stated = tracing.begin("x", Kind.CONSUMER, f"00-{TRACE}-{SPAN}-01 a=b,c=d")
        assert stated is not None
        assert stated.child("y").context.endswith("-01 a=b,c=d")

        passed_on = tracing.begin("x", Kind.CONSUMER, f"00-{TRACE}-{SPAN}-00")
        assert passed_on is not None
        assert (passed_on.is_recorded, passed_on.exemplar) == (False, None)
        assert passed_on.child("y").context == f"00-{TRACE}-{SPAN}-00"
    finally:
        tracing.close(0)


@pytest.mark.parametrize("headers", ["s3cret", "=s3cret", "a=s3cret, s3cret"])
def test_headers_that_cannot_be_used_are_told_without_what_they_hold(headers: str) -> None:
    settings = TracesSettings(endpoint="http://127.0.0.1:1", headers=SecretStr(headers))
    with pytest.raises(SettingInvalid, match="TRACES__HEADERS") as caught:
        Exporting(settings, Metrics().traces_dropped)
    assert "s3cret" not in str(caught.value) + caught.value.advice()


def test_a_collector_without_the_extra_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.telemetry.exporting")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingInvalid, match=r"TRACES__ENDPOINT.*catalog-mirror\[otel\]"):
        traces_of(TracesSettings(endpoint="http://127.0.0.1:1"), Metrics())
    assert traces_of(TracesSettings(), Metrics()) is OFF


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    settings = TracesSettings(endpoint="https://127.0.0.1:1", ca_file=tmp_path / "none.pem")
    with pytest.raises(SettingInvalid, match="TRACES__CA_FILE"):
        traces_of(settings, Metrics())
