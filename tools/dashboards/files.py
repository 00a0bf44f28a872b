"""Which files there are, and what stands in them."""

from __future__ import annotations

from pathlib import Path

from tools.dashboards.boards import DASHBOARDS
from tools.dashboards.rules import alerts_yaml, recording_yaml

FOLDER = Path(__file__).resolve().parents[2] / "dashboards"


def contents() -> dict[str, str]:
    """Text by file name. Needs Python 3.11, for grafana-foundation-sdk."""
    from tools.dashboards.grafana import as_json  # The one lazy import: the tables can be read without the library.

    boards = {f"{board.file}.json": as_json(board) for board in DASHBOARDS}
    return {**boards, "alerts.yaml": alerts_yaml(), "recording-rules.yaml": recording_yaml()}
