"""The TraceQL that panels and links are made of.

Two peculiarities of Tempo 2.9, each seen on a real one: a condition on an attribute that a span lacks is false whatever it says (so
"all environments" has to be said with a comparison that needs no attribute, and that has to stand second); and a number without a point
does not match floating point attributes in TraceQL metrics.
"""

from __future__ import annotations


def _chosen(attribute: str, variable: str) -> str:
    return f'({attribute} =~ "${{{variable}:pipe}}" || "" =~ "${{{variable}:pipe}}")'


SERVICE = f'resource.service.name =~ "${{service:pipe}}" && {_chosen("resource.deployment.environment.name", "environment")}'
CALL = f"{SERVICE} && {_chosen('span.gen_ai.provider.name', 'provider')} && {_chosen('span.gen_ai.request.model', 'model')}"
MODEL_CALL = f'{CALL} && span.gen_ai.operation.name =~ "chat|text_completion|embeddings|generate_content"'
COLUMNS = (
    "span.gen_ai.request.model, span.tracer.outcome, span.error.type, span.gen_ai.usage.input_tokens, span.gen_ai.usage.output_tokens, "
    "span.tracer.cost.total, span.user.id, span.session.id"
)


def spans(condition: str, columns: str = COLUMNS) -> str:
    """The spans for which it holds, with these attributes as columns of a table."""
    return f"{{ {condition} }} | select({columns})"


def found(condition: str) -> str:
    """The spans for which it holds."""
    return f"{{ {condition} }}"


def of_series(attribute: str, calls: str = MODEL_CALL) -> str:
    """The spans behind the series that was clicked on: its label is named like the attribute.

    >>> of_series("span.error.type", "true")
    '{ true && span.error.type = "${__field.labels.error_type}" }'
    """
    label = attribute.partition(".")[2].replace(".", "_")
    return found(f'{calls} && {attribute} = "${{__field.labels.{label}}}"')


def cost_by(attribute: str) -> str:
    """Money by an attribute of spans. Spans without the attribute are left out."""
    return f"{{ {CALL} && span.tracer.cost.total > 0.0 && {attribute} != nil }} | sum_over_time(span.tracer.cost.total) by ({attribute})"
