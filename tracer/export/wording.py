"""How figures and contents are put for people, in the console destination and in the commands."""

from __future__ import annotations

from collections.abc import Mapping

from tracer.export.values import json_text

_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def duration(seconds: float) -> str:
    """A time in three figures.

    >>> duration(0.00002), duration(0.0123), duration(1.5), duration(75)
    ('20 µs', '12.3 ms', '1.50 s', '1 min 15 s')
    """
    if seconds < 0.0000995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms" if milliseconds >= 99.95 else f"{milliseconds:.1f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def tokens(input_tokens: int | None, output_tokens: int | None) -> str:
    """Tokens in and out; a side that was not reported is a question mark, nothing at all an empty text.

    >>> tokens(1204, 88), tokens(4, None), tokens(None, None)
    ('1,204→88 tokens', '4 tokens', '')
    """
    if output_tokens is None:
        return "" if input_tokens is None else f"{input_tokens:,} tokens"
    asked = "?" if input_tokens is None else f"{input_tokens:,}"
    return f"{asked}→{output_tokens:,} tokens"


def money(total: float, currency: str | None = "USD") -> str:
    """An amount with at least two figures that are not zero.

    >>> money(0.0001234), money(0.00000008), money(1.5), money(0.25, "EUR")
    ('$0.00012', '$0.00000008', '$1.50', '0.25 EUR')
    """
    places = 2
    while places < 12 and 0 < abs(total) < 10 ** (1 - places):
        places += 1
    amount = f"{total:,.{places}f}"
    if places > 2:
        amount = amount.rstrip("0")
    return f"${amount}" if currency in ("USD", None) else f"{amount} {currency}"


def printable(text: str) -> str:
    """The text without control characters: what a model or a caller said must not steer the terminal."""
    return text.translate(_CONTROLS)


def one_line(text: str, length: int) -> str:
    """The text on one line of at most `length` characters.

    >>> one_line("first" + chr(10) + "second line", 12)
    'first secon…'
    """
    line = printable(" ".join(text[: length * 4].split()))
    return line if len(line) <= length and len(text) <= length * 4 else line[: length - 1] + "…"


def part_text(part: Mapping[str, object]) -> str:
    """A part of a message (the conventions' JSON shape) as text.

    >>> part_text({"type": "tool_call", "name": "get_weather", "arguments": {"city": "Paris"}})
    'get_weather({"city":"Paris"})'
    """
    kind = part.get("type")
    content = part.get("content")
    if kind == "text" and isinstance(content, str):
        return content
    if kind == "reasoning":
        return f"[reasoning] {content}"
    if kind == "tool_call":
        return f"{part.get('name')}({_json(part.get('arguments'))})"
    if kind == "tool_call_response":
        return _json(part.get("response"))
    if kind == "uri":
        return f"[{part.get('modality') or 'file'} {part.get('uri')}]"
    return f"[{part.get('modality') or kind}]"


def _json(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)
