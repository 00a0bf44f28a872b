"""Tests of the SDKs' own suites that end differently with our clients, and why they may: told in `docs/fidelity.md` too."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explained:
    """Why some tests end differently."""

    tests: str
    """A pattern that their ids match somewhere."""
    clients: tuple[str, ...]
    """In which modes."""
    because: str


EXPLAINED = (
    Explained(
        r"^tests/test_open_telemetry\.py::(TestCallSpans::test_environment_variable_disables_spans|TestConversationId::test_(platform_clients"
        r"_read_the_environment_when_they_are_constructed|environment_is_read_when_the_client_is_constructed\[(sync|async)\]))$",
        ("wrapped", "instrumented"),
        "sets a global tracer provider and wants it to get no span: ours go through an application's provider",
    ),
)


def explained(test: str, mode: str, reasons: tuple[Explained, ...] = EXPLAINED) -> str | None:
    """Why this test may end differently, if that is known."""
    for reason in reasons:
        if mode in reason.clients and re.search(reason.tests, test):
            return reason.because
    return None
