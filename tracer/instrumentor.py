"""The entry point for OpenTelemetry's own tools: `opentelemetry-instrument python app.py` finds it and traces the program.

Needs `opentelemetry-instrumentation` (`pip install 'chat-tracer[opentelemetry]'`); nothing else of the library imports this module.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from tracer.api import instrument, uninstrument


class TracerInstrumentor(BaseInstrumentor):
    """`tracer.instrument()` and `tracer.uninstrument()` in OpenTelemetry's form.

        TracerInstrumentor().instrument()

    What is recorded and where it goes is said by the environment, as ever (`docs/settings.md`). To leave it out of a program that runs
    under `opentelemetry-instrument`: `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=tracer`.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: clients are looked for when they are imported, and whatever is missing is not traced."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002  # as the base class has it
        instrument()

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002
        uninstrument()
