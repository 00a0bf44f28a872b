"""Spans written by hand say what the official classes say, field by field."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from tracer.export.limits import SpanLimits
from tracer.export.otlp_encoder import OfficialEncoder, OwnEncoder, encoder_of, framed
from tracer.export.otlp_encoding import encoded_span, varint
from tracer.export.span import AttributeValue, SpanData, SpanEvent
from tracer.settings import Settings

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
LONG = st.tuples(TEXT, st.integers(0, 300)).map(lambda given: given[0] * given[1])
INT = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats()
VALUE: st.SearchStrategy[AttributeValue] = st.one_of(
    TEXT,
    LONG,
    st.booleans(),
    INT,
    FLOAT,
    st.lists(TEXT, min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.lists(INT, min_size=1, max_size=5),
    st.lists(FLOAT, min_size=1, max_size=5),
)
ATTRIBUTES = st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30), VALUE, max_size=12)
TIME = st.integers(0, 2**64 - 1)
SPANS = st.builds(
    SpanData,
    name=TEXT,
    kind=st.sampled_from(("client", "internal")),
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    parent_span_id=st.none() | st.integers(1, 2**64 - 1),
    parent_is_remote=st.booleans(),
    start=TIME,
    end=TIME,
    error=st.none() | TEXT,
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(SpanEvent, name=TEXT, time=TIME, attributes=ATTRIBUTES), max_size=3),
)

BOTH = Settings(resource_attributes={"service.instance.id": "1", "team": "ü"}, service_name="shop")


def read(spans: bytes) -> str:
    # As text, since NaN is not equal to itself.
    return str(ScopeSpans.FromString(spans))


@given(SPANS)
def test_each_span_is_what_the_official_classes_write(span: SpanData) -> None:
    assert read(OwnEncoder(Settings()).spans([span])) == read(OfficialEncoder(Settings()).spans([span]))


@given(SPANS)
def test_limits_are_those_of_the_official_classes(span: SpanData) -> None:
    settings = Settings(attribute_count_limit=3, event_attribute_count_limit=1, span_event_count_limit=1, attribute_length_limit=20)
    assert read(OwnEncoder(settings).spans([span])) == read(OfficialEncoder(settings).spans([span]))


def test_a_request_has_the_same_resource_and_scope() -> None:
    spans = [SpanData("a", "client", 1, 2, None, False, 3, 4), SpanData("b", "internal", 1, 3, 2, True, 3, 4, error="")]
    own, official = OwnEncoder(BOTH), OfficialEncoder(BOTH)
    requests = [
        ExportTraceServiceRequest.FromString(framed(encoder.frame, [encoder.spans([span]) for span in spans]))
        for encoder in (own, official)
    ]
    assert requests[0] == requests[1]
    (resource,) = requests[0].resource_spans
    (scope,) = resource.scope_spans
    assert [span.name for span in scope.spans] == ["a", "b"]
    assert scope.scope.name == "tracer"
    assert scope.schema_url
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}["service.name"] == "shop"


def test_texts_that_come_again_are_those_of_their_own_attribute() -> None:
    """The memory of encoded texts is by name and text, and bounded."""
    for number in range(3000):
        span = SpanData("a", "client", 1, 2, None, False, 3, 4, attributes={"x": f"text {number}", "y": f"text {number}"})
        (read_back,) = ScopeSpans.FromString(encoded_span(span)).spans
        assert [(pair.key, pair.value.string_value) for pair in read_back.attributes] == [
            ("x", f"text {number}"),
            ("y", f"text {number}"),
        ]


def test_numbers_that_are_equal_keep_their_types() -> None:
    span = SpanData("a", "client", 1, 2, None, False, 3, 4, attributes={"int": 1, "float": 1.0, "bool": True})
    (read_back,) = ScopeSpans.FromString(encoded_span(span, SpanLimits())).spans
    assert [pair.value.WhichOneof("value") for pair in read_back.attributes] == ["int_value", "double_value", "bool_value"]


@pytest.mark.parametrize(("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (2**64 - 1, b"\xff" * 9 + b"\x01")])
def test_varint(number: int, written: bytes) -> None:
    assert varint(number) == written


def test_the_setting_chooses() -> None:
    assert isinstance(encoder_of(Settings()), OwnEncoder)
    assert isinstance(encoder_of(Settings(otlp_encoder="official")), OfficialEncoder)


def test_our_own_loads_nothing_of_opentelemetry() -> None:
    code = (
        "import sys\n"
        "from tracer.export.otlp_encoder import encoder_of, framed\n"
        "from tracer.export.span import SpanData\n"
        "from tracer.settings import Settings\n"
        "encoder = encoder_of(Settings())\n"
        "framed(encoder.frame, [encoder.spans([SpanData('a', 'client', 1, 2, None, False, 3, 4)])])\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
