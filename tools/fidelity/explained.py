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
    Explained(
        r"^tests/lib/test_client_copy\.py::test_copy_(keeps_every_constructor_argument|of_a_client_built_from_the_environment)\[",
        ("wrapped",),
        "wants the dictionaries of a client and its copy to be equal: each holds hooks of its own",
    ),
    Explained(
        r"^tests/(lib/test_client_copy\.py::test_with_options_overrides_win\[|test_x509_workload_identity(_regressions\.py::test_a?sync_copy_("
        r"accepts_an_explicit_x509_identity|can_switch_from_(api_key|x509_identity)_to_(api_key|x509_identity))\[|\.py::test_x509_copy_reuses_"
        r"effective_transport_and_preserves_identity$))",
        ("wrapped",),
        "wants a client's copy to hold the very HTTP client that it was given: it holds a stand-in, which is equal to it",
    ),
)


def explained(test: str, mode: str, reasons: tuple[Explained, ...] = EXPLAINED) -> str | None:
    """Why this test may end differently, if that is known."""
    for reason in reasons:
        if mode in reason.clients and re.search(reason.tests, test):
            return reason.because
    return None
