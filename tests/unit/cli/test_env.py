"""`tracer env`."""

from __future__ import annotations

import pytest

from tracer.cli.main import main
from tracer.settings import VARIABLES


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        for name in variable.names:
            monkeypatch.delenv(name, raising=False)


def _env(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["env"]) == 0
    return capsys.readouterr().out


def _line(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{name} ="))


def test_every_setting_is_listed_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    text = _env(capsys)
    assert text.startswith("Tracing is off")
    for variable in VARIABLES:
        assert _line(text, variable.names[0]).endswith("  (default)")
        assert variable.meaning in text
        for name in variable.names:
            assert name in text
    assert "not taken" not in text


def test_values_say_where_they_come_from(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACER_LOCAL", "true")
    monkeypatch.setenv("TRACER_EXIT_TIMEOUT", "0.5")
    monkeypatch.setenv("LANGCHAIN_PROJECT", "mine")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp,console")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=1,b=2")
    text = _env(capsys)
    assert text.startswith("Records go to: local, console, otlp.\n")
    assert _line(text, "TRACER_LOCAL") == "TRACER_LOCAL = true  (from TRACER_LOCAL)"
    assert _line(text, "TRACER_EXIT_TIMEOUT") == "TRACER_EXIT_TIMEOUT = 0.5  (from TRACER_EXIT_TIMEOUT)"
    assert " = mine  (from LANGCHAIN_PROJECT)" in text
    assert _line(text, "OTEL_TRACES_EXPORTER") == "OTEL_TRACES_EXPORTER = otlp,console  (from OTEL_TRACES_EXPORTER)"
    assert _line(text, "OTEL_RESOURCE_ATTRIBUTES").startswith("OTEL_RESOURCE_ATTRIBUTES = a=1,b=2  ")


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_verysecret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=verysecret,x-team=verysecret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:verysecret@collector:4318/v1?key=verysecret")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "ftp://me:verysecret@host")
    text = _env(capsys)
    assert "verysecret" not in text
    assert "LANGSMITH_API_KEY = ****" in text
    assert "authorization=****, x-team=****" in text
    assert "https://****@collector:4318/v1?****" in text


def test_bad_values_are_shown_with_what_is_accepted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACER_EXIT_TIMEOUT", "soon")
    monkeypatch.setenv("TRACER_CONTENT", "maybe")
    lines = _env(capsys).splitlines()
    where = lines.index("TRACER_EXIT_TIMEOUT = 2  (default)")
    following = "\n".join(lines[where : where + 4])
    assert "! TRACER_EXIT_TIMEOUT='soon' is not valid: accepted is seconds, 0 or more. Using 2.0." in following
    assert lines[-1] == "2 value(s) were not taken, see above."
