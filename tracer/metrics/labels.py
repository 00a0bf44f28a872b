"""Which labels metrics have, and how many sets of them.

Only what is named here can become a label: never content, ids, sessions, users or metadata.
"""

from __future__ import annotations

from collections.abc import Mapping

from tracer.export import names
from tracer.export.texts import shorten_text, well_formed

TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # tokens of text
MODALITY = "gen_ai.token.modality"
WORKFLOW_NAME = "gen_ai.workflow.name"
DIRECTION = "network.io.direction"
KIND = "tracer.kind"
DESTINATION = "tracer.destination"
STATE = "tracer.state"
REASON = "tracer.reason"
PLACE = "tracer.place"
OVERFLOW = "otel.metric.overflow"
"""Of the OpenTelemetry metrics SDK specification."""

SMALL = frozenset((names.OPERATION_NAME, names.OUTCOME, names.REQUEST_STREAM, TOKEN_TYPE, MODALITY, DIRECTION, KIND, DESTINATION, STATE))
"""Labels with a handful of values each, which none of the application's data can add to; they stay when a set is cut."""

ALLOWED = SMALL | {
    names.PROVIDER_NAME,
    names.REQUEST_MODEL,
    names.RESPONSE_MODEL,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
    names.ERROR_TYPE,
    names.TOOL_NAME,
    names.AGENT_NAME,
    names.HTTP_RESPONSE_STATUS_CODE,
    names.COST_CURRENCY,
    WORKFLOW_NAME,
    REASON,
    PLACE,
    OVERFLOW,
}

MOST_SETS = 1_000
"""Sets of labels for each instrument. The SDK's own limit, beyond which it would count nothing by outcome, is 2,000."""

_LONGEST = 200

Label = str | int | bool
Labels = dict[str, Label]


def labels_of(values: Mapping[str, object]) -> Labels:
    """The values that may be labels and are there, as texts or whole numbers.

    >>> labels_of({"gen_ai.request.model": "m", "server.port": 443, "user.id": "u7", "error.type": None})
    {'gen_ai.request.model': 'm', 'server.port': 443}
    """
    labels: Labels = {}
    for name, value in values.items():
        if value is None or value == "" or name not in ALLOWED:
            continue
        if isinstance(value, int) or (type(value) is str and len(value) <= _LONGEST and value.isascii()):
            labels[name] = value
        else:
            labels[name] = shorten_text(well_formed(str(value)), _LONGEST)
    return labels


class Limit:
    """Keeps the number of label sets of each instrument within bounds; `overflows` counts the measurements that did not get theirs."""

    def __init__(self, most: int = MOST_SETS) -> None:
        self._most = most
        self._known: dict[str, set[tuple[tuple[str, Label], ...]]] = {}
        self.overflows = 0

    def admit(self, instrument: str, labels: Labels) -> Labels:
        """The labels, or, when the instrument has enough sets, those with few values and a mark.

        >>> limit = Limit(1)
        >>> limit.admit("i", {"gen_ai.request.model": "a"}), limit.admit("i", {"gen_ai.request.model": "b", "tracer.outcome": "failed"})
        ({'gen_ai.request.model': 'a'}, {'tracer.outcome': 'failed', 'otel.metric.overflow': True})
        """
        known = self._known.setdefault(instrument, set())
        key = tuple(labels.items())
        if key in known:
            return labels
        if len(known) < self._most:
            known.add(key)
            return labels
        self.overflows += 1
        return {**{name: value for name, value in labels.items() if name in SMALL}, OVERFLOW: True}
