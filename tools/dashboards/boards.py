"""All dashboards, in the order of the list in Grafana."""

from __future__ import annotations

from tools.dashboards import cost, model_and_provider, overview, tracer_health, traces

DASHBOARDS = (overview.DASHBOARD, model_and_provider.DASHBOARD, cost.DASHBOARD, traces.DASHBOARD, tracer_health.DASHBOARD)
