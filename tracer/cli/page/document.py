"""The page of `tracer show --html`: traces in one HTML file that needs nothing else and runs nothing.

Texts of the record stand only between tags, never in an attribute; the policy in the head allows inline style and images in data URLs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tracer import __version__
from tracer.cli.forest import forest, totals
from tracer.cli.json_shape import iso_time
from tracer.cli.page.markup import Markup, element, isolated, joined
from tracer.cli.page.values import text_block
from tracer.cli.page.waterfall import waterfall
from tracer.cli.phrases import calls_words, cost_words, shared_session, shared_tags, shared_user
from tracer.export.wording import duration, one_line, tokens
from tracer.store.reader import Trace

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_NAME_LENGTH = 120
_STYLE = Path(__file__).with_name("style.css")


def document(traces: Sequence[Trace], *, content: bool) -> Iterator[str]:
    """The page, piece by piece. Prompts and answers are on it only with `content`."""
    yield "<!DOCTYPE html>\n"
    yield Markup('<html lang="en">')
    yield _head(traces)
    yield Markup("<body>")
    yield _top(traces, content=content)
    yield Markup("<main>")
    for number, trace in enumerate(traces, start=1):
        yield from _trace(trace, number, content=content)
    yield Markup("</main></body></html>\n")


def _head(traces: Sequence[Trace]) -> Markup:
    title = f"{_name(traces[0])} · {traces[0].trace_id[:8]}" if len(traces) == 1 else f"{len(traces)} traces"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(_STYLE.read_text("utf-8"))),
    )


def _top(traces: Sequence[Trace], *, content: bool) -> Markup:
    what = "1 trace" if len(traces) == 1 else f"{len(traces)} traces"
    kept = "With prompts and answers." if content else "Without prompts and answers; --content adds them."
    about = f"{kept} Times are UTC. Made by tracer {__version__}."
    legend = joined(
        element("span", element("span", class_="first"), class_="bar sample"),
        " from start to end, with a mark at the first chunk. Each row opens.",
    )
    return element(
        "header",
        element("h1", what),
        element("p", about, " ", legend, class_="note"),
        _overview(traces) if len(traces) > 1 else Markup(),
    )


def _overview(traces: Sequence[Trace]) -> Markup:
    titles = {"Trace": None, "Start": None, "Duration": "number", "Calls": None, "Tokens": "number", "Cost": "number"}
    head = element("tr", *(element("th", title, scope="col", class_=look) for title, look in titles.items()))
    lines: list[Markup] = []
    for number, trace in enumerate(traces, start=1):
        sums = totals(trace)
        failed = [" ", element("span", f"{sums.failed} failed", class_="failed")] if sums.failed else []
        cells = (
            element("th", element("a", isolated(_name(trace)), href=f"#trace-{number}"), scope="row"),
            element("td", iso_time(trace.start_ns)),
            element("td", _taken(trace), class_="number"),
            element("td", calls_words(sums), *failed),
            element("td", tokens(sums.input_tokens, sums.output_tokens) if sums.calls else "", class_="number"),
            element("td", cost_words(sums), class_="number"),
        )
        lines.append(element("tr", *cells))
    caption = element("caption", "Traces on this page, oldest first")
    return element("nav", element("table", caption, element("thead", head), element("tbody", *lines)), aria_label="Traces")


def _trace(trace: Trace, number: int, *, content: bool) -> Iterator[Markup]:
    yield Markup(f'<section class="trace" id="trace-{number}" aria-labelledby="name-{number}">')
    yield element("h2", isolated(_name(trace)), id=f"name-{number}")
    yield element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in _facts(trace)), class_="facts")
    yield from waterfall(trace, content=content)
    yield Markup("</section>")


def _facts(trace: Trace) -> Iterator[tuple[str, Markup]]:
    sums = totals(trace)
    start = iso_time(trace.start_ns)
    yield "Start", element("time", start, datetime=start)
    yield "Duration", joined(_taken(trace))
    yield "Model calls", joined(str(sums.calls))
    yield "Failed", element("span", str(sums.failed), class_="failed" if sums.failed else None)
    yield "Tokens in→out", joined(tokens(sums.input_tokens, sums.output_tokens) if sums.calls else "none")
    yield "Cost", joined(cost_words(sums) or "not known")
    for name, text in (("Session", shared_session(trace)), ("User", shared_user(trace)), ("Tags", ", ".join(shared_tags(trace)))):
        if text:
            yield name, text_block(text)
    yield "Trace id", element("code", trace.trace_id)


def _taken(trace: Trace) -> str:
    return duration((trace.end_ns - trace.start_ns) / 1e9)


def _name(trace: Trace) -> str:
    """The name of the trace's first root."""
    return one_line(forest(trace)[0].row.name, _NAME_LENGTH) or "unnamed"
