"""Who our spans come from: the resource and the instrumentation scope."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import cast

from tracer.export.notices import quiet, silence_exporters, warn_once
from tracer.export.span import AttributeValue
from tracer.settings import Settings, environment_value

SCOPE_NAME = "tracer"
DISTRIBUTION = "chat-tracer"

DETECTORS = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
"""The SDK itself reads it whenever it makes a resource."""


@cache
def version() -> str:
    """The installed version of this library; `0` where it runs without being installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0"


def resource_attributes(settings: Settings) -> dict[str, AttributeValue]:
    """The attributes of the resource: names of the settings over what stands for the process, and our distribution.

    Where resource detectors are named in the environment, the OpenTelemetry SDK is asked for what they find.

    >>> resource_attributes(Settings(service_name="shop"))["service.name"]
    'shop'
    """
    ours: dict[str, AttributeValue] = {**(settings.resource_attributes or {})}
    if settings.service_name:
        ours["service.name"] = settings.service_name
    ours["telemetry.distro.name"] = DISTRIBUTION
    ours["telemetry.distro.version"] = version()
    found: Mapping[str, AttributeValue] = _detected() if environment_value(DETECTORS) is not None else {}
    return {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": SCOPE_NAME,
        "telemetry.sdk.version": version(),
        "service.instance.id": _instance_id(os.getpid()),
        "service.name": "unknown_service:python",
        **found,
        **ours,
    }


@cache
def _instance_id(_process: int) -> str:
    return str(uuid.uuid4())


def _detected() -> Mapping[str, AttributeValue]:
    _say_unknown_detectors()
    # The one place in this file where the SDK is imported.
    from opentelemetry.sdk.resources import Resource

    silence_exporters()
    with quiet():
        try:
            return cast("Mapping[str, AttributeValue]", Resource.create().attributes)
        except Exception:
            return {}  # Detectors named in the environment are foreign code.


def _say_unknown_detectors() -> None:
    given = environment_value(DETECTORS) or ""
    known = sorted(entry.name for entry in metadata.entry_points(group="opentelemetry_resource_detector"))
    unknown = [name for name in (part.strip() for part in given.split(",")) if name not in (*known, "", "*")]
    if unknown:
        accepted = f"accepted is a comma list of what is installed: {', '.join(known)}"
        warn_once(f"{DETECTORS}={given!r} names no resource detector with {unknown[0]!r}: {accepted}. Leaving it out.")
