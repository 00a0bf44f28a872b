"""From the tables to Grafana's JSON, with grafana-foundation-sdk (Python 3.11 and newer).

Schema version 38: read unchanged by Grafana 10.1 to 12.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, tempo, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import MetricsQueryType, SearchTableType

from tools.dashboards import links
from tools.dashboards.tables import BARS, HEATMAP, LINES, PROMETHEUS, RANKING, SPANS, STAT, TABLE, TRACE, Box, Dashboard, Panel, Query

SCHEMA = 38
_MINUTE = "1m"
"""Programs export their metrics each minute: narrower bars would be empty in between."""

_SOURCES = {engine: model.DataSourceRef(type_val=engine, uid=f"${{{engine}}}") for engine in ("prometheus", "tempo")}


def as_json(board: Dashboard) -> str:
    """The text of the file."""
    return json.dumps(_dashboard(board).build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def _dashboard(board: Dashboard) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["tracer", "gen_ai"])
        .time("now-1h", "now")
        .refresh("1m")
        .timezone("browser")
        .editable()
        .version(1)
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("tracer")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["tracer"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    built._internal.schema_version = SCHEMA
    for variable in _variables(board.boxes):
        built.with_variable(variable)
    x = y = row = 0
    for number, panel in enumerate(board.panels, 1):
        if x + panel.width > 24:
            x, y, row = 0, y + row, 0
        place = model.GridPos(x=x, y=y, w=panel.width, h=panel.height)
        x, row = x + panel.width, max(row, panel.height)
        built.with_panel(_Placed(_panel(panel), number, place))
    return built


class _Placed:
    """A panel with its number and place: the library's own placing is off for a panel at the top left of a lower row."""

    def __init__(self, panel: Any, number: int, place: model.GridPos) -> None:
        self._panel, self._number, self._place = panel, number, place

    def build(self) -> model.Panel:
        built: model.Panel = self._panel.build()
        built.id_val = self._number
        built.grid_pos = self._place
        return built


def _variables(boxes: tuple[Box, ...]) -> list[Any]:
    return [
        dashboard.DatasourceVariable("prometheus").label("Metrics").type("prometheus"),
        dashboard.DatasourceVariable("tempo").label("Traces").type("tempo"),
        _chosen("service", "Service", "label_values(tracer_calls_started_total, service_name)"),
        _chosen(
            "environment", "Environment", 'label_values(tracer_calls_started_total{service_name=~"$service"}, deployment_environment_name)'
        ),
        _chosen("provider", "Provider", 'label_values(tracer_calls_total{service_name=~"$service"}, gen_ai_provider_name)'),
        _chosen(
            "model",
            "Model",
            'label_values(tracer_calls_total{service_name=~"$service",gen_ai_provider_name=~"$provider"}, gen_ai_request_model)',
        ),
        *(_text_box(box) for box in boxes),
    ]


def _chosen(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCES[PROMETHEUS])
        .query({"qryType": 1, "query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # A series without the label counts as well: everything, and not only everything that has one.
        .all_value(".*")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _text_box(box: Box) -> dashboard.TextBoxVariable:
    option = model.VariableOption(selected=True, text=box.value, value=box.value)
    return (
        dashboard.TextBoxVariable(box.name)
        .label(box.label)
        .description(box.description)
        .default_value(box.value)
        .current(option)
        .options([option])
    )


def _panel(panel: Panel) -> Any:
    built = _KINDS[panel.kind](panel).title(panel.title).description(panel.description).datasource(_SOURCES[panel.engine])
    for number, query in enumerate(panel.queries):
        built.with_target(_target(panel, query, "ABCDEFGH"[number]))
    return built


def _target(panel: Panel, query: Query, letter: str) -> Any:
    if panel.engine == PROMETHEUS:
        target = (
            prometheus.Dataquery().ref_id(letter).datasource(_SOURCES[PROMETHEUS]).expr(query.text).legend_format(query.legend or "__auto")
        )
        if panel.kind in (STAT, RANKING):
            return target.instant()
        if panel.kind == TABLE:
            return target.instant().format(PromQueryFormat.TABLE)
        return target.range().exemplar(_has_exemplars(query)).format(_format(panel))
    target = tempo.TempoQuery().ref_id(letter).datasource(_SOURCES["tempo"]).query_type("traceql").query(query.text)
    if panel.kind == RANKING:
        return target.metrics_query_type(MetricsQueryType.INSTANT)
    return target.table_type(SearchTableType.SPANS).limit(100).spss(100)


def _has_exemplars(query: Query) -> bool:
    return "histogram_quantile" in query.text or "_bucket" in query.text


def _format(panel: Panel) -> PromQueryFormat:
    return PromQueryFormat.HEATMAP if panel.kind == HEATMAP else PromQueryFormat.TIME_SERIES


def _links(panel: Panel) -> list[Any]:
    if not panel.search:
        return []
    return [
        dashboard.DashboardLink("Search in Tempo").url(links.search_in_tempo(panel.search)),
        dashboard.DashboardLink("Traces").url(links.TRACES),
    ]


def _thresholds(limits: tuple[float, ...]) -> dashboard.ThresholdsConfig:
    """Without limits everything is green; Grafana's default is red from 80 on, whatever is shown."""
    colors = ("yellow", "red") if len(limits) > 1 else ("red",)
    steps = [model.Threshold(None, "green"), *(model.Threshold(limit, color) for limit, color in zip(limits, colors, strict=False))]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _with_values(built: Any, panel: Panel) -> Any:
    built = built.unit(panel.unit).thresholds(_thresholds(panel.limits)).data_links(_links(panel))
    return built.decimals(panel.decimals) if panel.decimals is not None else built


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _stat(panel: Panel) -> Any:
    built = stat.Panel().reduce_options(_last_value()).graph_mode(shapes.BigValueGraphMode.NONE)
    built = built.color_mode(shapes.BigValueColorMode.VALUE if panel.limits else shapes.BigValueColorMode.NONE)
    return _with_values(built, panel)


def _ranking(panel: Panel) -> Any:
    built = bargauge.Panel().reduce_options(_last_value()).orientation(shapes.VizOrientation.HORIZONTAL).min(0)
    return _with_values(built.display_mode(shapes.BarGaugeDisplayMode.BASIC), panel)


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.LIST).placement(shapes.LegendPlacement.BOTTOM).show_legend(True)


def _lines(panel: Panel) -> Any:
    built = timeseries.Panel().legend(_legend()).interval(_MINUTE).show_points(shapes.VisibilityMode.AUTO).line_width(2).min(0)
    return _with_values(built, panel)


def _bars(panel: Panel) -> Any:
    built = timeseries.Panel().legend(_legend()).interval(_MINUTE).draw_style(shapes.GraphDrawStyle.BARS).fill_opacity(80).min(0)
    return _with_values(built.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL)), panel)


def _heatmap(panel: Panel) -> Any:
    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    axis = heatmap.YAxisConfig().unit(panel.unit).decimals(2)
    built = heatmap.Panel().calculate(False).color(color).y_axis(axis).interval(_MINUTE).cell_values(heatmap.CellValues().unit("short"))
    return built.data_links(_links(panel))


def _table(panel: Panel) -> Any:
    order = {name: place for place, (name, _, _) in enumerate(panel.columns)}
    names = {name: title for name, title, _ in panel.columns}
    built = table.Panel().thresholds(_thresholds(())).align(shapes.FieldTextAlignment.AUTO)
    built = built.with_transformation(model.DataTransformerConfig(id_val="merge", options={})).with_transformation(
        model.DataTransformerConfig(
            id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
        )
    )
    for _, title, unit in panel.columns:
        if unit:
            built = built.override_by_name(title, [model.DynamicConfigValue("unit", unit)])
    first = panel.columns[0][1]
    found = [model.DynamicConfigValue("links", [link.build() for link in _links(panel)])]
    return built.override_by_name(first, found)


def _spans(_: Panel) -> Any:
    """A search in Tempo. A click on a span shows its trace below, in the dashboard of traces."""
    link = dashboard.DashboardLink("Show this trace").url(links.ONE_TRACE)
    built = table.Panel().thresholds(_thresholds(())).filterable(True).align(shapes.FieldTextAlignment.AUTO)
    built = built.override_by_name("spanID", [model.DynamicConfigValue("links", [link.build()])])
    return built.override_by_name("tracer.cost.total", [model.DynamicConfigValue("unit", "currencyUSD")])


def _trace(_: Panel) -> Any:
    return dashboard.Panel().type("traces")


_KINDS: dict[str, Callable[[Panel], Any]] = {
    STAT: _stat,
    RANKING: _ranking,
    LINES: _lines,
    BARS: _bars,
    HEATMAP: _heatmap,
    TABLE: _table,
    SPANS: _spans,
    TRACE: _trace,
}
