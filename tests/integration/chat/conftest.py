"""The loopback server, and chat models over it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Generator, Iterator

import openai
import pytest
from chat_loopback import Loopback
from chat_outcomes import OUTCOMES

from tracer.chat import ChatModel


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how it came out: passed, failed, skipped, or as expected to fail."""
    report = yield
    kind = getattr(item, "cls", None)
    if kind is not None and (report.when == "call" or report.outcome != "passed"):
        OUTCOMES.setdefault(kind.__name__, {})[item.name] = "xfailed" if hasattr(report, "wasxfail") else report.outcome
    return report


@pytest.fixture
def server() -> Iterator[Loopback]:
    made = Loopback()
    yield made
    made.stop()


@pytest.fixture
def client(server: Loopback) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=server.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def chat(client: openai.OpenAI) -> ChatModel:
    return ChatModel(client, model="gpt-4o-mini", temperature=0)


@pytest.fixture
async def async_chat(server: Loopback) -> AsyncIterator[ChatModel]:
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=server.base_url, max_retries=0) as made:
        yield ChatModel(made, model="gpt-4o-mini", temperature=0)
    await asyncio.sleep(0)
    gc.collect()
