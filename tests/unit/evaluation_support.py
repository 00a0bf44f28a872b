"""Feedback made for tests."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from tracer.evaluation import Feedback
from tracer.scope import new_run_id


def some_feedback(**values: Any) -> Feedback:
    """Feedback on a run that is the root of its trace, unless `values` say otherwise."""
    run_id = values.get("run_id", new_run_id())
    feedback = Feedback(id=new_run_id(), run_id=run_id, key="helpful", root_run_id=run_id, time=time.time_ns())
    return replace(feedback, **values)
