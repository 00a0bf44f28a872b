"""The frozen `Settings`, and what follows from several of them together."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any, NoReturn

from tracer.parsing import NOWHERE
from tracer.settings.core import Core
from tracer.settings.events import Events
from tracer.settings.langsmith import LangSmith
from tracer.settings.measurements import V141, Metrics
from tracer.settings.traces import Traces


class _Tables(Core, LangSmith, Traces, Events, Metrics):
    __slots__ = ()

    # Type checkers know the parameters from the declarations.
    def __init__(self, **values: Any) -> None:
        for variable in VARIABLES:
            object.__setattr__(self, variable.field, values.pop(variable.field, variable.default))
        if values:
            raise TypeError(f"there is no setting named {', '.join(values)}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


VARIABLES = _Tables.variables()
"""All settings in one table, in the order of the documentation."""


class Settings(_Tables):
    """All settings, resolved. Made by `read`, never by hand except in tests.

    >>> Settings(queue_records=5).queue_records, Settings().queue_records
    (5, 10000)
    """

    __slots__ = tuple(variable.field for variable in VARIABLES)

    def replaced(self, **values: Any) -> Settings:
        """These settings with other `values` of some."""
        return Settings(**{variable.field: getattr(self, variable.field) for variable in VARIABLES} | values)

    @property
    def forbidden(self) -> bool:
        """Tracing is ruled out for this process: `wrap` returns its argument."""
        return not self.enabled or self.sdk_disabled

    @property
    def otlp_on(self) -> bool:
        """Spans go to an OTLP endpoint of our own."""
        if "none" in self.traces_exporter:
            return False
        return bool(self.otlp_traces_endpoint or self.otlp_endpoint or "otlp" in self.traces_exporter)

    @property
    def events(self) -> bool:
        """Each model call is told as an event too, in a log record of OpenTelemetry."""
        return self.capture_message_content in ("event_only", "span_and_event")

    @property
    def events_by_otlp(self) -> bool:
        """Events go to an OTLP endpoint of our own, where the application has no logger provider."""
        if not self.events or "none" in self.logs_exporter:
            return False
        return bool(self.otlp_logs_endpoint or self.otlp_endpoint or "otlp" in self.logs_exporter)

    @property
    def content_on_spans(self) -> bool:
        """Spans of OpenTelemetry bear prompts and answers, where these are recorded."""
        return self.capture_message_content != "event_only"

    @property
    def console_on(self) -> bool:
        """Calls are printed on stderr."""
        return self.console or "console" in self.traces_exporter

    @property
    def local_by_default(self) -> bool:
        """The local store stands in: LangSmith tracing is on, but neither key nor endpoint nor any other destination is given."""
        return self.langsmith_tracing and not (self.langsmith_on or self.local or self.otlp_on or self.console_on)

    @property
    def langsmith_on(self) -> bool:
        """A LangSmith-style backend is asked for and can be reached: the default one only where no other was named."""
        named = self.langsmith_runs_endpoints or self.langsmith_endpoint
        by_default = self.langsmith_key and self.langsmith_runs_endpoints is None and self.langsmith_endpoint is None
        return self.langsmith_tracing and bool(named or by_default)

    @property
    def langsmith_unusable(self) -> bool:
        """An address of a LangSmith-style backend was given that cannot be used."""
        return NOWHERE in (self.langsmith_endpoint, self.langsmith_runs_endpoints)

    @property
    def any_destination(self) -> bool:
        """Something is to be recorded at all."""
        if self.forbidden:
            return False
        return bool(self.local) or self.otlp_on or self.console_on or self.langsmith_tracing or self.events_by_otlp

    @property
    def metrics_names(self) -> str | None:
        """Version of the conventions whose names metrics bear; None where there are to be no metrics."""
        return None if self.forbidden or self.metrics == "off" else self.metrics or V141

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """Exporters of metrics that are ours, where the application has no meter provider: otlp, prometheus, console."""
        if self.metrics_names is None or "none" in self.metrics_exporter:
            return ()
        asked = dict.fromkeys(self.metrics_exporter)
        # The general endpoint may be one for traces only: that it takes metrics has to be said.
        if self.otlp_metrics_endpoint or (self.otlp_endpoint and self.metrics and not asked):
            asked["otlp"] = None
        return tuple(asked)

    def beside_host(self) -> Settings:
        """These settings where the application has a tracer provider of its own: that one exports, and we send no OTLP ourselves."""
        # The endpoints stay: metrics may go there.
        exporters = tuple(name for name in self.traces_exporter if name not in ("otlp", "none"))
        beside = self.replaced(traces_exporter=(*exporters, "none"))
        # LangSmith without a key needs no local store to stand in: the records have somewhere to go.
        return beside.replaced(langsmith_tracing=False) if beside.local_by_default else beside

    @property
    def content_beside_host(self) -> tuple[bool, bool]:
        """Whether prompts and answers are recorded where the application has a tracer provider of its own.

        With nothing but that, OpenTelemetry's rule holds: only if asked for.
        """
        asked = self.content is not None or self.capture_message_content is not None
        if asked or self.langsmith_tracing or self.beside_host().any_destination:
            return self.content_inputs, self.content_outputs
        return False, False

    @property
    def content_inputs(self) -> bool:
        """Prompts are recorded."""
        if self.content is not None:
            return self.content in ("on", "inputs")
        return self.capture_message_content != "no_content"

    @property
    def content_outputs(self) -> bool:
        """Answers are recorded."""
        if self.content is not None:
            return self.content in ("on", "outputs")
        return self.capture_message_content != "no_content"
