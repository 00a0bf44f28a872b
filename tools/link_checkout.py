"""Make this checkout importable in the environment that runs this script, and install the `tracer` command beside its Python."""

from __future__ import annotations

import stat
import sys
import sysconfig
from pathlib import Path

checkout = Path(__file__).resolve().parent.parent
Path(sysconfig.get_paths()["purelib"], "tracer_checkout.pth").write_text(f"{checkout}\n", encoding="utf-8")
command = Path(sysconfig.get_paths()["scripts"], "tracer")
command.write_text(f"#!{sys.executable}\nimport sys\n\nfrom tracer.cli.main import main\n\nsys.exit(main())\n", encoding="utf-8")
command.chmod(command.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
