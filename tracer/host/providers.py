"""Where OpenTelemetry keeps an application's providers."""

from __future__ import annotations

import sys
from typing import Any

from tracer.settings import environment_value

ELSEWHERE = object()
"""Found instead of a provider in a module that is just being loaded, or of a version that keeps it in another place."""


def asked_for(public: str, function: str, variable: str) -> object:
    """What the public function of a module gives; None where that is not loaded, or would make the provider that the variable names."""
    ask: Any = getattr(sys.modules.get(public), function, None)
    return None if ask is None or environment_value(variable) else ask()
