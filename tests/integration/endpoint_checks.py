"""What has to hold for every method of an SDK's resources: bare and wrapped do the same, and there is one record of the right name."""

from __future__ import annotations

import inspect
import json
from typing import Any

import tracer
from tests.integration.capture_support import Calls
from tests.integration.endpoint_support import PRIVATE, AnyServer, Method, Sent, arguments_of
from tracer.export.langsmith.run import run_of
from tracer.export.spans import spans_of
from tracer.reading import read_call
from tracer.settings import Settings

OPERATIONS = {
    "POST /chat/completions": "chat",
    "POST /responses": "chat",
    "POST /responses/compact": "chat",
    "POST /v1/messages": "chat",
    "POST /completions": "text_completion",
    "POST /v1/complete": "text_completion",
    "POST /embeddings": "embeddings",
    "POST /images/generations": "generate_content",
    "POST /images/edits": "generate_content",
    "POST /images/variations": "generate_content",
    "POST /audio/speech": "generate_content",
    "POST /audio/transcriptions": "generate_content",
    "POST /audio/translations": "generate_content",
    "POST /videos": "generate_content",
    "POST /videos/edits": "generate_content",
    "POST /videos/extensions": "generate_content",
    "POST /videos/{id}/remix": "generate_content",
    "POST /moderations": "moderation",
    "POST /decisions": "decision",
    "POST /vector_stores/{id}/search": "retrieval",
    "GET /responses/{id}": "fetch_response",
    "GET /chat/completions/{id}": "fetch_response",
    "GET /threads/{id}/runs/{id}": "fetch_response",
    "POST /threads/runs": "invoke_agent",
    "POST /threads/{id}/runs": "invoke_agent",
    "POST /threads/{id}/runs/{id}/submit_tool_outputs": "invoke_agent",
    "POST /assistants": "create_agent",
    "POST /agents": "create_agent",
    "POST /v1/agents": "create_agent",
}
"""Every other endpoint has none."""

PLACES = (
    "url.path",
    "gen_ai.request.model",
    "gen_ai.conversation.id",
    "tracer.response.id",
    "tracer.response.status",
    "tracer.response.model",
    "tracer.response.object",
    "tracer.response.purpose",
    "tracer.response.expires_at",
    "tracer.response.seconds",
    "tracer.response.size",
)
"""Of endpoints without an operation, attributes that may hold a text of the request or the answer, beside allow-listed ones."""

ASKED = ("tracer.request.input_file_id", "tracer.request.language", "tracer.request.mime_type", "tracer.request.training_file")


async def shown(result: Any) -> Any:
    """A result as something that can be compared."""
    if hasattr(result, "model_dump"):
        return type(result), result.model_dump(warnings=False)
    if hasattr(result, "read"):
        read = result.read()
        return type(result), await read if inspect.isawaitable(read) else read
    if hasattr(result, "__aiter__"):
        return type(result), [item async for item in result]
    iterates = hasattr(result, "__iter__") and not isinstance(result, str | bytes)
    return type(result), [*result] if iterates else result


async def outcome(function: Any, arguments: tuple[list[Any], dict[str, Any]]) -> Any:
    positional, named = arguments
    try:
        result = function(*positional, **named)
        return await shown(await result if inspect.isawaitable(result) else result)
    except Exception as error:
        return type(error), str(error), type(error.__cause__), type(error.__context__)


async def compared(server: AnyServer, client: Any, method: Method, answer: tuple[str, bytes], status: int = 200) -> tuple[Any, list[Sent]]:
    """The outcome and the requests of the wrapped client, which are those of the bare one."""
    server.lay(*answer, status)
    function = method.of(client)
    arguments = arguments_of(function)
    bare = await outcome(function, arguments)
    sent = server.taken()
    wrapped = await outcome(method.of(tracer.wrap(client)), arguments)
    assert wrapped == bare
    again = server.taken()
    assert again == sent
    return bare, again


def check_record(calls: Calls, method: Method, sent: list[Sent]) -> dict[str, Any]:
    """One record, with the operation and the name that the endpoint has, and no text of the body in it that is not on a list.

    Gives the attributes of its span.
    """
    assert len(sent) == 1
    record = read_call(calls.only())
    span = spans_of(record, Settings())[0]
    operation = OPERATIONS.get(method.route)
    assert record.generation is not None
    assert record.generation.problems == []
    assert span.attributes.get("gen_ai.operation.name") == operation
    if operation is None:
        assert span.name == method.route
        assert span.attributes["url.template"] == method.template
        assert span.attributes["http.request.method"] == method.verb
        told = {name for name, value in span.attributes.items() if PRIVATE in str(value)}
        assert {name for name in told if not name.startswith("tracer.request.")} <= set(PLACES)
        assert {name for name in told if name.startswith("tracer.request.")} <= set(ASKED)
        run = run_of(record, Settings())
        asked, answered = json.loads(run.inputs or b"{}"), json.loads(run.outputs or b"{}")
        assert {name for name, value in asked.items() if PRIVATE in str(value)} <= {name.rpartition(".")[2] for name in (*ASKED, *PLACES)}
        assert {name for name, value in answered.items() if PRIVATE in str(value)} <= {name.rpartition(".")[2] for name in PLACES}
    else:
        assert span.name.split(" ")[0] == operation
        if operation != "create_agent":
            assert PRIVATE not in span.name.replace(f"model-{PRIVATE}-1", "")
    return dict(span.attributes)
