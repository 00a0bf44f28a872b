"""Where a click on a panel leads: the matching search in Tempo, and the dashboard of traces."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

_VARIABLE = re.compile(r"(\$\{[^}]+\})")
TRACES = (
    "/d/tracer-traces/tracer-traces?${__url_time_range}&${prometheus:queryparam}&${tempo:queryparam}"
    "&${service:queryparam}&${environment:queryparam}&${provider:queryparam}&${model:queryparam}"
)
ONE_TRACE = (
    "/d/tracer-traces/tracer-traces?${__url_time_range}&${prometheus:queryparam}&${tempo:queryparam}"
    "&${service:queryparam}&${environment:queryparam}&var-trace=${__data.fields.traceIdHidden}"
)


def search_in_tempo(traceql: str) -> str:
    """The address of Grafana's Explore with this search; Grafana fills in variables where the link is clicked."""
    pane = {
        "datasource": "${tempo}",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "${tempo}"},
                "queryType": "traceql",
                "query": traceql,
                "tableType": "spans",
                "limit": 100,
                "spss": 100,
            }
        ],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    text = json.dumps({"traces": pane}, separators=(",", ":"))
    # What Grafana replaces has to stay as it is; the rest is part of an address.
    panes = "".join(part if _VARIABLE.fullmatch(part) else quote(part, safe="") for part in _VARIABLE.split(text))
    return f"/explore?schemaVersion=1&orgId=1&panes={panes}"
