"""`CapturedCall`: one call as tests want to ask about it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tracer.call import EMBEDDING, LLM, Call, Failure
from tracer.cost import Prices
from tracer.export.attributes import error_type_of, model_of
from tracer.export.readable import readable_spans
from tracer.export.span import AttributeValue
from tracer.export.spans import span_name, spans_of
from tracer.export.wording import part_text
from tracer.reading import read_call
from tracer.reading.generation import Cost, Generation, Message, Part, Usage
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

OPEN = "open"


@dataclass(slots=True)
class CapturedMessage:
    """A message: its role, and its parts in the JSON shape of the GenAI conventions."""

    role: str
    parts: list[Part]
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """What was said, without reasoning and tool calls."""
        return "".join(str(part.get("content")) for part in self.parts if part.get("type") == "text")

    @property
    def tool_calls(self) -> list[Part]:
        """The tools asked for: `name`, `arguments` (parsed) and `id`."""
        return [part for part in self.parts if part.get("type") == "tool_call"]


class CapturedCall:
    """One call: a model call, another request to a provider, or a `tracer.trace`. What is not known is None or empty.

    It is read when it is first asked, and stays as it was. A call that goes on (a stream that was not read to its end) has the outcome
    `open`, and of what was asked and answered only what was known at its start.
    """

    def __init__(self, call: Call, settings: Settings, relatives: Callable[[], list[CapturedCall]]) -> None:
        self._call = call
        self._settings = settings
        self._relatives = relatives

    @property
    def is_open(self) -> bool:
        """It has not ended yet."""
        return not self._call.ending

    @property
    def outcome(self) -> str:
        """completed, failed, stopped, cancelled, abandoned, unfinished; or open."""
        return OPEN if self.is_open else self._record.outcome

    @property
    def kind(self) -> str:
        """llm, embedding, chain, tool, retriever, agent or request."""
        return self._call.kind

    @property
    def is_model_call(self) -> bool:
        """A model was asked."""
        return self._call.kind in (LLM, EMBEDDING)

    @property
    def name(self) -> str:
        """The name of its span, such as `chat gpt-4o-mini`."""
        return span_name(self._record)

    @property
    def model(self) -> str | None:
        """The model asked for."""
        return model_of(self._record)

    @property
    def response_model(self) -> str | None:
        """The model that answered."""
        return self._generation.response_model

    @property
    def provider(self) -> str | None:
        """Who was asked, as `gen_ai.provider.name` has it."""
        return self._generation.provider if self._record.generation else None

    @property
    def parameters(self) -> dict[str, object]:
        """`temperature`, `max_tokens`, `top_p` and others, by their names in the conventions (`gen_ai.request.…`)."""
        return self._generation.parameters

    @property
    def streaming(self) -> bool:
        """The answer was asked for as a stream."""
        return self._call.streaming

    @property
    def request(self) -> dict[str, object]:
        """The request body as it was sent, parsed."""
        return self._generation.request or {}

    @property
    def answer(self) -> dict[str, object]:
        """The answer body, parsed; of a stream, what the unstreamed answer would have been."""
        return self._generation.answer or {}

    @property
    def messages(self) -> list[CapturedMessage]:
        """What was asked, instructions first (with the role `system`)."""
        system = self._generation.system_instructions
        first = [CapturedMessage("system", system)] if system else []
        return first + [_message(message) for message in self._generation.input_messages]

    @property
    def output_messages(self) -> list[CapturedMessage]:
        """What was answered: one message for each choice."""
        return [_message(message) for message in self._generation.output_messages]

    @property
    def text(self) -> str:
        """The text of the answer (of its first choice)."""
        messages = self.output_messages
        return messages[0].text if messages else ""

    @property
    def tool_calls(self) -> list[Part]:
        """The tools that the answer asks for."""
        return [part for message in self.output_messages for part in message.tool_calls]

    @property
    def finish_reasons(self) -> list[str]:
        """One for each choice."""
        return self._generation.finish_reasons

    @property
    def input(self) -> object:
        """What a `tracer.trace` was given."""
        return json.loads(self._call.input_json) if self._call.input_json else None

    @property
    def output(self) -> object:
        """What a `tracer.trace` came to."""
        return json.loads(self._call.output_json) if self._call.output_json else None

    @property
    def usage(self) -> Usage | None:
        """Tokens as the provider reported them; None where it did not."""
        return self._generation.usage

    @cached_property
    def cost(self) -> Cost | None:
        """What it cost (`cost.total`), by the bundled prices or those of `TRACER_PRICES`."""
        generation = self._record.generation
        return Prices(self._settings.prices).cost_of(generation) if generation is not None else None

    @property
    def error(self) -> Failure | None:
        """Why it failed: `type`, `message`, and the provider's `code` and the HTTP `status` where there were any."""
        error_type = error_type_of(self._record)
        if error_type is None:
            return None
        return self._call.failure or Failure(error_type, self._generation.error_message or "", self._generation.error_code)

    @property
    def attempts(self) -> int:
        """HTTP requests that were made for it."""
        return len(self._call.attempts)

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it is open."""
        return max(self._call.ended - self._call.started, 0) / 1e9

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, inherited ones included."""
        return self._call.tags

    @property
    def metadata(self) -> dict[str, object]:
        """Its metadata, inherited ones included."""
        return self._call.metadata or {}

    @property
    def session(self) -> str | None:
        """The session of `tracer.context`."""
        return self._call.session

    @property
    def user(self) -> str | None:
        """The user of `tracer.context`."""
        return self._call.user

    @property
    def run_id(self) -> uuid.UUID:
        """The run id, as `tracer.current().id` gives it."""
        return uuid.UUID(int=self._call.run_id)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._call.trace_id:032x}"

    @property
    def parent(self) -> CapturedCall | None:
        """The captured call that it was made in."""
        above = self._call.parent_run_id
        return next((call for call in self._relatives() if call._call.run_id == above), None)

    @property
    def children(self) -> list[CapturedCall]:
        """The captured calls that were made directly in it, by start."""
        return [call for call in self._relatives() if call._call.parent_run_id == self._call.run_id]

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """The attributes of its span (`docs/spans.md`)."""
        return spans_of(self._record, self._settings)[0].attributes

    @property
    def spans(self) -> list[ReadableSpan]:
        """Its span, and one for each attempt where there were several, as objects of the OpenTelemetry SDK."""
        readable = readable_spans(self._settings)
        return [readable(span) for span in spans_of(self._record, self._settings)]

    def __repr__(self) -> str:
        return f"<{self.name}, {self.outcome}>"

    @property
    def _record(self) -> Record:
        return Record(self._call, OPEN) if self.is_open else self._read

    @cached_property
    def _read(self) -> Record:
        return read_call(self._call)

    @property
    def _generation(self) -> Generation:
        return self._record.generation or Generation(request_model=self._call.model)


def _message(message: Message) -> CapturedMessage:
    return CapturedMessage(message.role, message.parts, message.finish_reason)


def shown(message: CapturedMessage) -> str:
    """A message in one piece of text, tool calls included."""
    return f"{message.role}: {' '.join(part_text(part) for part in message.parts)}"
