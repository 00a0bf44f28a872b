"""Settings: order of precedence, good and bad values of each variable, gating of destinations, content rules."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import Any

import pytest

import tracer
from tests.support import ROOT
from tracer.parsing import NOWHERE
from tracer.pipeline.destinations import wanted
from tracer.runtime import Runtime, runtime
from tracer.settings import VARIABLES, Problem, Settings, Variable, environment_value, read

A_FILE = str(ROOT / "pyproject.toml")

# Field: a good text, the value it becomes, and a text that is not accepted (None where any text is good).
TEXTS: dict[str, tuple[str, Any, str | None]] = {
    "enabled": ("no", False, "nope"),
    "local": ("calls.sqlite", "calls.sqlite", None),
    "console": ("YES", True, "loud"),
    "quiet": ("1", True, "2"),
    "content": ("Inputs", "inputs", "some"),
    "stream_usage": ("always", "always", "never"),
    "max_content": ("2 KiB", 2048, "-5"),
    "prices": (A_FILE, A_FILE, "/no/such/file.json"),
    "providers": ("localhost:8000=vllm, LLM.example=Groq", {"localhost:8000": "vllm", "llm.example": "groq"}, "https://host/v1=vllm"),
    "trust_headers": ("10.0.0.0/8,gateway", ("10.0.0.0/8", "gateway"), "10.0.0.0/99"),
    "propagators": ("B3, baggage", ("b3", "baggage"), "b3,xray"),
    "exit_timeout": ("0.5", 0.5, "soon"),
    "queue_records": ("7", 7, "0"),
    "queue_bytes": ("1 MiB", 1048576, "none"),
    "spool": ("/tmp", "/tmp", A_FILE),
    "spool_bytes": ("1 MiB", 1048576, "lots"),
    "spool_age": ("60", 60.0, "0"),
    "limits": ("Tempo, langsmith=none", {"otlp": "tempo", "langsmith": "none"}, "mimir"),
    "keep": ("errors, Slow > 5", ("errors", "slow>5"), "slow"),
    "sigterm": ("Flush", "flush", "kill"),
    "mask": ("Emails, shop.masks:mask", ("emails", "shop.masks:mask"), "everything"),
    "mask_timeout": ("0.5", 0.5, "0"),
    "langchain": ("replace", "replace", "both"),
    "langsmith_tracing": ("true", True, "True"),
    "langsmith_key": (' "lsv2_key" ', "lsv2_key", "two\nlines"),
    "langsmith_endpoint": ("https://example.com/api", "https://example.com/api", "example.com"),
    "langsmith_project": (" mine ", "mine", None),
    "langsmith_workspace": (' "w1" ', "w1", "k\u20acy"),
    "langsmith_runs_endpoints": ('[{"api_url": "https://e.com"}]', '[{"api_url": "https://e.com"}]', '[{"api_key": "k"}]'),
    "langsmith_sampling_rate": ("0.5", 0.5, "1.5"),
    "langsmith_batch_limit": ("10", 10, "0"),
    "langsmith_no_compression": ("1", True, "maybe"),
    "langsmith_hide_inputs": ("True", True, "maybe"),
    "langsmith_hide_outputs": ("true", True, "maybe"),
    "langsmith_hide_metadata": ("1", True, "maybe"),
    "capture_message_content": ("NO_CONTENT", "no_content", "maybe"),
    "sdk_disabled": ("TRUE", True, "1"),
    "traces_exporter": ("console, OTLP", ("console", "otlp"), "zipkin"),
    "otlp_traces_endpoint": ("http://h:1/x", "http://h:1/x", "ftp://h"),
    "otlp_endpoint": ("h:4317", "h:4317", "http://h:port"),
    "otlp_protocol": ("http/json", "http/json", "udp"),
    "otlp_headers": ("Authorization=Bearer%20x,a=b", {"authorization": "Bearer x", "a": "b"}, "no-pair"),
    "otlp_timeout": ("3", 3.0, "0"),
    "otlp_compression": ("gzip", "gzip", "zip"),
    "otlp_encoder": ("official", "official", "fast"),
    "otlp_insecure": ("True", True, "maybe"),
    "otlp_batch": ("7", 7, "0"),
    "otlp_schedule_delay": ("250", 250.0, "-1"),
    "otlp_export_timeout": ("2000", 2000.0, "soon"),
    "attribute_count_limit": ("30", 30, "many"),
    "span_attribute_count_limit": ("20", 20, "-1"),
    "event_attribute_count_limit": ("0", 0, "1.5"),
    "span_event_count_limit": ("2", 2, "none"),
    "attribute_length_limit": ("1000", 1000, "1k"),
    "otlp_certificate": (A_FILE, A_FILE, "/no/such/ca.pem"),
    "otlp_client_key": (A_FILE, A_FILE, "/no/such/key.pem"),
    "otlp_client_certificate": (A_FILE, A_FILE, "/no/such/cert.pem"),
    "service_name": ("shop", "shop", None),
    "resource_attributes": ("team=a%2Cb,x=1", {"team": "a,b", "x": "1"}, "=1"),
    "sampler": ("TraceIdRatio", "traceidratio", "dice"),
    "sampler_argument": ("0.25", 0.25, "1.5"),
    "dialects": ("Phoenix, otel", ("phoenix",), "arize"),
    "logs_exporter": ("OTLP", ("otlp",), "loki"),
    "otlp_logs_endpoint": ("http://h:1/x", "http://h:1/x", "ftp://h"),
    "otlp_logs_protocol": ("grpc", "grpc", "udp"),
    "otlp_logs_headers": ("Authorization=Bearer%20x,a=b", {"authorization": "Bearer x", "a": "b"}, "no-pair"),
    "otlp_logs_timeout": ("3", 3.0, "0"),
    "otlp_logs_compression": ("gzip", "gzip", "zip"),
    "otlp_logs_insecure": ("True", True, "maybe"),
    "otlp_logs_certificate": (A_FILE, A_FILE, "/no/such/ca.pem"),
    "otlp_logs_client_key": (A_FILE, A_FILE, "/no/such/key.pem"),
    "otlp_logs_client_certificate": (A_FILE, A_FILE, "/no/such/cert.pem"),
    "metrics": ("V0.1", "v0.1", "v2"),
    "metrics_exporter": ("otlp, Prometheus", ("otlp", "prometheus"), "statsd"),
    "otlp_metrics_endpoint": ("http://h:1/x", "http://h:1/x", "ftp://h"),
    "otlp_metrics_protocol": ("grpc", "grpc", "udp"),
    "otlp_metrics_headers": ("Authorization=Bearer%20x,a=b", {"authorization": "Bearer x", "a": "b"}, "no-pair"),
    "otlp_metrics_timeout": ("3", 3.0, "0"),
    "otlp_metrics_compression": ("gzip", "gzip", "zip"),
    "otlp_metrics_certificate": (A_FILE, A_FILE, "/no/such/ca.pem"),
    "otlp_metrics_client_key": (A_FILE, A_FILE, "/no/such/key.pem"),
    "otlp_metrics_client_certificate": (A_FILE, A_FILE, "/no/such/cert.pem"),
    "metrics_temporality": ("DELTA", "delta", "both"),
    "metrics_histogram": ("base2_exponential_bucket_histogram", "base2_exponential_bucket_histogram", "log"),
    "metrics_exemplars": ("always_off", "always_off", "some"),
    "metrics_interval": ("500", 500.0, "0"),
    "metrics_timeout": ("500", 500.0, "0"),
    "prometheus_host": ("127.0.0.1", "127.0.0.1", None),
    "prometheus_port": ("0", 0, "65536"),
}
BY_FIELD = {variable.field: variable for variable in VARIABLES}
EACH = pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.field)
EACH_STRICT = pytest.mark.parametrize(
    "variable", [variable for variable in VARIABLES if TEXTS[variable.field][2] is not None], ids=lambda variable: variable.field
)


def settings_of(**environment: str) -> Settings:
    settings, problems, _ = read(environment)
    assert problems == []
    return settings


def test_every_setting_has_its_row_here() -> None:
    assert set(TEXTS) == set(BY_FIELD)


def doubled_names() -> set[str]:
    names = [name for variable in VARIABLES for name in variable.names]
    return {name for name in names if names.count(name) > 1}


def test_no_name_stands_for_two_settings() -> None:
    # But for the general names of OTLP, which stand for traces and for metrics unless those have their own.
    specific = [variable.names[0] for variable in VARIABLES if len(variable.names) == 2]
    general = [re.sub("OTLP_(METRICS|LOGS)_", "OTLP_", name) for name in specific]
    assert doubled_names() <= set(general)
    assert all(name.startswith("OTEL_EXPORTER_OTLP_") for name in doubled_names())


def test_a_bad_general_value_is_said_once() -> None:
    settings, problems, _ = read({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"})
    assert [problem.variable for problem in problems] == ["OTEL_EXPORTER_OTLP_TIMEOUT"]
    assert settings.otlp_timeout == settings.otlp_metrics_timeout == 10.0


def test_what_is_set_for_traces_only_is_not_sent_with_metrics() -> None:
    settings = settings_of(OTEL_EXPORTER_OTLP_HEADERS="a=1", OTEL_EXPORTER_OTLP_TRACES_HEADERS="key=secret")
    assert (settings.otlp_headers, settings.otlp_metrics_headers) == ({"key": "secret"}, {"a": "1"})


@pytest.mark.parametrize(
    ("environment", "exporters"),
    [
        ({}, ()),
        ({"TRACER_METRICS": "v1.41"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "TRACER_METRICS": "v0.1"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "TRACER_METRICS": "v0.1", "OTEL_METRICS_EXPORTER": "console"}, ("console",)),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h:4318/v1/metrics"}, ("otlp",)),
        ({"OTEL_METRICS_EXPORTER": "prometheus,otlp"}, ("prometheus", "otlp")),
        ({"OTEL_METRICS_EXPORTER": "otlp", "TRACER_METRICS": "off"}, ()),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h:4318/v1/metrics"}, ()),
        ({"OTEL_METRICS_EXPORTER": "otlp", "TRACER_ENABLED": "false"}, ()),
    ],
)
def test_when_metrics_are_exported(environment: dict[str, str], exporters: tuple[str, ...]) -> None:
    settings = settings_of(**environment)
    assert settings.own_metrics == exporters
    assert settings.beside_host().own_metrics == exporters


@EACH
def test_default(variable: Variable) -> None:
    settings, problems, origins = read({})
    assert getattr(settings, variable.field) == variable.default
    assert problems == []
    assert {origin.source for origin in origins} == {"default"}


@EACH
def test_settings_made_without_read_have_the_same_defaults(variable: Variable) -> None:
    # The two mappings are left empty there.
    assert (getattr(Settings(), variable.field) or None) == (variable.default or None)


@EACH
@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_blank_is_unset(variable: Variable, blank: str) -> None:
    settings, problems, _ = read(dict.fromkeys(variable.names, blank), {variable.field: blank})
    assert getattr(settings, variable.field) == variable.default
    assert problems == []


@EACH
def test_environment_wins_over_default(variable: Variable) -> None:
    text, value, _ = TEXTS[variable.field]
    for name in variable.names:
        settings, problems, origins = read({name: text})
        assert getattr(settings, variable.field) == value
        assert problems == []
        assert next(origin.source for origin in origins if origin.variable is variable) == name


@EACH
def test_argument_wins_over_environment(variable: Variable) -> None:
    text, value, bad = TEXTS[variable.field]
    environment = dict.fromkeys(variable.names, bad or "other")
    settings, problems, origins = read(environment, {variable.field: text})
    assert getattr(settings, variable.field) == value
    assert [problem for problem in problems if problem.variable not in doubled_names()] == []
    assert next(origin.source for origin in origins if origin.variable is variable) == "argument"


@EACH
def test_ready_values_are_taken_as_arguments(variable: Variable) -> None:
    value = TEXTS[variable.field][1]
    settings, problems, _ = read({}, {variable.field: value})
    assert getattr(settings, variable.field) == value
    assert problems == []


@EACH
def test_the_first_of_several_names_decides_alone(variable: Variable) -> None:
    text, value, _ = TEXTS[variable.field]
    for index, name in enumerate(variable.names):
        later = dict.fromkeys(variable.names[index + 1 :], "")
        assert getattr(settings_of(**{name: text}, **later), variable.field) == value
        others = {other: BY_OTHER_TEXT.get(variable.field, text) for other in variable.names[index + 1 :]}
        assert getattr(settings_of(**{name: text}, **others), variable.field) == value


BY_OTHER_TEXT = {
    "langsmith_tracing": "false",
    "langsmith_key": "other",
    "langsmith_endpoint": "http://other",
    "langsmith_project": "other",
    "otlp_protocol": "grpc",
    "otlp_headers": "other=1",
    "otlp_timeout": "99",
    "otlp_compression": "none",
}


@EACH_STRICT
def test_a_bad_value_is_one_problem_and_the_default(variable: Variable) -> None:
    bad = TEXTS[variable.field][2]
    assert bad is not None
    for name in variable.names:
        settings, problems, origins = read({name: bad})
        assert getattr(settings, variable.field) == taken_instead(variable)
        source = next(origin.source for origin in origins if origin.variable is variable)
        assert source == ("default" if taken_instead(variable) == variable.default else name)
        (problem,) = problems
        line = str(problem)
        assert "\n" not in line
        assert line.startswith(f"{name}=")
        assert (repr(bad) in line) is not variable.secret
        assert variable.accepted in line


@EACH_STRICT
def test_a_bad_argument_is_one_problem_and_the_default(variable: Variable) -> None:
    settings, problems, _ = read({}, {variable.field: TEXTS[variable.field][2]})
    assert getattr(settings, variable.field) == taken_instead(variable)
    assert [problem.variable for problem in problems] == [f"configure({variable.field})"]


def taken_instead(variable: Variable) -> object:
    """The default, but for addresses whose default is somebody else's host."""
    return NOWHERE if variable.field in ("langsmith_endpoint", "langsmith_runs_endpoints") else variable.default


@pytest.mark.parametrize("text", ["inf", "nan", "-1", "1e300"])
def test_times_that_nobody_can_wait_for_are_refused(text: str) -> None:
    settings, problems, _ = read({"TRACER_EXIT_TIMEOUT": text, "OTEL_EXPORTER_OTLP_TIMEOUT": text})
    assert (settings.exit_timeout, settings.otlp_timeout) == (2.0, 10.0)
    assert len(problems) == 2


def test_what_is_no_pair_or_no_header_costs_none_of_its_neighbours() -> None:
    headers = "authorization=Basic%20YWI=,oops,x-a=1,b c=2,x-d=%0Ainjected"
    settings, problems, _ = read({"OTEL_EXPORTER_OTLP_HEADERS": headers, "OTEL_RESOURCE_ATTRIBUTES": "team=search,oops,=1"})
    assert settings.otlp_headers == {"authorization": "Basic YWI=", "x-a": "1"}
    assert settings.resource_attributes == {"team": "search"}
    assert [str(problem) for problem in problems] == [
        "OTEL_EXPORTER_OTLP_HEADERS='…' is not valid: accepted is key=value,key2=value2. Using the others (authorization, x-a).",
        "OTEL_RESOURCE_ATTRIBUTES='team=search,oops,=1' is not valid: accepted is key=value,key2=value2. Using the others (team).",
    ]


def test_a_timeout_that_was_copied_in_milliseconds_is_read_as_such() -> None:
    settings, problems, _ = read({"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"})
    assert settings.otlp_timeout == 10.0
    (problem,) = problems
    assert str(problem) == (
        "OTEL_EXPORTER_OTLP_TIMEOUT='10000' is not valid: accepted is seconds above 0 and below 1000. "
        "Using 10 seconds, as if it were milliseconds."
    )


@pytest.mark.parametrize("text", ["0", "nan", "inf", "1e999", "12 parsecs", "MiB", ""])
def test_sizes_that_are_none(text: str) -> None:
    assert read({"TRACER_MAX_CONTENT": text})[0].max_content == 4 * 1024 * 1024


def test_mappings_survive_as_arguments() -> None:
    headers = {"authorization": "Basic YWI=, 50%25", "x": " a b "}
    settings, problems, _ = read({}, {"otlp_headers": headers})
    assert problems == []
    assert settings.otlp_headers == headers


def test_paths_are_taken_as_arguments(tmp_path: Path) -> None:
    assert read({}, {"local": tmp_path / "x.sqlite"})[0].local == str(tmp_path / "x.sqlite")


def test_unknown_arguments_raise() -> None:
    with pytest.raises(TypeError, match=r"configure\(\) has no setting named colour\. Settings: .*\blocal\b"):
        tracer.configure(colour="red")


# Secrets.


@pytest.mark.parametrize("text", ["hush-hush", "k=v,hush-hush"])
def test_secrets_are_never_shown(text: str) -> None:
    (problem,) = read({"OTEL_EXPORTER_OTLP_HEADERS": text})[1]
    assert "hush" not in str(problem)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "LANGSMITH_ENDPOINT"])
def test_passwords_in_bad_addresses_are_never_shown(name: str) -> None:
    (problem,) = read({name: "http://me:hush@host:port?key=hush"})[1]
    assert "hush" not in str(problem)
    assert "host:port" in str(problem)


def test_passwords_are_not_in_the_start_line(fresh_runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.configure(otlp_endpoint="http://me:hush@127.0.0.1:1", otlp_headers="authorization=hush", langsmith_key="hush")
    err = capsys.readouterr().err
    assert "127.0.0.1:1" in err
    assert "hush" not in err


def test_values_of_other_variables() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_KEY", " k ")
        assert environment_value("SOME_KEY") == "k"
        patch.setenv("SOME_KEY", " ")
        assert environment_value("SOME_KEY") is None


def _reads_environment(path: Path) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv", "getenvb"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and any("env" in alias.name for alias in node.names))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def test_only_one_module_reads_the_environment() -> None:
    readers = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tracer").rglob("*.py") if _reads_environment(path)]
    assert readers == ["tracer/environment.py"]


# Bad values are reported when they are first read, once.


def test_each_bad_value_is_one_line_and_only_once(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {variable.names[-1]: TEXTS[variable.field][2] for variable in VARIABLES}
    for name, text in bad.items():
        if text is not None:
            no_variables.setenv(name, text)
    with caplog.at_level(logging.WARNING, "tracer"):
        tracer.context()
        lines = [record.getMessage() for record in caplog.records]
        tracer.context()
        tracer.trace("x").__enter__()
        tracer.configure()
        assert [record.getMessage() for record in caplog.records] == lines
    assert len(lines) == sum(text is not None for text in bad.values())
    for name, text in bad.items():
        if text is not None:
            (line,) = [line for line in lines if line.startswith(f"tracer: {name}=")]
            assert line.count("\n") == 0


def test_nothing_is_read_at_import_or_reported_when_all_is_well(fresh_runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    assert not runtime.configured
    tracer.context()
    assert runtime.configured
    assert caplog.records == []


def test_a_problem_says_what_is_used_instead() -> None:
    assert str(Problem("A", "b", "c", "d")) == "A='b' is not valid: accepted is c. Using d."


# LangSmith's rule.

TRACING_NAMES = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")


@pytest.mark.parametrize("name", TRACING_NAMES)
def test_each_tracing_name_switches_on(name: str) -> None:
    assert settings_of(**{name: "true"}).langsmith_tracing


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_the_first_tracing_name_that_is_set_wins(first: int, second: int) -> None:
    if first < second:
        assert not settings_of(**{TRACING_NAMES[first]: "false", TRACING_NAMES[second]: "true"}).langsmith_tracing
        assert settings_of(**{TRACING_NAMES[first]: "true", TRACING_NAMES[second]: "false"}).langsmith_tracing
        assert settings_of(**{TRACING_NAMES[first]: " ", TRACING_NAMES[second]: "true"}).langsmith_tracing


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "yes", "on", " true", "true "])
def test_only_the_exact_word_switches_on_and_near_misses_are_reported(text: str) -> None:
    settings, problems, _ = read({"LANGCHAIN_TRACING_V2": text, "LANGCHAIN_TRACING": "true"})
    assert not settings.langsmith_tracing
    assert [problem.variable for problem in problems] == ["LANGCHAIN_TRACING_V2"]


# Which destinations are on.


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"TRACER_LOCAL": "true"}, ["local"]),
        ({"TRACER_LOCAL": "/tmp/x.sqlite"}, ["local"]),
        ({"TRACER_LOCAL": "false"}, []),
        ({"TRACER_CONSOLE": "true"}, ["console"]),
        ({"OTEL_TRACES_EXPORTER": "console"}, ["console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, ["console", "otlp"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:4318/v1/traces"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "OTEL_TRACES_EXPORTER": "console"}, ["console", "otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "TRACER_LOCAL": "1", "TRACER_CONSOLE": "1"}, ["local", "console", "otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "OTEL_TRACES_EXPORTER": "none", "TRACER_LOCAL": "1"}, ["local"]),
        ({"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_SAMPLER": "always_on", "TRACER_CONTENT": "on"}, []),
        ({"LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": "http://h"}, []),
        ({"LANGCHAIN_TRACING_V2": "true"}, ["local"]),
        ({"LANGCHAIN_TRACING_V2": "true", "TRACER_CONSOLE": "1"}, ["console"]),
        ({"LANGCHAIN_TRACING_V2": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, ["otlp"]),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_API_KEY": "k"}, ["langsmith"]),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGCHAIN_ENDPOINT": "http://h", "TRACER_LOCAL": "1"}, ["local", "langsmith"]),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_RUNS_ENDPOINTS": '{"http://h": "k"}'}, ["langsmith"]),
        ({"LANGCHAIN_TRACING_V2": "true", "OTEL_TRACES_EXPORTER": "none"}, ["local"]),
        # What was meant for a backend of one's own does not go to the hosted service because of a slip in its address.
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": "traces.example.com"}, ["local"]),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_RUNS_ENDPOINTS": '["h"]'}, ["local"]),
        (
            {"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_ENDPOINT": "http://h:x", "LANGSMITH_RUNS_ENDPOINTS": '{"http://h": "k"}'},
            ["langsmith"],
        ),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_ENDPOINT": "http://h", "LANGSMITH_RUNS_ENDPOINTS": "["}, ["langsmith"]),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_API_KEY": "k\nk"}, ["local"]),
        ({"TRACER_LOCAL": "1", "TRACER_ENABLED": "false"}, []),
        ({"TRACER_LOCAL": "1", "OTEL_SDK_DISABLED": "true"}, []),
        ({"LANGCHAIN_TRACING_V2": "true", "OTEL_SDK_DISABLED": "true"}, []),
    ],
)
def test_which_destinations_are_on(environment: dict[str, str], expected: list[str]) -> None:
    settings = read(environment)[0]
    assert settings.any_destination is bool(expected)
    if not settings.forbidden:
        assert wanted(settings) == expected


@pytest.mark.parametrize("name", ["TRACER_ENABLED", "OTEL_SDK_DISABLED"])
def test_what_rules_tracing_out(name: str) -> None:
    assert settings_of(**{name: "false" if name == "TRACER_ENABLED" else "true"}).forbidden
    assert not settings_of(**{name: "true" if name == "TRACER_ENABLED" else "false"}).forbidden


def test_local_stands_in_for_langsmith_without_key_and_endpoint_with_one_warning(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_variables.setenv("LANGSMITH_TRACING", "true")
    tracer.context()
    tracer.configure()
    assert list(tracer.status()["destinations"]) == ["local"]
    (record,) = caplog.records
    assert "neither LANGSMITH_API_KEY nor LANGSMITH_ENDPOINT" in record.getMessage()
    assert "tracer show" in record.getMessage()


def test_an_endpoint_that_cannot_be_used_is_said_and_nothing_is_sent_to_the_default(
    fresh_runtime: Runtime, no_variables: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_variables.setenv("LANGSMITH_TRACING", "true")
    no_variables.setenv("LANGSMITH_API_KEY", "k")
    no_variables.setenv("LANGSMITH_ENDPOINT", "traces.example.com")
    tracer.context()
    assert list(tracer.status()["destinations"]) == ["local"]
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("tracer: LANGSMITH_ENDPOINT='traces.example.com' is not valid: accepted is a URL that starts with http")
    assert first.endswith("Using none, and nothing is sent to the default.")
    assert "its endpoint cannot be used" in second


def test_no_stand_in_when_a_key_is_given() -> None:
    settings = settings_of(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="k")
    assert settings.langsmith_on
    assert not settings.local_by_default


# Content.


@pytest.mark.parametrize(
    ("ours", "otel", "expected"),
    [
        (None, None, (True, True)),
        ("on", None, (True, True)),
        ("off", None, (False, False)),
        ("inputs", None, (True, False)),
        ("outputs", None, (False, True)),
        (None, "NO_CONTENT", (False, False)),
        (None, "false", (False, False)),
        (None, "SPAN_ONLY", (True, True)),
        (None, "EVENT_ONLY", (True, True)),
        (None, "span_and_event", (True, True)),
        (None, "True", (True, True)),
        ("on", "NO_CONTENT", (True, True)),
        ("off", "SPAN_ONLY", (False, False)),
        ("outputs", "false", (False, True)),
    ],
)
def test_content(ours: str | None, otel: str | None, expected: tuple[bool, bool]) -> None:
    names = {"TRACER_CONTENT": ours, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": otel}
    settings = settings_of(**{name: text for name, text in names.items() if text is not None})
    assert (settings.content_inputs, settings.content_outputs) == expected


# The start line.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("on", "prompts and answers are captured"),
        ("off", "prompts and answers are not captured"),
        ("inputs", "prompts are captured, answers are not"),
        ("outputs", "answers are captured, prompts are not"),
    ],
)
def test_the_start_line_says_where_and_what(
    fresh_runtime: Runtime, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, words: str
) -> None:
    tracer.configure(local=tmp_path / "x.sqlite", console=True, otlp_endpoint="http://127.0.0.1:1", content=content)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tracer: recording to local store {tmp_path / 'x.sqlite'}, console, OTLP http://127.0.0.1:1; {words} ")


def test_the_start_line_can_be_left_out(fresh_runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.configure(console=True, quiet=True)
    assert capsys.readouterr().err == ""


def test_no_start_line_while_off(fresh_runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.configure()
    assert capsys.readouterr().err == ""
