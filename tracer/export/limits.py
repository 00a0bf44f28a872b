"""Span limits of OpenTelemetry's variables, which hold only where they are set: the SDK's own default of 128 would lose attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from tracer.export import names
from tracer.export.content import CONTENT_NAMES
from tracer.export.dialects.copies import copies_in, json_in
from tracer.export.shorten import shorten
from tracer.export.span import AttributeValue, SpanData
from tracer.settings import Settings


@dataclass(slots=True)
class Bounded:
    """Attributes within a limit, and how many there were besides."""

    kept: dict[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """Counts of attributes and events, and characters of a text; None is no limit."""

    attributes: int | None = None
    event_attributes: int | None = None
    events: int | None = None
    length: int | None = None

    @property
    def any(self) -> bool:
        """There is something to limit."""
        return self != SpanLimits()

    def attributes_of(self, span: SpanData) -> Bounded:
        """The first attributes of a span, their texts within the length. Content stays valid JSON, or is dropped where it cannot be."""
        bounded = Bounded(dict(span.attributes))
        if self.length is not None:
            _shorten_contents(bounded, self.length)
        return self._within(bounded, self.attributes)

    def attributes_of_event(self, attributes: Mapping[str, AttributeValue]) -> Bounded:
        """The same for an event."""
        return self._within(Bounded(dict(attributes)), self.event_attributes)

    def _within(self, bounded: Bounded, count: int | None) -> Bounded:
        entries = list(bounded.kept.items())[:count]
        dropped = bounded.dropped + len(bounded.kept) - len(entries)
        if self.length is None:
            return Bounded(dict(entries), dropped)
        whole = {names.CONTENT_SHA256, *_contents_in(bounded.kept), *json_in(bounded.kept)}
        return Bounded({name: value if name in whole else self._cut(value) for name, value in entries}, dropped)

    def _cut(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return value[: self.length]
        if isinstance(value, list | tuple) and value and isinstance(value[0], str):
            return [str(item)[: self.length] for item in value]
        return value


def span_limits_of(settings: Settings) -> SpanLimits:
    """Those of the settings: the limit for spans or events before the general one.

    >>> span_limits_of(Settings(attribute_count_limit=9, event_attribute_count_limit=2))
    SpanLimits(attributes=9, event_attributes=2, events=None, length=None)
    """
    general = settings.attribute_count_limit
    of_spans, of_events = settings.span_attribute_count_limit, settings.event_attribute_count_limit
    return SpanLimits(
        general if of_spans is None else of_spans,
        general if of_events is None else of_events,
        settings.span_event_count_limit,
        settings.attribute_length_limit,
    )


def _shorten_contents(bounded: Bounded, length: int) -> None:
    """Bring each content attribute to the length, in bytes of UTF-8, and say that something is missing, where nothing said so before."""
    attributes = bounded.kept
    contents = {name: value for name in _contents_in(attributes) if isinstance(value := attributes[name], str)}
    copies = {name: value for name in json_in(attributes) if isinstance(value := attributes[name], str)}
    cut = False
    for name, text in {**copies, **contents}.items():
        if len(text) <= length:
            continue
        cut = cut or name in contents
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
