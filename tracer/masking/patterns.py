"""The built-in patterns. Each has hints: texts without any of them are not searched, so a call without a secret costs next to nothing.

Most secrets are one long word, which people do not write: `parted` leaves of a record the little in which those can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PRIVATE_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
# Prefixes that their issuers gave their keys so that such searches find them.
_API_KEYS = (
    r"sk-[A-Za-z0-9_-]{16,}",
    r"(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{30,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abposr]-[A-Za-z0-9-]{10,}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"hf_[A-Za-z0-9]{30,}",
    r"lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",
    r"gsk_[A-Za-z0-9]{20,}",
    r"xai-[A-Za-z0-9]{20,}",
    r"pplx-[A-Za-z0-9]{30,}",
    r"r8_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{30,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
)
_API_KEY_HINTS = (
    *("sk-", "sk_", "pk_", "rk_", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AIza", "hf_"),
    *("lsv2_", "gsk_", "xai-", "pplx-", "r8_", "npm_", "pypi-", "SG."),
)
_LEAST_CARD = 13
_NEVER = rb"(?!)"


LEAST_WORD = 14
"""Characters that a secret which is one word has at the least."""

LEAST_FILE = 4096
"""Characters from which a run of nothing but the letters of Base64 is taken for a file, in which nothing is searched."""

# Whatever may stand in a secret is part of its word, a backslash too: in JSON it may hide a character. Bytes beyond ASCII part words.
_SHAPE = bytes(ord("w" if chr(byte) in "_.~+/=-\\" or (byte < 128 and chr(byte).isalnum()) else " ") for byte in range(256))
_LONG = b"w" * LEAST_WORD
_NEAR = 32
# Blanks as JSON has them: they and the characters of their escapes.
_BLANKS = bytes(byte for byte in range(256) if byte <= 32 or byte >= 128) + b"\\nrtfbu0123456789abcdefABCDEF"
# With more words than one for so many characters it takes less time to search the whole text.
_FEW = 500
_BASE64 = bytes(byte for byte in range(128) if chr(byte).isalnum()) + b"+/="
_HEADER = re.compile(r"data:[a-z]+/[a-z0-9.+-]{1,80};base64,")


@dataclass(slots=True)
class Parts:
    """What of a JSON text is to be searched, all without files."""

    words: bytes
    """The words of at least `LEAST_WORD` characters."""
    near: bytes
    """Those with what stands right before each, blanks aside."""
    text: bytes


def parted(data: bytes) -> Parts:
    """The parts of a JSON text in which secrets of the several kinds can be.

    >>> parted(b'{"role":"user","content":"My key is sk-0123456789abcdef."}').words
    b'sk-0123456789abcdef.'
    """
    shape = data.translate(_SHAPE)
    words: list[bytes] = []
    between: list[bytes] = []
    near: list[bytes] = []
    most_near = len(data) // _FEW + 1
    start, rest = shape.find(_LONG), 0
    while start >= 0:
        end = shape.find(b" ", start)
        if end < 0:
            end = len(data)
        word = data[start:end]
        if end - start >= LEAST_FILE and not word.translate(None, _BASE64):
            between.append(data[rest:start])
            rest = end
        else:
            words.append(word)
        if most_near:
            before = data[max(start - _NEAR, 0) : start]
            near.append(before if rest == end else before + word)
            # What blanks alone part from the word may be farther away.
            most_near = 0 if len(before) == _NEAR and not before.translate(None, _BLANKS) else most_near - 1
        start = shape.find(_LONG, end)
    text = b" ".join([*between, data[rest:]]) if between else data
    return Parts(b" ".join(words), b" ".join(near) if most_near else text, text)


def is_file(text: str) -> bool:
    """Whether this is a file in Base64, with or without the header of a data URL.

    >>> is_file("data:image/png;base64," + "iVBORw0KGgo" * 400), is_file("words " * 1000)
    (True, False)
    """
    if len(text) < LEAST_FILE or not text.isascii():
        return False
    header = _HEADER.match(text)
    return not text[header.end() if header else 0 :].encode().translate(None, _BASE64)


def any_of(words: Iterable[bytes]) -> re.Pattern[bytes]:
    """Finds any of these words. By their first letters, since each alternative is tried at each place.

    >>> any_of([b"sk_", b"sg_", b"hf_"]).pattern
    b's(?:k_|g_)|h(?:f_)'
    """
    by_first: dict[bytes, list[bytes]] = {}
    for word in words:
        by_first.setdefault(re.escape(word[:1]), []).append(re.escape(word[1:]))
    return re.compile(b"|".join(first + b"(?:" + b"|".join(rest) + b")" for first, rest in by_first.items()) or _NEVER)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is looked for, and what takes its place. Of what `check` says no to nothing is masked."""

    name: str
    expression: re.Pattern[str]
    hints: tuple[str, ...]
    shown: str
    check: Callable[[str], bool] | None = None
    one_word: bool = False
    """Its hints stand in words of at least `LEAST_WORD` characters: letters and digits of ASCII and `_.~+/=-`."""
    ends_with_word: bool = False
    """What it finds ends with such a word. Its hints stand in the word, or before it with nothing but blanks between."""

    def mask(self, text: str) -> str:
        """The text without what was looked for."""
        if self.hints and not any(hint in text for hint in self.hints):
            return text
        return self.expression.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        return self.shown if self.check is None or self.check(found.group()) else found.group()


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others, as on payment cards (ISO/IEC 7812).

    >>> passes_luhn("4111 1111 1111 1111"), passes_luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in number if character.isdigit()]
    if len(digits) < _LEAST_CARD or not any(digits):
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("private_keys", re.compile(_PRIVATE_KEY, re.DOTALL), ("PRIVATE KEY",), "[private key]"),
        Pattern("jwt", re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), ("eyJ",), "[JWT]", one_word=True),
        Pattern("bearer", re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{16,}"), ("earer", "EARER"), "Bearer [token]", ends_with_word=True),
        Pattern("api_keys", re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(_API_KEYS) + ")"), _API_KEY_HINTS, "[API key]", one_word=True),
        Pattern("cards", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])"), (), "[card]", passes_luhn),
        Pattern("emails", re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), ("@",), "[email]"),
    )
}
"""By the names that `TRACER_MASK` takes, in the order in which they are applied."""

SECRETS = ("private_keys", "jwt", "bearer", "api_keys")
"""What `secrets` stands for."""
