"""OTLP logs: one event for each model call, to the endpoint and by the protocol of the settings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from tracer.export.content import CONTENT_NAMES
from tracer.export.endpoint import LOGS, endpoint_of, without_secrets
from tracer.export.events import LogEvent, details_event_of, evaluation_event_of
from tracer.export.notices import Notices
from tracer.export.otlp import SPLIT, wire_of
from tracer.export.otlp_encoder import OwnEncoder, framed
from tracer.export.otlp_log_encoding import encoded_event, encoded_pair
from tracer.export.shorten import shorten
from tracer.export.transport import Item, Limits, Packed, Verdict
from tracer.export.values import json_bytes
from tracer.reading.record import Record
from tracer.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from tracer.call import Call

NAME = "otlp-logs"
NO_EVENT = "no event: not a model call"

_EVENT = "event"
_FRAME = 4096


class OtlpLogTransport:
    """Events of model calls to an OTLP endpoint. Other records have none, and are counted so. Making one imports and opens nothing."""

    name = NAME

    def __init__(self, settings: Settings) -> None:
        sending = settings_of_logs(settings)
        endpoint = endpoint_of(sending, LOGS)
        self.place = f"OTLP endpoint {without_secrets(endpoint)}"
        self.timeout = sending.otlp_timeout
        self._settings = settings
        self._notices = Notices()
        self._frame = OwnEncoder(settings).frame
        self._wire = wire_of(sending, endpoint, LOGS)

    @property
    def frame(self) -> bytes:
        """Resource and instrumentation scope."""
        return self._frame

    def pack(self, records: Sequence[Record]) -> Packed:
        """One item for each model call."""
        packed = Packed()
        for record in records:
            try:
                event = details_event_of(record, self._settings)
                if event is None:
                    packed.delivery.drop(NO_EVENT, 1)
                else:
                    packed.items.append(item_of(event))
            except Exception as error:
                packed.delivery.drop("unreadable", 1)
                self._notices.lost("unreadable", 1, f"a record could not be written as an event ({error!r})")
        return packed

    def open(self, _calls: Sequence[Call], /) -> list[Item]:
        """There are no events of calls that are not over."""
        return []

    def limits(self, _timeout: float, /) -> Limits:
        """Nothing to ask."""
        return Limits(self._settings.otlp_batch, SPLIT - _FRAME)

    def send(self, items: Sequence[Item], timeout: float) -> Verdict:
        """Send the items in one request."""
        return self._wire.send(framed(items[0].frame or self._frame, [item.parts[_EVENT] for item in items]), timeout)

    def shorten(self, item: Item, limit: int) -> dict[str, bytes] | None:
        """Cut inside the content of the item's event, or leave it out."""
        from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

        logs = ScopeLogs.FromString(item.parts[_EVENT])
        attributes = logs.log_records[0].attributes
        contents = {pair.key: json_bytes(_plain(pair.value)) for pair in attributes if pair.key in CONTENT_NAMES}
        if not contents:
            return None
        kept = [pair for pair in attributes if pair.key not in contents]
        del attributes[:]
        attributes.extend(kept)
        # Written as JSON, a structure is shorter than as OTLP; half of the room is enough for both.
        room = max(limit - item.overhead - logs.ByteSize(), 0) // 2
        shortened = shorten(contents, room)
        marks: dict[str, object] = {name: orjson.loads(text) for name, text in shortened.sections.items()}
        marks["tracer.content.truncated"] = True
        record = logs.log_records[0].SerializeToString() + b"".join(encoded_pair(name, value) for name, value in marks.items())
        logs.log_records[0].ParseFromString(record)
        return {_EVENT: logs.SerializeToString()}

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()


class OtlpEvaluationTransport(OtlpLogTransport):
    """What somebody thinks of calls (`tracer.feedback`) as evaluation events, to the same endpoint."""

    name = f"{NAME} feedback"

    def pack(self, records: Sequence[Any]) -> Packed:
        """One item for each judgement."""
        packed = Packed()
        for evaluation in records:
            try:
                packed.items.append(item_of(evaluation_event_of(evaluation)))
            except Exception as error:
                packed.delivery.drop("unreadable", 1)
                self._notices.lost("unreadable", 1, f"feedback could not be written as an event ({error!r})")
        return packed


def item_of(event: LogEvent) -> Item:
    """An event as what waits and is sent."""
    return Item({_EVENT: encoded_event(event, time.time_ns())})


def settings_of_logs(settings: Settings) -> Settings:
    """The settings with those for logs where those for traces are, since what sends is the same."""
    return settings.replaced(
        otlp_traces_endpoint=settings.otlp_logs_endpoint,
        otlp_protocol=settings.otlp_logs_protocol,
        otlp_headers=settings.otlp_logs_headers,
        otlp_timeout=settings.otlp_logs_timeout,
        otlp_compression=settings.otlp_logs_compression,
        otlp_insecure=settings.otlp_logs_insecure,
        otlp_certificate=settings.otlp_logs_certificate,
        otlp_client_key=settings.otlp_logs_client_key,
        otlp_client_certificate=settings.otlp_logs_client_certificate,
    )


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)
