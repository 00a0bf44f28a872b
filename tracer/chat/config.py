"""`config` of the verbs: what a run is called, its tags, metadata and id, and how many run at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast
from uuid import UUID

from tracer.scope import Upcoming, new_run_id


class Config(TypedDict, total=False):
    """Settings of one run. LangChain's RunnableConfig is accepted too; what is not named here (callbacks …) has no effect."""

    tags: Sequence[str]
    metadata: Mapping[str, Any]
    run_name: str | None
    run_id: UUID | str | int | None
    max_concurrency: int | None


Configs = Config | Sequence[Config] | None
"""One config for all inputs, or one for each."""


def merged(base: Config, more: Any) -> Config:
    """Two configs as one: tags are added, metadata merged, the rest of `more` wins.

    >>> merged({"tags": ["a"], "run_name": "x"}, {"tags": ["b"], "metadata": {"k": 1}})
    {'tags': ['a', 'b'], 'run_name': 'x', 'metadata': {'k': 1}}
    """
    if not more:
        return base
    given = cast("Config", more)
    result: Config = {**base, **given}
    tags = [*base.get("tags", ()), *(tag for tag in given.get("tags") or () if tag not in base.get("tags", ()))]
    metadata = {**base.get("metadata", {}), **(given.get("metadata") or {})}
    if tags:
        result["tags"] = tags
    if metadata:
        result["metadata"] = metadata
    return result


def for_each(base: Config, more: Configs, count: int) -> list[Config]:
    """A config for each of `count` inputs. One run id can name one run only: the first takes it.

    Raises ValueError if a list of configs has another length than the inputs.
    """
    if more is not None and not isinstance(more, Mapping):
        if len(more) != count:
            raise ValueError(f"{len(more)} configs were given for {count} inputs; give one for each, or one for all.")
        return [merged(base, item) for item in more]
    first = merged(base, more)
    others = first
    if first.get("run_id") is not None:
        others = first.copy()
        others["run_id"] = None
    return [first if position == 0 else others for position in range(count)]


def concurrency(configs: Sequence[Config]) -> int | None:
    """How many of these may run at once; None if nothing limits it."""
    return configs[0].get("max_concurrency") if configs else None


def upcoming(config: Config) -> Upcoming:
    """What the next call of the client is to be called."""
    metadata = config.get("metadata")
    return Upcoming(
        run_id=_run_id(config.get("run_id")),
        name=config.get("run_name"),
        tags=tuple(config.get("tags") or ()),
        metadata=dict(metadata) if metadata else None,
    )


def _run_id(value: UUID | str | int | None) -> int:
    if value is None:
        return new_run_id()
    if isinstance(value, UUID):
        return value.int
    return value if isinstance(value, int) else UUID(value).int
