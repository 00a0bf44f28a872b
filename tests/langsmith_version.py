"""Which versions of the `langsmith` SDK ours is compared with."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from langsmith import Client

AS_IT_IS_NOW = pytest.mark.skipif(
    not hasattr(Client, "flush"),
    reason=f"langsmith {version('langsmith')} sends other things than what is compared with (docs/versions.md)",
)
"""For tests that compare with what the SDK sends: very old ones have fewer fields."""
