"""The line on stderr that says at the start where traces go and what is captured."""

from __future__ import annotations

import sys

from tracer.parsing import without_credentials
from tracer.pipeline.destinations import wanted
from tracer.runtime import has_host, has_meters, runtime
from tracer.settings import DEFAULT_LANGSMITH, Settings


def say_start() -> None:
    """Write it, if it is wanted and there is somewhere to write to."""
    if not runtime.settings.quiet and sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # there may be none
        try:
            sys.stderr.write(start_line(runtime.settings, has_host()) + "\n")
        except (OSError, ValueError):
            pass  # Closed by the application.


def start_line(resolved: Settings, host: bool = False) -> str:
    """One line that says where traces go and what is captured; `host`: the application has a tracer provider of its own."""
    places = {
        "host": "the application's own OpenTelemetry",
        "local": f"local store {'' if resolved.local is True or not resolved.local else resolved.local}".rstrip(),
        "console": "console",
        "langsmith": _langsmith_place(resolved),
        "host-logs": "the application's own logger provider",
        "otlp-logs": f"OTLP logs {without_credentials(resolved.otlp_logs_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
        "otlp": f"OTLP {without_credentials(resolved.otlp_traces_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
    }
    captured = {
        (True, True): "prompts and answers are captured",
        (True, False): "prompts are captured, answers are not",
        (False, True): "answers are captured, prompts are not",
        (False, False): "prompts and answers are not captured",
    }[resolved.content_beside_host if host else (resolved.content_inputs, resolved.content_outputs)]
    names = ["host", *wanted(resolved.beside_host())] if host else wanted(resolved)
    to = ", ".join(places[name] for name in names)
    measured = _metrics_places(resolved)
    if not to:
        return f"tracer: recording metrics to {measured} (TRACER_QUIET=true hides this line)."
    metrics = f"metrics to {measured}; " if measured else ""
    return f"tracer: recording to {to}; {metrics}{captured} (TRACER_CONTENT changes this, TRACER_QUIET=true hides this line)."


def _metrics_places(resolved: Settings) -> str:
    if has_meters():
        return "the application's own OpenTelemetry"
    places = {
        "otlp": f"OTLP {without_credentials(resolved.otlp_metrics_endpoint or resolved.otlp_endpoint or 'http://localhost:4318')}",
        "prometheus": f"http://{resolved.prometheus_host}:{resolved.prometheus_port}/metrics",
        "console": "console",
    }
    return ", ".join(places[name] for name in resolved.own_metrics)


def _langsmith_place(resolved: Settings) -> str:
    if resolved.langsmith_runs_endpoints:
        return "LangSmith (LANGSMITH_RUNS_ENDPOINTS)"
    return f"LangSmith {without_credentials(resolved.langsmith_endpoint or DEFAULT_LANGSMITH)} (project {resolved.langsmith_project})"
