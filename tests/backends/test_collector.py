"""The shipped collector configuration, against a real collector where one is to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CONFIGURATION = Path(__file__).parents[2] / "collector-config" / "local.yaml"


def collector() -> str:
    """The program: on the PATH, or in the folder that TRACER_BACKENDS names."""
    places = os.pathsep.join(filter(None, [os.environ.get("TRACER_BACKENDS"), os.environ.get("PATH")]))
    for name in ("otelcol-contrib", "otelcol"):
        found = shutil.which(name, path=places)
        if found:
            return found
    pytest.skip("needs an OpenTelemetry Collector: put `otelcol` or `otelcol-contrib` on the PATH, or name its folder in TRACER_BACKENDS")


def test_the_collector_accepts_the_shipped_configuration() -> None:
    checked = subprocess.run([collector(), "validate", "--config", str(CONFIGURATION)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
