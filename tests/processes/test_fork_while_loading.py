"""A fork while our thread imports something: the child's own records arrive."""

from __future__ import annotations

import os

import pytest

from tests.support import collecting, run_program

PROGRAM = """
import os, sys, threading, time, warnings
import tracer

warnings.simplefilter("ignore", DeprecationWarning)

class Slow:
    # The import of this module of ours takes a while, as on a busy machine, and the fork comes in the middle.
    begun = threading.Event()

    def find_spec(self, name, path=None, target=None):
        if name == "tracer.masking.masker":
            self.begun.set()
            time.sleep(0.5)
        return None

sys.meta_path.insert(0, Slow())
with tracer.trace("parent"):
    pass
assert Slow.begun.wait(20)
child = os.fork()
with tracer.trace("child" if child == 0 else "after"):
    pass
assert tracer.flush(20)
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_in_the_middle_of_an_import_records() -> None:
    with collecting() as collector:
        ended = run_program(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACER_QUIET="1")
        assert (ended.status, ended.err) == (0, "")
        assert sorted(collector.names) == ["after", "child", "parent"]
