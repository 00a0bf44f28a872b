"""`Masker`: what the setting `mask` asks for, applied to records once each."""

from __future__ import annotations

import copy
import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from tracer.call import Call
from tracer.evaluation import Feedback
from tracer.masking.limited import Limited, TooSlow
from tracer.masking.patterns import PATTERNS, SECRETS, Pattern, any_of, is_file, parted
from tracer.masking.texts import Change, Mask, bytes_of, masked, masked_call, masked_feedback, withheld, withheld_feedback
from tracer.reading.record import Record

FAILED = "mask failed"
TOO_SLOW = "mask too slow"

logger = logging.getLogger("tracer")


class Masker:
    """Masks every text of a record by built-in patterns and functions of the application (`module:function`, text in, text out).

    A function that raises, gives no text, cannot be imported or takes longer than `timeout` seconds for a record costs that record its
    content, not the record.
    """

    def __init__(self, names: Sequence[str], timeout: float) -> None:
        wanted = {pattern for name in names for pattern in (SECRETS if name == "secrets" else (name,))}
        self._patterns = [pattern for name, pattern in PATTERNS.items() if name in wanted]
        self._functions = [name for name in names if ":" in name]
        self._hints = _hints_of(pattern for pattern in self._patterns if not (pattern.one_word or pattern.ends_with_word))
        self._hints_near_words = _hints_of(pattern for pattern in self._patterns if pattern.ends_with_word)
        self._hints_in_words = any_of(_hints_of(pattern for pattern in self._patterns if pattern.one_word))
        self._search_all = any(not pattern.hints for pattern in self._patterns)
        self._limited = Limited(timeout)
        self._said: set[str] = set()

    def mask(self, record: Record) -> None:
        """Mask the record in place."""
        changes = self._guarded(lambda: self._changes(record), lambda reason: withheld(record, reason))
        for change in changes:
            change.make()

    def preview(self, call: Call) -> Call:
        """A masked copy of a call that goes on."""
        seen = copy.copy(call)
        if seen.failure is not None:
            seen.failure = None
        seen.attempts = []
        changes = self._guarded(lambda: masked_call(seen, self._masks()), lambda reason: withheld(Record(seen, ""), reason))
        for change in changes:
            change.make()
        return seen

    def mask_feedback(self, feedback: Feedback) -> None:
        """Mask what feedback says, in place."""
        changes = self._guarded(lambda: masked_feedback(feedback, self._masks()), lambda reason: withheld_feedback(feedback, reason))
        for change in changes:
            change.make()

    def _guarded(self, work: Callable[[], list[Change]], instead: Callable[[str], list[Change]]) -> list[Change]:
        try:
            return self._limited.run(work) if self._functions else work()
        except TooSlow:
            self._say(TOO_SLOW, "took longer than TRACER_MASK_TIMEOUT allows")
            return instead(TOO_SLOW)
        except BaseException as error:
            self._say(
                FAILED, f"failed ({error!r})" if isinstance(error, ImportError | AttributeError) else f"failed ({type(error).__name__})"
            )
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread() and not self._functions:
                raise
            return instead(FAILED)

    def _changes(self, record: Record) -> list[Change]:
        if not self._functions and not self._has_hints(record):
            return []
        return masked(record, self._masks())

    def _has_hints(self, record: Record) -> bool:
        if self._search_all:
            return True
        if not self._patterns:
            return False
        try:
            data = bytes_of(record)
        except (ValueError, TypeError, RecursionError):
            return True
        parts = parted(data)
        if any(hint in parts.text for hint in self._hints):
            return True
        if self._hints_in_words.search(parts.words) is not None:
            return True
        return any(hint in parts.near for hint in self._hints_near_words)

    def _masks(self) -> Mask:
        """One function from all; each text is masked once, however often it stands in the record."""
        functions: list[Mask] = [_imported(name) for name in self._functions]
        masks: list[Mask] = [*(pattern.mask for pattern in self._patterns), *functions]
        known: dict[str, str] = {}

        def mask(text: str) -> str:
            result = known.get(text)
            if result is None:
                result = text
                for step in functions if is_file(text) else masks:
                    result = step(result)
                if not isinstance(result, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # an application's function
                    raise TypeError("a mask has to give a text")
                known[text] = result
            return result

        return mask

    def _say(self, reason: str, text: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            logger.warning("tracer: masking %s; records are kept without content. Check TRACER_MASK.", text)


def _hints_of(patterns: Iterable[Pattern]) -> list[bytes]:
    return [hint.encode() for pattern in patterns for hint in pattern.hints]


def _imported(name: str) -> Mask:
    module, _, function = name.partition(":")
    found: object = importlib.import_module(module)
    for part in function.split("."):
        found = getattr(found, part)
    return found  # pyright: ignore[reportReturnType]  # what it is shows when it is called
