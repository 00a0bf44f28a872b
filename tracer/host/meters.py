"""Whether the application has a meter provider of its own. Nothing of OpenTelemetry is imported here."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import Any

from tracer.host.providers import ELSEWHERE, asked_for
from tracer.runtime import report_fault

_API = "opentelemetry.metrics._internal"
_PUBLIC_API = "opentelemetry.metrics"


class HostMeters:
    """What `runtime.meters` is: looks for a provider at each call.

    `at_exit` has to run before the end of the provider: what is made later ends earlier.
    """

    def __init__(self, at_exit: Callable[[], None]) -> None:
        self.noticed: Callable[[], None] | None = None
        """Called when a provider is found that was not there before."""
        self._at_exit = at_exit
        self._looked_at: object = None
        self._provider: object = None

    def provider(self) -> object:
        """The application's provider, or None. One that is set later is found at the next call."""
        api: Any = sys.modules.get(_API)
        found = None if api is None else getattr(api, "_METER_PROVIDER", ELSEWHERE)
        if found is ELSEWHERE:
            found = asked_for(_PUBLIC_API, "get_meter_provider", "OTEL_PYTHON_METER_PROVIDER")
        if found is not self._looked_at:
            self._look_at(found)
        return self._provider

    def _look_at(self, found: Any) -> None:
        try:
            present = found is not None and not isinstance(found, _stand_ins())
        except Exception as fault:
            if not report_fault("joining the application's meter provider", fault):
                raise
            present = False
        self._looked_at, self._provider = found, found if present else None
        if present:
            atexit.unregister(self._at_exit)
            atexit.register(self._at_exit)
            if self.noticed is not None:
                self.noticed()


def _stand_ins() -> tuple[type, ...]:
    """Providers that keep nothing."""
    internal: Any = sys.modules[_API]
    return tuple(kind for name in ("NoOpMeterProvider", "_ProxyMeterProvider") if isinstance(kind := getattr(internal, name, None), type))
