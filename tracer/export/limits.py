"""What backends take: span limits of OpenTelemetry's variables, and the limits of backends by name (TRACER_LIMITS).

Both hold only where they are set: the SDK's own default of 128 would lose attributes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from tracer.export import names
from tracer.export.content import CONTENT_NAMES
from tracer.export.dialects.copies import copies_in, json_in
from tracer.export.shorten import shorten
from tracer.export.span import AttributeValue, SpanData
from tracer.export.texts import shorten_text
from tracer.settings import Settings


@dataclass(frozen=True, slots=True)
class BackendLimits:
    """What one backend takes with its defaults, in bytes; None is no limit."""

    text: int | None = None
    """One text attribute. What is longer, the backend cuts, which leaves JSON that nobody can read."""
    request: int | None = None
    """One request; a record that alone is larger is shortened before it is sent."""
    trace: int | None = None
    """All spans of a trace together. What comes beyond, the backend drops without saying so."""


NAMED: Mapping[str, BackendLimits] = {
    # `distributor.max_attribute_bytes`, gRPC's 4 MiB for a message, `overrides.defaults.global.max_bytes_per_trace`: Tempo 2.9 and 3.0.
    "tempo": BackendLimits(text=2048, request=4 * 1024 * 1024, trace=5_000_000),
    # gRPC's 4 MiB; Jaeger has no limit for attributes or traces.
    "jaeger": BackendLimits(request=4 * 1024 * 1024),
    # `size_limit_bytes` of its `/info`.
    "langsmith": BackendLimits(request=20 * 1024 * 1024),
    "none": BackendLimits(),
}


def backend_limits_of(settings: Settings, destination: str) -> BackendLimits:
    """The limits that TRACER_LIMITS names for a destination (`otlp`, `langsmith`).

    >>> backend_limits_of(Settings(limits={"otlp": "jaeger"}), "otlp")
    BackendLimits(text=None, request=4194304, trace=None)
    """
    return NAMED[settings.limits.get(destination, "none")]


class TraceSizes:
    """Adds up the bytes of each trace, and says when contents have to give way so that its other spans are still taken."""

    MOST_TRACES = 4096
    SHARE = 0.8
    """Of the limit, for spans with contents; the rest is for those without."""

    def __init__(self, limit: int | None) -> None:
        self._most = None if limit is None else int(limit * self.SHARE)
        self._sizes: OrderedDict[int, int] = OrderedDict()

    def has_room(self, trace_id: int, size: int) -> bool:
        """Take `size` bytes into account if they fit; they are taken as sent then."""
        if self._most is None:
            return True
        total = self._sizes.pop(trace_id, 0)
        fits = total + size <= self._most
        self._sizes[trace_id] = total + size if fits else total
        if len(self._sizes) > self.MOST_TRACES:
            self._sizes.popitem(last=False)
        return fits


@dataclass(slots=True)
class Bounded:
    """Attributes within a limit, and how many there were besides."""

    kept: dict[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """Counts of attributes and events, characters of a text, and bytes of a text; None is no limit."""

    attributes: int | None = None
    event_attributes: int | None = None
    events: int | None = None
    length: int | None = None
    text_bytes: int | None = None
    """What the backend itself would cut at: texts keep head and tail."""

    @property
    def any(self) -> bool:
        """There is something to limit."""
        return self != SpanLimits()

    def attributes_of(self, span: SpanData) -> Bounded:
        """The first attributes of a span, their texts within the length. Content stays valid JSON, or is dropped where it cannot be."""
        bounded = Bounded(dict(span.attributes))
        if self.length is not None:
            _shorten_contents(bounded, self.length, len)
        if self.text_bytes is not None:
            _shorten_contents(bounded, self.text_bytes, _bytes_of)
        return self._within(bounded, self.attributes)

    def attributes_of_event(self, attributes: Mapping[str, AttributeValue]) -> Bounded:
        """The same for an event."""
        return self._within(Bounded(dict(attributes)), self.event_attributes)

    def _within(self, bounded: Bounded, count: int | None) -> Bounded:
        entries = list(bounded.kept.items())[:count]
        dropped = bounded.dropped + len(bounded.kept) - len(entries)
        if self.length is None and self.text_bytes is None:
            return Bounded(dict(entries), dropped)
        whole = {names.CONTENT_SHA256, *_contents_in(bounded.kept), *json_in(bounded.kept)}
        return Bounded({name: value if name in whole else self._cut(value) for name, value in entries}, dropped)

    def _cut(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._cut_text(value)
        if isinstance(value, list | tuple) and value and isinstance(value[0], str):
            return [self._cut_text(str(item)) for item in value]
        return value

    def _cut_text(self, text: str) -> str:
        text = text if self.length is None else text[: self.length]
        return text if self.text_bytes is None else shorten_text(text, self.text_bytes)


def span_limits_of(settings: Settings) -> SpanLimits:
    """Those of the settings: the limit for spans or events before the general one.

    >>> span_limits_of(Settings(attribute_count_limit=9, event_attribute_count_limit=2))
    SpanLimits(attributes=9, event_attributes=2, events=None, length=None, text_bytes=None)
    """
    general = settings.attribute_count_limit
    of_spans, of_events = settings.span_attribute_count_limit, settings.event_attribute_count_limit
    return SpanLimits(
        general if of_spans is None else of_spans,
        general if of_events is None else of_events,
        settings.span_event_count_limit,
        settings.attribute_length_limit,
        # Who sets a length knows what the backend was told to take.
        backend_limits_of(settings, "otlp").text if settings.attribute_length_limit is None else None,
    )


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _shorten_contents(bounded: Bounded, length: int, size_of: Callable[[str], int]) -> None:
    """Bring content attributes that are longer to the length, in bytes of UTF-8, and say that something is missing, where nothing did."""
    attributes = bounded.kept
    contents = {name: value for name in _contents_in(attributes) if isinstance(value := attributes[name], str)}
    copies = {name: value for name in json_in(attributes) if isinstance(value := attributes[name], str)}
    cut = False
    for name, text in {**copies, **contents}.items():
        if size_of(text) <= length:
            continue
        cut = cut or name in contents
        if name == names.RETRIEVAL_QUERY:  # A text, not JSON.
            attributes[name] = shorten_text(text, length)
            continue
        shortened = shorten({name: text.encode("utf-8", "replace")}, length).sections.get(name)
        if shortened is None:
            del attributes[name]
            bounded.dropped += 1
        else:
            attributes[name] = shortened.decode()
    if cut and names.CONTENT_TRUNCATED not in attributes:
        whole = "".join(contents.values()).encode("utf-8", "replace")
        # In front, where a limit of their number does not reach.
        bounded.kept = {
            names.CONTENT_TRUNCATED: True,
            names.CONTENT_BYTES: len(whole),
            names.CONTENT_SHA256: sha256(whole).hexdigest(),
            **attributes,
        }


def _contents_in(attributes: Mapping[str, AttributeValue]) -> list[str]:
    """Names of content that is JSON; a dialect's plain text is none."""
    copies = copies_in(attributes)
    return [name for name in attributes if name in CONTENT_NAMES and name not in copies]
