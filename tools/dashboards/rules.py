"""From the tables of alerts and recording rules to Prometheus' YAML."""

from __future__ import annotations

import json
from textwrap import indent

from tools.dashboards.alerts import ALERTS, DAILY_BUDGET, DEFAULT_BUDGET, Alert
from tools.dashboards.recording import GROUPS, Rule

_ALERTS_HEAD = f"""\
# Alerts on the metrics of tracer, for Prometheus (rule_files). Made by `make dashboards` from tools/dashboards/alerts.py.
# Limits are a beginning: change them, here or there. alerts-test.yaml shows for each when it fires and when not.

groups:
  - name: tracer-budget
    rules:
      # What a service may cost in a day, in USD. Change it here.
      - record: {DAILY_BUDGET}
        expr: vector({DEFAULT_BUDGET})

  - name: tracer
    rules:
"""

_RECORDING_HEAD = """\
# The metrics of tracer under other names, for ready-made GenAI dashboards. Made by `make dashboards` from tools/dashboards/recording.py.
# Load it as rule_files of Prometheus, with the groups that are needed.
#
# Recorded series begin when Prometheus first sees them: calls of scripts that live shorter than two evaluations (a minute each) are not
# in their rate(). tracer's own dashboards have them.

groups:
"""


def alerts_yaml() -> str:
    """The text of `dashboards/alerts.yaml`."""
    return _ALERTS_HEAD + "\n".join(_alert(alert) for alert in ALERTS)


def expression(alert: Alert) -> str:
    """The whole condition. The limit stands on a line of its own."""
    condition = f"{alert.measure}\n> {alert.limit:g}"
    return f"({condition}\n)\nand\n{alert.volume} >= {alert.enough}" if alert.volume else condition


def _alert(alert: Alert) -> str:
    lines = [
        f"      - alert: {alert.name}",
        "        expr: |",
        indent(expression(alert), " " * 10),
        f"        for: {alert.hold}",
        "        labels:",
        f"          severity: {alert.severity}",
        "        annotations:",
        f"          summary: {json.dumps(alert.summary)}",
        f"          description: {json.dumps(alert.description)}",
    ]
    return "\n".join(lines) + "\n"


def recording_yaml() -> str:
    """The text of `dashboards/recording-rules.yaml`."""
    return _RECORDING_HEAD + "\n".join(_group(group.name, group.serves, group.rules) for group in GROUPS)


def _group(name: str, serves: str, rules: tuple[Rule, ...]) -> str:
    lines = [indent(serves, "  # "), f"  - name: {name}", "    interval: 1m", "    rules:"]
    for rule in rules:
        lines += [f"      - record: {rule.name}", "        expr: |", indent(rule.expression, " " * 10)]
    return "\n".join(lines) + "\n"
