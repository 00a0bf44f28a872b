"""Metrics as text on stderr."""

from __future__ import annotations

import sys
from typing import Any


class ConsoleOutlet:
    """The official JSON form of each export, on stderr."""

    def push(self, data: Any, _timeout: float, /) -> bool:
        """Print."""
        if data is not None:
            sys.stderr.write(data.to_json() + "\n")
        return True

    def close(self) -> None:
        """Nothing was opened."""
