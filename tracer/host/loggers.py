"""Whether the application has a logger provider of its own. Nothing of OpenTelemetry is imported here."""

from __future__ import annotations

import sys
from typing import Any

_API = "opentelemetry._logs._internal"


def logger_provider() -> object:
    """The application's provider, or None. One that is set later is found when it is asked for again.

    The one that OTEL_PYTHON_LOGGER_PROVIDER names is not made, as `get_logger_provider` would.
    """
    api: Any = sys.modules.get(_API)
    found = getattr(api, "_LOGGER_PROVIDER", None)
    if found is None:
        return None
    kinds = (getattr(api, name, None) for name in ("NoOpLoggerProvider", "ProxyLoggerProvider"))
    # These keep nothing.
    return None if isinstance(found, tuple(kind for kind in kinds if isinstance(kind, type))) else found
