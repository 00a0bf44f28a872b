"""How tests came out, for tests that compare classes of tests with each other."""

from __future__ import annotations

OUTCOMES: dict[str, dict[str, str]] = {}
"""By class and name of the test: passed, failed, skipped or xfailed. Filled by the conftest beside this file."""
