"""B3, Jaeger, `tracestate` and LangSmith's headers: against the official propagators in both directions, and what is malformed."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as otel
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import tracer
from tests.support import record_into, run_program
from tracer.call import Call
from tracer.dotted_order import runs_in
from tracer.propagation import trust
from tracer.propagation.carrier import LONGEST, read_carrier
from tracer.propagation.langsmith import read_entries
from tracer.propagation.w3c import baggage_entries, join_baggage, parse_baggage, valid_tracestate
from tracer.sampling import SAMPLERS
from tracer.settings import Settings, read

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
ROOT_RUN, LAST_RUN = "01a20782-0c0a-7940-a194-910cc8b1d75c", "01a20782-0c2a-721c-b3c6-a8c44191d321"
ORDER = f"20261123T082453002678Z{ROOT_RUN}.20261123T082453034292Z{LAST_RUN}"

OFFICIAL: dict[str, TextMapPropagator] = {
    "tracecontext": TraceContextTextMapPropagator(),
    "b3": B3SingleFormat(),
    "b3multi": B3MultiFormat(),
    "jaeger": JaegerPropagator(),
    "tracecontext,b3,b3multi,jaeger": CompositePropagator(
        [TraceContextTextMapPropagator(), B3SingleFormat(), B3MultiFormat(), JaegerPropagator()]
    ),
}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_said", set[str]())


def use(calls: list[Call], propagators: str = "tracecontext,baggage", **more: Any) -> None:
    settings, problems, _ = read({"OTEL_PROPAGATORS": propagators, "TRACER_TRUST_HEADERS": "all"}, more)
    assert problems == []
    record_into(calls, settings)


def continued(calls: list[Call], headers: Any) -> Call:
    with tracer.continue_from(headers), tracer.trace("job"):
        pass
    return calls[-1]


def official_span(headers: dict[str, str], propagator: TextMapPropagator) -> SpanContext:
    return otel.get_current_span(propagator.extract(headers)).get_span_context()


@pytest.mark.parametrize("names", OFFICIAL)
@pytest.mark.parametrize("sampled", [True, False])
def test_the_official_propagators_write_what_we_read(calls: list[Call], names: str, sampled: bool) -> None:
    use(calls, names)
    headers: dict[str, str] = {}
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    official: Any = OFFICIAL[names]
    official.inject(headers, otel.set_span_in_context(NonRecordingSpan(SpanContext(TRACE, SPAN, False, flags))))
    assert headers
    call = continued(calls, headers)
    assert (call.trace_id, call.parent_span_id, call.parent_is_remote, call.sampled) == (TRACE, SPAN, True, sampled)


@pytest.mark.parametrize("names", OFFICIAL)
@pytest.mark.parametrize("sampled", [True, False])
def test_we_write_what_the_official_propagators_read(calls: list[Call], names: str, sampled: bool) -> None:
    use(calls, names)
    bit = int(sampled)
    incoming = {"traceparent": f"{TRACEPARENT[:-1]}{bit}", "b3": f"{TRACE:032x}-{SPAN:016x}-{bit}"}
    with tracer.continue_from(incoming), tracer.context(session="s 1"), tracer.trace("job") as run:
        headers = tracer.headers()
    context = official_span(headers, OFFICIAL[names])
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (run.trace_id, run.span_id)
    # Without a format that was read, the trace is our own and sampled.
    assert context.trace_flags.sampled is (sampled or names == "jaeger")
    assert ("uberctx-session.id" in headers) is ("jaeger" in names)


def test_none_reads_and_writes_nothing(calls: list[Call]) -> None:
    use(calls, "none", langsmith_tracing="true", langsmith_key="k")
    call = continued(calls, {"traceparent": TRACEPARENT, "langsmith-trace": ORDER, "b3": f"{TRACE:032x}-{SPAN:016x}-1"})
    assert not call.parent_is_remote
    with tracer.context(session="s"), tracer.trace("job"):
        assert tracer.headers() == {}


def test_only_the_formats_that_are_asked_for_are_read(calls: list[Call]) -> None:
    use(calls, "b3")
    assert not continued(calls, {"traceparent": TRACEPARENT, "uber-trace-id": "1:1:0:1"}).parent_is_remote


def test_of_several_formats_the_last_counts(calls: list[Call]) -> None:
    headers = {"traceparent": TRACEPARENT, "uber-trace-id": "a:b:0:1"}
    use(calls, "tracecontext,jaeger")
    assert continued(calls, headers).trace_id == 0xA
    use(calls, "jaeger,tracecontext")
    assert continued(calls, headers).trace_id == TRACE


@pytest.mark.parametrize("text", ["xray", "tracecontext,none", "b3 b3multi", ","])
def test_a_bad_list_is_one_message_and_the_default(text: str) -> None:
    ended = run_program(
        "import tracer\nwith tracer.trace('a'): print(*tracer.headers())\nwith tracer.trace('b'): pass",
        OTEL_PROPAGATORS=text,
        TRACER_CONSOLE="true",
        TRACER_QUIET="true",
        TRACER_EXIT_TIMEOUT="0",
    )
    (line,) = [line for line in ended.err.splitlines() if "OTEL_PROPAGATORS" in line]
    accepted = "a comma list of tracecontext, baggage, b3, b3multi, jaeger; or none alone"
    assert line == f"tracer: OTEL_PROPAGATORS={text!r} is not valid: accepted is {accepted}. Using tracecontext,baggage."
    assert ended.out.split() == ["traceparent"]


B3_DECISIONS: list[tuple[dict[str, str], bool]] = [
    ({"b3": f"{TRACE:032x}-{SPAN:016x}-1"}, True),
    ({"b3": f"{TRACE:032x}-{SPAN:016x}-0"}, False),
    ({"b3": f"{TRACE:032x}-{SPAN:016x}-d"}, True),
    ({"b3": f"{TRACE:032X}-{SPAN:016X}-1-05e3ac9a4f6e3b90"}, True),
    ({"X-B3-TraceId": f"{TRACE:032x}", "X-B3-SpanId": f"{SPAN:016x}", "X-B3-Sampled": "1"}, True),
    ({"X-B3-TraceId": f"{TRACE:032x}", "X-B3-SpanId": f"{SPAN:016x}", "X-B3-Sampled": "false"}, False),
    ({"X-B3-TraceId": f"{TRACE:032x}", "X-B3-SpanId": f"{SPAN:016x}", "X-B3-Flags": "1"}, True),
    ({"HTTP_X_B3_TRACEID": f"{TRACE:032x}", "HTTP_X_B3_SPANID": f"{SPAN:016x}", "HTTP_X_B3_SAMPLED": "0"}, False),
]


@pytest.mark.parametrize(("headers", "sampled"), B3_DECISIONS)
def test_what_b3_decides(calls: list[Call], headers: dict[str, str], sampled: bool) -> None:
    use(calls, "b3")
    call = continued(calls, headers)
    assert (call.trace_id, call.parent_span_id, call.sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_decision_that_is_left_to_us_is_made_by_our_sampler(fresh_runtime: Any, calls: list[Call], rate: float) -> None:
    use(calls, "b3multi")
    fresh_runtime.sampler = SAMPLERS["parentbased_traceidratio"](rate)
    headers: dict[str, str] = {"b3": f"{TRACE:032x}-{SPAN:016x}"}
    assert continued(calls, headers).sampled is (rate == 1)
    assert continued(calls, {"X-B3-TraceId": f"{TRACE:032x}", "X-B3-SpanId": f"{SPAN:016x}"}).sampled is (rate == 1)
    assert continued(calls, {"langsmith-trace": ORDER}).sampled is (rate == 1)


def test_short_ids_of_b3_and_jaeger(calls: list[Call]) -> None:
    use(calls, "b3,jaeger")
    assert continued(calls, {"b3": f"{SPAN:016x}-{SPAN:016x}-1"}).trace_id == SPAN
    call = continued(calls, {"uber-trace-id": "abc%3A2%3A0%3A3", "uberctx-session.id": "s%201"})
    assert (call.trace_id, call.parent_span_id, call.session, call.sampled) == (0xABC, 2, "s 1", True)


MALFORMED: list[dict[Any, Any]] = [
    {"b3": "x"},
    {"b3": f"{TRACE:032x}-{SPAN:016x}-2"},
    {"b3": f"{0:032x}-{SPAN:016x}-1"},
    {"b3": f"{TRACE:032x}-{0:016x}-1"},
    {"b3": f"{TRACE:031x}-{SPAN:016x}-1"},
    {"b3": "1" * 1_000_000},
    {"x-b3-traceid": f"{TRACE:032x}"},
    {"x-b3-traceid": f"{TRACE:032x}", "x-b3-spanid": f"{SPAN:016x}", "x-b3-sampled": "maybe"},
    {"uber-trace-id": "1:1:0"},
    {"uber-trace-id": "0:1:0:1"},
    {"uber-trace-id": "1:0:0:1"},
    {"uber-trace-id": "0x1:1:0:1"},
    {"uber-trace-id": "1:1:0:1" + " " * 20_000 + "1"},
    {"traceparent": [TRACEPARENT, TRACEPARENT[:-1] + "0"]},
    {b"traceparent": "00-\u0661".encode() * 50},
    {"traceparent": "01" + TRACEPARENT[2:] + "-" + "x" * 1_000_000},
    {"langsmith-trace": "x"},
    {"langsmith-trace": ORDER + "."},
    {"langsmith-trace": ORDER.replace("20261123", "20261323")},
    {"langsmith-trace": f"20261123T082453002678Z{0:08d}-0000-0000-0000-{0:012d}"},
    {"langsmith-trace": ORDER.replace("a", "\u00e4")},
    {"langsmith-trace": ".".join([ORDER] * 10_000)},
    {"langsmith-trace": f"{ORDER},{ORDER}"},
]


@pytest.mark.parametrize("headers", MALFORMED, ids=lambda headers: repr(headers)[:60])
def test_malformed_headers_are_ignored_with_one_line(calls: list[Call], caplog: pytest.LogCaptureFixture, headers: Any) -> None:
    use(calls, "tracecontext,b3,b3multi,jaeger")
    with caplog.at_level(logging.WARNING, "tracer"):
        made = [continued(calls, headers) for _ in range(2)]
    assert [(call.parent_is_remote, call.parent_run_id) for call in made] == [(False, None)] * 2
    (line,) = caplog.records
    assert "malformed" in line.getMessage()
    assert len(line.getMessage()) < 200


def test_hostile_objects_harm_nobody(calls: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    use(calls)
    shapes: list[Any] = [
        {"traceparent": Hostile()},
        {Hostile(): "x"},
        [("a", "b", "c")],
        [1, 2],
        "traceparent",
        {"traceparent": {"a": 1}},
        None,
    ]
    with caplog.at_level(logging.WARNING, "tracer"):
        assert [continued(calls, shape).parent_is_remote for shape in shapes] == [False] * len(shapes)
    assert len(caplog.records) == 1


def test_callers_cannot_fill_the_log(calls: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    record_into(calls, Settings())
    with caplog.at_level(logging.WARNING, "tracer"):
        for number in range(20):
            with tracer.continue_from({"traceparent": TRACEPARENT}, client=f"10.0.0.{number}" * 1000):
                pass
    assert len(caplog.records) == 1
    assert len(caplog.text) < 300


@given(st.dictionaries(st.text() | st.binary(), st.text() | st.binary() | st.integers() | st.none() | st.lists(st.text())))
def test_any_headers_are_read(headers: dict[Any, Any]) -> None:
    assert all(name == name.lower() for name in read_carrier(headers))


@given(st.text())
def test_any_text_is_no_tracestate_or_a_good_one(text: str) -> None:
    state = valid_tracestate(text)
    assert state.isascii()
    assert "\n" not in state
    assert all(entry.isascii() and "\r" not in entry and "\n" not in entry for entry in baggage_entries(text))
    read_entries({"langsmith-metadata": text, "langsmith-tags": text, "langsmith-project": text})


# tracestate and the baggage of others.


def test_tracestate_is_kept_and_handed_on(calls: list[Call]) -> None:
    use(calls)
    state = "rojo=00f067aa0ba902b7,congo@vendor=t61rcWkgMzE"
    with tracer.continue_from({"traceparent": TRACEPARENT, "tracestate": state}):
        assert tracer.headers() == {"traceparent": TRACEPARENT, "tracestate": state}
        with tracer.trace("outer"), tracer.trace("inner"):
            headers = tracer.headers()
    assert headers["tracestate"] == state
    context = official_span(headers, OFFICIAL["tracecontext"])
    assert dict(context.trace_state) == {"rojo": "00f067aa0ba902b7", "congo@vendor": "t61rcWkgMzE"}
    with tracer.trace("another trace"):
        assert "tracestate" not in tracer.headers()


def test_tracestate_in_several_headers(calls: list[Call]) -> None:
    use(calls)
    with tracer.continue_from([(b"traceparent", TRACEPARENT.encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]):
        assert tracer.headers()["tracestate"] == "a=1,b=2"


@pytest.mark.parametrize(
    "state", ["a", "a=1,a=2", "A=1", "a=1,b=\n2", ",".join(f"k{n}=1" for n in range(33)), "a=" + "x" * 300, "a=\u00e4"]
)
def test_a_malformed_tracestate_is_left_out_and_the_trace_goes_on(calls: list[Call], state: str) -> None:
    use(calls)
    with tracer.continue_from({"traceparent": TRACEPARENT, "tracestate": state}):
        assert tracer.headers() == {"traceparent": TRACEPARENT}


def test_the_official_class_takes_the_tracestate_that_we_take() -> None:
    state = ",".join(f"k{number}={number}" for number in range(32))
    assert valid_tracestate(state) == TraceState.from_header([state]).to_header() == state


def test_baggage_of_others_is_handed_on(calls: list[Call]) -> None:
    use(calls)
    given = "tenant=a%20b;p=1,session.id=s1,evil=a\r\nx: y,langsmith-project=p,session.idea=1"
    with tracer.continue_from({"traceparent": TRACEPARENT, "baggage": given}), tracer.trace("job"):
        headers = tracer.headers()
    assert headers["baggage"] == "session.id=s1,tenant=a%20b;p=1,session.idea=1"


def test_a_baggage_is_never_longer_than_a_header_may_be(calls: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    assert len(join_baggage([f"n{number}=" + "x" * 200 for number in range(100)])) <= LONGEST
    assert join_baggage(["a=" + "x" * 9000, "b=1"]) == "b=1"
    use(calls)
    with caplog.at_level(logging.WARNING, "tracer"):
        call = continued(calls, {"traceparent": TRACEPARENT, "baggage": "session.id=s,x=" + "y" * 10_000})
    assert (call.parent_is_remote, call.session) == (True, None)
    assert len(caplog.records) == 1


def test_what_no_header_can_hold(calls: list[Call]) -> None:
    use(calls)
    with tracer.context(session="\ud800", user="a\r\nb"), tracer.trace("job"):
        baggage = tracer.headers()["baggage"]
    assert parse_baggage(baggage) == {"session.id": "?", "user.id": "a\r\nb"}
    assert baggage.isascii()
    assert baggage.isprintable()


# LangSmith's headers; what its SDK makes of them is in tests/integration/test_langsmith_headers.py.


def test_a_run_of_langsmith_alone(calls: list[Call]) -> None:
    use(calls)
    with tracer.continue_from({"langsmith-trace": ORDER}):
        assert tracer.headers() == {}
        with tracer.trace("job"):
            pass
    (call,) = calls
    root, last = runs_in(ORDER)
    assert (call.trace_id, call.parent_run_id, call.root_run_id, call.parent_span_id) == (root, last, root, None)
    assert call.above is not None
    assert call.above.dotted_order == ORDER


def test_both_kinds_of_ids_are_kept(calls: list[Call]) -> None:
    use(calls, langsmith_tracing="true", langsmith_key="k", langsmith_project="mine")
    given = {"traceparent": TRACEPARENT, "langsmith-trace": ORDER, "baggage": "langsmith-project=theirs"}
    with tracer.continue_from(given), tracer.trace("outer"), tracer.trace("inner"):
        headers = tracer.headers()
    inner, outer = calls
    root, last = runs_in(ORDER)
    assert (outer.trace_id, outer.parent_span_id) == (TRACE, SPAN)
    assert (outer.root_run_id, outer.parent_run_id, inner.root_run_id) == (root, last, root)
    assert headers["langsmith-trace"].startswith(ORDER + ".")
    assert runs_in(headers["langsmith-trace"]) == [root, last, outer.run_id, inner.run_id]
    assert parse_baggage(headers["baggage"])["langsmith-project"] == "theirs"


def test_langsmiths_headers_are_written_for_its_backends_only(calls: list[Call]) -> None:
    use(calls)
    with tracer.context(tags=["beta"], metadata={"plan": "free"}), tracer.trace("job"):
        assert list(tracer.headers()) == ["traceparent"]
    use(calls, langsmith_tracing="true", langsmith_key="k", langsmith_hide_metadata="true")
    with tracer.context(tags=["beta"], metadata={"plan": "free"}), tracer.trace("job"):
        headers = tracer.headers()
    assert parse_baggage(headers["baggage"]) == {"langsmith-project": "default", "langsmith-tags": "beta"}


@pytest.mark.parametrize(
    "metadata", ["", "[1]", "{", "[" * 100_000, "null", json.dumps({"session_id": 5, "ls_provider": "x", "plan": "free"})]
)
def test_entries_that_are_none(metadata: str) -> None:
    found = read_entries({"langsmith-metadata": metadata, "langsmith-tags": ",,a"})
    assert found.session is None
    assert found.tags == ("a",)
    assert set(found.metadata) <= {"plan"}
