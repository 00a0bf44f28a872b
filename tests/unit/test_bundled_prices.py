"""Loading the bundled prices disturbs nobody: openai 2.x takes a half-made httpx2 in `sys.modules` for a whole one."""

from __future__ import annotations

from tests.support import run_program

WATCHED = """
import sys
sys.path.insert(0, ".")
from tracer.bundled_prices import genai_prices

package = genai_prices()
assert "httpx2" not in sys.modules
found = package.calc_price(package.Usage(input_tokens=1000), "gpt-4o", provider_id="openai")
assert found.total_price > 0, found
assert "httpx2" not in sys.modules
assert all(type(finder).__module__ != "tracer.bundled_prices" for finder in sys.meta_path)
"""


def test_httpx2_is_not_imported_by_us() -> None:
    ended = run_program(WATCHED)
    assert (ended.status, ended.err) == (0, "")


def test_what_needs_it_imports_it() -> None:
    ended = run_program(WATCHED + "package.UpdatePrices(url='http://127.0.0.1:9')\nassert sys.modules['httpx2'].Timeout\n")
    assert (ended.status, ended.err) == (0, "")


def test_a_program_that_has_it_keeps_it() -> None:
    program = "import httpx2, genai_prices\nfrom tracer.bundled_prices import genai_prices as ours\nassert ours() is genai_prices\n"
    ended = run_program(program + "assert genai_prices.update_prices.httpx2 is httpx2\n")
    assert (ended.status, ended.err) == (0, "")
