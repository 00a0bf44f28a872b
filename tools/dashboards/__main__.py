"""Write `dashboards/`: the dashboards of Grafana, alerts and recording rules of Prometheus. Run by `make dashboards`."""

from __future__ import annotations

from tools.dashboards.files import FOLDER, contents


def main() -> None:
    """All files; what they were before is gone."""
    for name, text in contents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"dashboards/{name}")


main()
