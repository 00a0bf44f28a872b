"""The spans of a trace as trees, with what the parent links of incomplete traces need: orphans, cycles, several roots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.call import EMBEDDING, FAILED, LLM
from tracer.store.reader import Trace
from tracer.store.rows import SpanRow


@dataclass(slots=True)
class Node:
    """A span with its children by start. `orphan`: it names a parent that is not in the store (not ended, or another process)."""

    row: SpanRow
    children: list[Node] = field(default_factory=list["Node"])
    orphan: bool = False


def forest(trace: Trace) -> list[Node]:
    """The trees of a trace. Every span is in exactly one of them, whatever its parent link says."""
    nodes = {row.span_id: Node(row) for row in trace.spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.row.parent_span_id or "")
        if parent is None:
            node.orphan = node.row.parent_span_id is not None
            roots.append(node)
        else:
            parent.children.append(node)
    reached = {node.row.span_id for node, _ in walk(roots)}
    for key, node in nodes.items():
        # What no root leads to hangs in a cycle: cut it open at the span that began first.
        if key not in reached:
            nodes[node.row.parent_span_id or ""].children.remove(node)
            node.orphan = True
            roots.append(node)
            reached |= {below.row.span_id for below, _ in walk([node])}
    return roots


def walk(roots: list[Node]) -> Iterator[tuple[Node, int]]:
    """Every node with its depth, in the order of the picture."""
    waiting = [(node, 0) for node in reversed(roots)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(node.children))


@dataclass(slots=True)
class Totals:
    """Sums over the model calls of a trace. `cost` is by currency; `priced` says how many of the `calls` have a cost."""

    calls: int = 0
    priced: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Counter[str] = field(default_factory=Counter[str])


def totals(trace: Trace) -> Totals:
    """Count and add up the model calls of a trace."""
    result = Totals()
    for row in trace.spans:
        if row.kind not in (LLM, EMBEDDING):
            continue
        result.calls += 1
        result.failed += row.outcome == FAILED
        result.input_tokens += row.input_tokens or 0
        result.output_tokens += row.output_tokens or 0
        if row.cost is not None:
            result.priced += 1
            result.cost[row.currency or "USD"] += row.cost  # pyright: ignore[reportArgumentType]
    return result
