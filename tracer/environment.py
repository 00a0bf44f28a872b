"""The environment, and the one question about it that `import tracer` asks.

The only module that touches it, and it imports nothing that costs. What a variable means is said in `tracer.settings`, which is read
at the first use of the library; here is only seen whether that could come to anything.
"""

from __future__ import annotations

from os import environ as variables

TYPE_CHECKING = False  # As in `tracer/__init__.py`: the import of typing would cost a dozen modules.

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGSMITH_TRACING = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")

_NO = ("false", "0", "no", "off")
_ASKING = (
    "TRACER_LOCAL",
    "TRACER_CONSOLE",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    *LANGSMITH_TRACING,
)


def may_trace(environment: Mapping[str, str] = variables) -> bool:
    """Whether the settings may come to a destination. Never False where they do; True also for a value that they will find fault with.

    >>> may_trace({"TRACER_LOCAL": "true"}), may_trace({"TRACER_LOCAL": "true", "TRACER_ENABLED": "false"}), may_trace({})
    (True, False, False)
    """

    def text(name: str) -> str:
        return environment.get(name, "").strip().lower()

    if text("TRACER_ENABLED") in _NO or text("OTEL_SDK_DISABLED") == "true":
        return False
    exporters = (text("OTEL_TRACES_EXPORTER"), text("OTEL_METRICS_EXPORTER"))
    return any(name not in ("", "none") for name in exporters) or any(text(name) not in ("", *_NO) for name in _ASKING)
