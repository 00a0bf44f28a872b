"""Write `docs/settings.md` from the settings table; `--check` only compares. Run by `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tracer.settings import VARIABLES, Variable  # noqa: E402

PAGE = ROOT / "docs" / "settings.md"

HEAD = """\
# Settings

<!-- Made by `make docs` from tracer/settings. Do not edit. -->

Each setting is an environment variable, and an argument of `tracer.configure` by the name given with it. The argument wins over the
environment, the environment over the default; where several variables are named, the first that is not blank decides alone. Empty means
unset. A value that is not accepted is reported in one line, and the default is used. `tracer env` shows every setting with its value and
where it comes from.

With nothing set, nothing is recorded. Recording begins with any destination: `TRACER_LOCAL`, `TRACER_CONSOLE`, an OTLP endpoint,
`OTEL_TRACES_EXPORTER`, or LangSmith's `LANGSMITH_TRACING=true`.
"""

GROUPS = (
    ("Of our own", ("TRACER_",)),
    ("LangSmith's and LangChain's", ("LANGSMITH_", "LANGCHAIN_", "HOSTED_LANGSERVE_")),
    ("OpenTelemetry's", ("OTEL_",)),
)


def default_of(variable: Variable) -> str:
    """The default in words."""
    if variable.default_text is not None:
        return variable.default_text
    if variable.default is None:
        return "unset"
    if isinstance(variable.default, bool):
        return f"`{str(variable.default).lower()}`"
    return f"`{variable.default:g}`" if isinstance(variable.default, float) else f"`{variable.default}`"


def entry(variable: Variable) -> str:
    """One setting."""
    first, *others = [f"`{name}`" for name in variable.names]
    lines = [f"### {first}", "", variable.meaning, ""]
    if others:
        lines.append(f"* Otherwise: {', then '.join(others)}")
    lines += [f"* Accepted: {variable.accepted}", f"* Default: {default_of(variable)}", f"* Argument: `{variable.field}`"]
    if variable.secret:
        lines.append("* Secret: never shown or recorded")
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, prefixes in GROUPS:
        parts.append(f"## {title}\n")
        parts += [entry(variable) + "\n" for variable in VARIABLES if variable.names[0].startswith(prefixes)]
    return "\n".join(parts)


def main() -> int:
    """Carry out the command; gives the exit status."""
    text = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text("utf-8") == text
        if not same:
            print(f"{PAGE.relative_to(ROOT)} is not what the settings table says. Run: make docs")
        return 0 if same else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
