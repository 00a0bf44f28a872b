"""Texts that every destination can carry: well-formed and of bounded size."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """The text without lone surrogates, which neither UTF-8 nor protobuf can carry. Surrogate pairs become their character.

    >>> well_formed("a\\ud83d\\ude00"), well_formed("a\\ud83d")
    ('a😀', 'a\ufffd')
    """
    if type(text) is not str:
        text = str.__str__(text)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shorten_text(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8: head and tail, and between them how many bytes were left out.

    >>> shorten_text("a" * 100, 40)
    'aaaaa … [90 bytes left out] … aaaaa'
    """
    if len(text) * 4 <= limit or (len(text) <= limit and text.isascii()):
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    room = limit - len(gap(len(data)).encode())
    if room <= 0:
        return data[: max(limit, 0)].decode("utf-8", "ignore")
    # A character that the cut would split goes with what is left out.
    head = data[: room - room // 2].decode("utf-8", "ignore")
    tail = data[len(data) - room // 2 :].decode("utf-8", "ignore")
    return head + gap(len(data) - len(head.encode()) - len(tail.encode())) + tail


def gap(count: int) -> str:
    """What stands in place of `count` bytes of a text."""
    return f" … [{count} bytes left out] … "
