"""LangChain's own standard tests, for the bare model of langchain-openai, for the same one traced, and for ours.

Whatever the bare one passes, the others pass: their outcomes are compared at the end. Tests that make a model of their own are traced
with the rest where every run is.
"""

# LangChain is not among the dependencies: where it is missing, and where its types say less than its objects hold, no checks.
# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportOptionalSubscript=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportTypedDictNotRequiredAccess=false

from __future__ import annotations

import gc

import pytest

pytest.importorskip("langchain_tests", reason="needs langchain-tests (pip install langchain-core langchain-openai langchain-tests)")
pytest.importorskip("langchain_openai", reason="needs langchain-openai")

import httpx
import openai
from chat_loopback import Loopback
from chat_outcomes import OUTCOMES
from langchain_openai import ChatOpenAI as BareChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

import tracer
from tests.support import record_into, runtime_put_back
from tracer.call import LLM, Call
from tracer.capture.langchain_joining import trace_every_run
from tracer.chat.langchain_model import LangChainChatModel
from tracer.reading import read_call
from tracer.runtime import runtime
from tracer.scope import EMPTY, find_through, leave

pytestmark = [
    # LangChain's and its test tools' own warnings are not ours to make errors of.
    pytest.mark.filterwarnings("default"),
]

SERVER = Loopback()
PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no network: the tests fetch their pictures and documents."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setattr(httpx, "get", lambda *args, **kwargs: httpx.Response(200, content=PICTURE))


@pytest.fixture(scope="module", autouse=True)
def _stopped():
    yield
    SERVER.stop()
    # Connections that LangChain leaves open are told of here, and not in the middle of a later test.
    gc.collect()


class _Unit(ChatModelUnitTests):
    @property
    def chat_model_params(self) -> dict:
        return {"model": "gpt-4o-mini"}

    @property
    def init_from_env_params(self) -> tuple[dict, dict, dict]:
        return {"OPENAI_API_KEY": "sk-env"}, {"model": "gpt-4o-mini"}, {}


class TestBareUnit(_Unit):
    @property
    def chat_model_class(self) -> type:
        return BareChatOpenAI

    @pytest.mark.xfail(reason="compares with a snapshot in langchain-openai's own repository", strict=True)
    def test_serdes(self, model, snapshot) -> None:
        super().test_serdes(model, snapshot)


@pytest.fixture
def recorded(request):
    """Recording is on. Every request that the server gets is one record, or the attempt of one; none is open or went wrong."""
    calls: list[Call] = []
    before = len(SERVER.requests)
    with runtime_put_back():
        record_into(calls)
        yield calls
        assert runtime.open_calls == {}
        assert runtime.faults == {}
    find_through(None)
    leave(EMPTY)
    models = [read_call(call) for call in calls if call.kind == LLM]
    # One test makes a second model by hand, which is not wrapped.
    unseen = request.node.name == "test_stop_sequence" and not issubclass(request.cls, _EveryRun)
    assert len(models) == len(SERVER.requests) - before - unseen
    assert all(record.generation is not None and record.generation.usage is not None for record in models)


class _Wrapped:
    """The model that the tests are given is a wrapped one."""

    @property
    def chat_model_class(self) -> type:
        return BareChatOpenAI

    @pytest.fixture
    def model(self, request, recorded):
        params = {**self.standard_chat_model_params, **self.chat_model_params, **(getattr(request, "param", None) or {})}
        model = tracer.wrap(self.chat_model_class(**params))
        assert type(model) is BareChatOpenAI
        return model


class _EveryRun(_Wrapped):
    """The model is as it is, and every run of LangChain is recorded."""

    @pytest.fixture(autouse=True)
    def _every_run(self, recorded):
        trace_every_run()

    @pytest.fixture
    def model(self, request):
        params = {**self.standard_chat_model_params, **self.chat_model_params, **(getattr(request, "param", None) or {})}
        return self.chat_model_class(**params)


class TestWrappedUnit(_Wrapped, TestBareUnit):
    pass


class TestEveryRunUnit(_EveryRun, TestBareUnit):
    pass


class TestOursUnit(_Unit):
    @property
    def chat_model_class(self) -> type:
        return LangChainChatModel


class _Integration(ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict:
        return {"model": "gpt-4o-mini", "base_url": SERVER.base_url, "api_key": "sk-test", "stream_usage": True}

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "gpt-4o"


class TestBareIntegration(_Integration):
    @property
    def chat_model_params(self) -> dict:
        # langchain-openai keeps one async HTTP client for all event loops, and every test has a loop of its own.
        return {**super().chat_model_params, "http_async_client": openai.DefaultAsyncHttpxClient()}

    @property
    def chat_model_class(self) -> type:
        return BareChatOpenAI


class TestWrappedIntegration(_Wrapped, TestBareIntegration):
    pass


class TestEveryRunIntegration(_EveryRun, TestBareIntegration):
    pass


class TestOursIntegration(_Integration):
    @property
    def chat_model_class(self) -> type:
        return LangChainChatModel


@pytest.mark.parametrize("suite", ["Unit", "Integration"])
@pytest.mark.parametrize("kind", ["Wrapped", "EveryRun", "Ours"])
def test_it_passes_what_the_bare_model_passes(kind: str, suite: str) -> None:
    bare, other = OUTCOMES.get(f"TestBare{suite}"), OUTCOMES.get(f"Test{kind}{suite}")
    if not bare or not other:
        pytest.skip("needs both suites to be run")
    passed = {name for name, outcome in bare.items() if outcome == "passed"}
    assert len(passed) > 5
    if kind == "Ours":
        assert passed <= {name for name, outcome in other.items() if outcome == "passed"}
    else:
        assert other == bare
