"""LangChain traced by the environment and `import tracer` alone; programs under `opentelemetry-instrument`. In processes of their own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, clean_environment, run_program, stored_names
from tracer.environment import may_trace
from tracer.replay.behaviour import Behaviour
from tracer.replay.server import ReplayServer
from tracer.settings import VARIABLES, Variable, read
from tracer.store.reader import StoreReader

PLAIN = "pydanticai.openai.openai_prompted_output.0"

CHAIN = """
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

def ask():
    model = FakeListChatModel(responses=["a b"])
    assert (ChatPromptTemplate.from_template("{x}") | model | StrOutputParser()).invoke({"x": "hi"}) == "a b"
"""
RUNS = ["RunnableSequence", "ChatPromptTemplate", "chat", "StrOutputParser"]
IMPORTS = {"before": "import tracer\n" + CHAIN, "after": CHAIN + "import tracer\n", "between": "import langchain_core, tracer\n" + CHAIN}


@pytest.fixture(scope="module", autouse=True)
def needs_langchain() -> None:
    pytest.importorskip("langchain_core", reason="needs langchain-core")


@pytest.mark.parametrize("order", IMPORTS)
def test_every_run_is_traced(tmp_path: Path, order: str) -> None:
    store = tmp_path / "t.sqlite"
    ended = run_program(IMPORTS[order] + "ask()\nask()", TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == RUNS * 2
    with StoreReader(store) as reader:
        for trace in reader.traces(2):
            root, *others = trace.spans
            assert {span.parent_span_id for span in others} == {root.span_id}


@pytest.mark.parametrize("order", IMPORTS)
def test_wrapped_ones_are_recorded_once(tmp_path: Path, order: str) -> None:
    store = tmp_path / "t.sqlite"
    program = IMPORTS[order] + textwrap.dedent("""
        tracer.instrument()
        model = tracer.wrap(FakeListChatModel(responses=["a"]))
        tracer.wrap(ChatPromptTemplate.from_template("{x}") | model).invoke({"x": "hi"})
    """)
    ended = run_program(program, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == RUNS[:3]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"TRACER_LOCAL": "false"},
        {"TRACER_LOCAL": "{store}", "TRACER_ENABLED": "false"},
        {"TRACER_LOCAL": "{store}", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
@pytest.mark.parametrize("order", ["before", "after"])
def test_nothing_is_done_otherwise(tmp_path: Path, order: str, variables: dict[str, str]) -> None:
    program = IMPORTS[order] + textwrap.dedent("""
        import sys
        ask()
        print(*sorted(name for name in sys.modules if name.startswith("tracer")))
        print(*[finder for finder in sys.meta_path if "tracer" in repr(finder)])
    """)
    given = {name: text.format(store=tmp_path / "t.sqlite") for name, text in variables.items()}
    ended = run_program(program, XDG_DATA_HOME=str(tmp_path), **given)
    assert (ended.status, ended.out.split(), ended.err) == (0, ["tracer", "tracer.environment"], "")
    assert list(tmp_path.iterdir()) == []


def test_import_stays_light_and_settings_are_read_at_the_first_run(tmp_path: Path) -> None:
    ended = run_program(
        """
        import sys
        before = set(sys.modules)
        import tracer
        new = set(sys.modules) - before
        assert len(new) < 10 and "tracer.settings" not in new, new
        assert not [name for name in sys.modules if name.startswith("langchain")]
        from langchain_core.runnables import RunnableLambda
        sys.stderr.write("before the first run\\n")
        RunnableLambda(lambda x: x).invoke(1)
        """,
        TRACER_LOCAL=str(tmp_path / "t.sqlite"),
        TRACER_CONTENT="sometimes",
    )
    assert ended.status == 0, ended.err
    first, problem, start = ended.err.splitlines()
    assert first == "before the first run"
    assert "TRACER_CONTENT='sometimes'" in problem
    assert start.startswith("tracer: recording to local store")


def test_a_near_miss_is_reported_at_the_first_run() -> None:
    ended = run_program(IMPORTS["before"] + "ask()", LANGSMITH_TRACING="True")
    assert ended.status == 0
    assert "LANGSMITH_TRACING='True' is not valid" in ended.err


def test_until_uninstrument_or_shutdown(tmp_path: Path) -> None:
    store = tmp_path / "t.sqlite"
    program = """
        ask()
        tracer.uninstrument()
        ask()
        tracer.configure(local=STORE, quiet=True)   # says where to, not what
        ask()
        tracer.wrap(FakeListChatModel(responses=["wrapped"])).invoke("hi")
        tracer.instrument()
        ask()
        tracer.shutdown()
        ask()
        tracer.configure(local=STORE, quiet=True)
        ask()
    """
    code = IMPORTS["before"] + f"STORE = {str(store)!r}\n" + textwrap.dedent(program)
    ended = run_program(code, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == [*RUNS, "chat", *RUNS, *RUNS]


def test_uninstrument_before_langchain_is_there(tmp_path: Path) -> None:
    store = tmp_path / "t.sqlite"
    program = "import tracer\ntracer.uninstrument()\n" + CHAIN + "ask()\ntracer.instrument()\nask()"
    ended = run_program(program, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == RUNS
    program = "import tracer\ntracer.instrument()\ntracer.uninstrument()\ntracer.instrument()\n" + CHAIN + "ask()"
    ended = run_program(program, TRACER_LOCAL=str(store), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == RUNS * 2


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ("after", "tracer.configure(local=STORE, quiet=True)"),
        ("before", "import os; os.environ['TRACER_LOCAL'] = STORE; tracer.context()"),
    ],
    ids=["configure", "variable set late"],
)
def test_settings_given_in_code_count_like_variables(tmp_path: Path, order: str, line: str) -> None:
    """Variables that are set after the import of tracer are found by the first use of tracer."""
    store = tmp_path / "t.sqlite"
    ended = run_program(f"STORE = {str(store)!r}\n{IMPORTS[order]}{line}\nask()", TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(store) == RUNS


def test_clients_of_an_sdk_stay_as_they_are(server: ReplayServer, tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import openai, tracer
        from langchain_core.runnables import RunnableLambda

        def ask(client):
            client.chat.completions.create(model="m", messages=[{{"role": "user", "content": "hi"}}])

        client = openai.OpenAI(api_key="none", base_url={server.base_url(PLAIN)!r})
        RunnableLambda(ask, name="step").invoke(client)
        RunnableLambda(ask, name="step").invoke(tracer.wrap(client))
    """)
    ended = run_program(program, TRACER_LOCAL=str(tmp_path / "t.sqlite"), TRACER_QUIET="true")
    assert (ended.status, ended.err) == (0, "")
    assert stored_names(tmp_path / "t.sqlite") == ["step", "step", "chat m"]


TEXTS = ("true", "True", "1", "on", "false", "0", "no", "none", "otlp", "console", "x", "http://127.0.0.1:1", " ", "")


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.field)
def test_the_look_at_import_never_misses_what_the_settings_find(variable: Variable) -> None:
    others: tuple[dict[str, str], ...] = (
        {},
        {"TRACER_LOCAL": "true"},
        {"LANGCHAIN_TRACING_V2": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
    )
    for name, text, other in itertools.product(variable.names, TEXTS, others):
        environment = {**other, name: text}
        settings, problems, _ = read(environment)
        found = may_trace(environment)
        records = settings.any_destination or bool(settings.own_metrics)
        assert found or not records, environment
        assert not (found and settings.forbidden), environment
        assert not found or records or other or problems, environment


# OpenTelemetry's own way.


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(Behaviour(honour_usage=1)) as running:
        yield running


OPENAI_PROGRAM = """
import sys
from openai import OpenAI

client = OpenAI(api_key="none", base_url=sys.argv[1])
client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
if "uninstrument" in sys.argv:
    from tracer.instrumentor import TracerInstrumentor

    assert TracerInstrumentor().is_instrumented_by_opentelemetry
    TracerInstrumentor().uninstrument()
    client.chat.completions.create(model="not seen", messages=[{"role": "user", "content": "hi"}])
    OpenAI(api_key="none", base_url=sys.argv[1]).chat.completions.create(model="not seen", messages=[{"role": "user", "content": "hi"}])
"""


def under_opentelemetry(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`opentelemetry-instrument python app.py …`; the checkout is found as an installed distribution, not by a path."""
    pytest.importorskip("opentelemetry.instrumentation", reason="needs opentelemetry-instrumentation")
    (folder / "app.py").write_text(OPENAI_PROGRAM)
    none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "app.py", *arguments]
    environment = {**clean_environment(), **none, "TRACER_QUIET": "true", **variables}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


OTHERS = "openai,httpx,httpx2,requests,urllib3"


@pytest.mark.parametrize("others", [OTHERS, ""], ids=["alone", "beside others"])
def test_opentelemetry_instrument_finds_us(server: ReplayServer, tmp_path: Path, others: str) -> None:
    store = tmp_path / "t.sqlite"
    given = {"TRACER_LOCAL": str(store), **({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": others} if others else {})}
    done = under_opentelemetry(tmp_path, server.base_url(PLAIN), "uninstrument", **given)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert stored_names(store) == ["chat m"]


def test_opentelemetry_instrument_can_be_told_to_leave_us_out(server: ReplayServer, tmp_path: Path) -> None:
    left_out = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": f"{OTHERS},tracer"}
    done = under_opentelemetry(tmp_path, server.base_url(PLAIN), TRACER_LOCAL=str(tmp_path / "t.sqlite"), **left_out)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "t.sqlite").exists()


def test_the_checkout_is_a_distribution_with_the_entry_points_of_the_project() -> None:
    from importlib.metadata import distribution

    found = {(entry.group, entry.name): entry.value for entry in distribution("chat-tracer").entry_points}
    assert found == {
        ("console_scripts", "tracer"): "tracer.cli.main:main",
        ("opentelemetry_instrumentor", "tracer"): "tracer.instrumentor:TracerInstrumentor",
        ("pytest11", "tracer"): "tracer.pytest_plugin",
    }
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(f'{name} = "{value}"' in text for (_, name), value in found.items())
