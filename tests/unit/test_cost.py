"""Costs against amounts worked out by hand, and against genai-prices itself."""

from __future__ import annotations

import json
import socket
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot

from tests.support import PATIENCE
from tracer.cost import Prices, Rate, Rates, charge
from tracer.loading import loading
from tracer.reading.generation import Cost, Generation, OtherUsage, Usage


@pytest.fixture
def price_file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.json"
    models = {
        "gpt-4o-mini": {"input": 0.15, "output": 0.6, "cache_read": 0.075, "cache_write": 0.2},
        "my-*": {"input": 1, "output": 2},
        "my-audio-*": {"input": 1, "output": 2, "input_audio": 10, "output_audio": 20, "reasoning": 4, "input_image": 5},
        "free": {"input": 0, "output": 0},
        "only-input": {"input": 1},
    }
    path.write_text(json.dumps({"currency": "EUR", "version": "2026-11", "models": models}))
    return path


def generation(model: str = "gpt-4o-mini", provider: str = "openai", operation: str = "chat", **usage: Any) -> Generation:
    return Generation(operation=operation, provider=provider, request_model=model, usage=Usage(**usage))


def test_own_prices_by_hand(price_file: Path) -> None:
    prices = Prices(str(price_file))
    assert prices.problem is None
    # 500 x 0.15 + 300 x 0.075 + 200 x 0.2 = 137.5; 100 x 0.6 = 60, per million.
    found = prices.cost_of(generation(input=1000, cache_read=300, cache_write=200, output=100, reasoning=40))
    assert found == Cost(0.0001975, 0.0001375, 0.00006, "EUR", "2026-11")


def test_kinds_of_tokens_with_prices_of_their_own(price_file: Path) -> None:
    # 70 x 1 + 20 x 10 + 10 x 5 = 320; 60 x 2 + 10 x 20 + 30 x 4 = 440, per million.
    asked = generation("my-audio-1", input=100, input_audio=20, input_image=10, output=100, output_audio=10, reasoning=30)
    found = Prices(str(price_file)).cost_of(asked)
    assert found == Cost(0.00076, 0.00032, 0.00044, "EUR", "2026-11")


def test_the_closest_pattern_wins(price_file: Path) -> None:
    prices = Prices(str(price_file))
    assert prices.cost_of(generation("my-model", input=1_000_000, output=0)) == Cost(1.0, 1.0, 0.0, "EUR", "2026-11")
    assert prices.rates_of("anyone", "my-audio-9") != prices.rates_of("anyone", "my-9")
    assert prices.rates_of("openai", "my") is None


def test_bundled_prices_by_hand() -> None:
    prices = Prices()
    version = f"genai-prices {genai_prices.__version__}"
    # gpt-4o-mini: 0.15 in, 0.075 cached, 0.6 out per million.
    found = prices.cost_of(generation("gpt-4o-mini-2024-07-18", input=1000, cache_read=400, output=100))
    assert found == Cost(0.00018, 0.00012, 0.00006, "USD", version)
    # text-embedding-3-small: 0.02 per million, no output.
    assert prices.cost_of(generation("text-embedding-3-small", operation="embeddings", input=500)) == Cost(
        0.00001, 0.00001, 0.0, "USD", version
    )
    # gpt-audio: 2.5 and 32 in, 10 and 64 out.
    found = prices.cost_of(generation("gpt-audio", input=100, input_audio=60, output=50, output_audio=40))
    assert found == Cost(0.0001 + 0.00192 + 0.0001 + 0.00256, 0.00202, 0.00266, "USD", version)
    # sonar: 1 per million, and 12 for a thousand requests.
    assert prices.cost_of(generation("sonar", "perplexity", input=1000, output=1000)) == Cost(0.014, 0.001, 0.001, "USD", version)


def test_prices_with_steps() -> None:
    rates = Rates(Rate(Decimal(1), ((200_000, Decimal(2)),)), Rate(Decimal(10), ((200_000, Decimal(15)),)))
    assert charge(Usage(input=200_000, output=1000), rates) == Cost(0.21, 0.2, 0.01, "USD", "")
    assert charge(Usage(input=200_001, output=1000), rates) == Cost(0.415002, 0.400002, 0.015, "USD", "")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("azure.ai.openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gcp.gemini", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro"),
        ("aws.bedrock", "amazon.nova-lite-v1:0"),
        ("mistral_ai", "mistral-large-latest"),
        ("x_ai", "grok-3"),
        ("moonshot_ai", "kimi-k2"),
        ("cohere", "command-r"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_names_of_providers_are_translated(provider: str, model: str) -> None:
    found = Prices().cost_of(generation(model, provider, input=1000, output=1000))
    assert found is not None
    assert found.total > 0


def test_every_bundled_price_is_what_genai_prices_says() -> None:
    """The rates that are kept give the same amounts as a calculation of the package itself."""
    compared = 0
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            amounts: dict[str, Any]
            for amounts in ({"input": 1000, "output": 500, "cache_read": 100}, {"input": 300_000, "output": 500, "cache_write": 10}):
                names = {
                    "input": "input_tokens",
                    "output": "output_tokens",
                    "cache_read": "cache_read_tokens",
                    "cache_write": "cache_write_tokens",
                }
                usage = genai_prices.Usage(**{names[kind]: count for kind, count in amounts.items()})
                rates = Prices().rates_of(provider.id, model.id)
                found = charge(generation(**amounts).usage or Usage(), rates) if rates else None
                if found is None:
                    continue
                try:
                    expected = genai_prices.calc_price(usage, model.id, provider_id=provider.id)
                except (LookupError, ValueError):
                    continue
                assert found.total == pytest.approx(float(expected.total_price)), (provider.id, model.id)
                assert found.input == pytest.approx(float(expected.input_price))
                compared += 1
    assert compared > 1000


def test_the_provider_s_own_figure_wins(price_file: Path) -> None:
    found = Prices(str(price_file)).cost_of(generation(input=1000, output=1, cost=0.5))
    assert found == Cost(0.5, None, None, "USD", "provider")
    assert Prices().cost_of(generation("unknown", cost=0.0)) == Cost(0.0, None, None, "USD", "provider")


@pytest.mark.parametrize(
    "unpriced",
    [
        generation("no-such-model", input=1, output=1),
        generation("llama3", "ollama", input=1, output=1),
        generation("gpt-4o", "no-such-provider", input=1, output=1),
        generation("whisper-1", input=10, output=10),
        generation(input=None, output=5),
        generation(input=5, output=None),
        generation(input=10, cache_read=40, output=1),
        generation("gemini-2.5-flash", "gcp.gemini", input=100, cache_read=40, input_audio=50, output=1),
        Generation(request_model="gpt-4o"),
        Generation(usage=Usage(input=1, output=1)),
    ],
)
def test_what_is_not_known_has_no_cost(unpriced: Generation) -> None:
    assert Prices().cost_of(unpriced) is None


def test_a_file_with_half_of_the_prices_gives_no_half_costs(price_file: Path) -> None:
    prices = Prices(str(price_file))
    assert prices.cost_of(generation("only-input", input=1, output=1)) is None
    assert prices.cost_of(generation("only-input", operation="embeddings", input=1_000_000)) == Cost(1.0, 1.0, 0.0, "EUR", "2026-11")
    assert prices.cost_of(generation("free", input=1, output=1)) == Cost(0.0, 0.0, 0.0, "EUR", "2026-11")


def test_the_answer_s_model_is_priced_first() -> None:
    asked = generation("my-deployment", "azure.ai.openai", input=1_000_000, output=0)
    asked.response_model = "gpt-4o-mini-2024-07-18"
    found = Prices().cost_of(asked)
    assert found is not None
    assert found.total == pytest.approx(0.15)
    asked.response_model, asked.request_model = "gpt-4o-mini-of-tomorrow-unknown", "gpt-4o-mini"
    assert Prices().cost_of(asked) is not None


def test_service_tiers() -> None:
    def cost(tier: str | None) -> float:
        asked = generation("gpt-4o", input=1_000_000, output=0)
        asked.response_service_tier = tier
        found = prices.cost_of(asked)
        assert found is not None
        return found.total

    prices = Prices()
    assert cost(None) == cost("default") == 2.5
    assert cost("priority") > 2.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ("[]", 'no object "models"'),
        ('{"models": {"a": 1}}', "the entry of 'a' is no object"),
        ('{"models": {"a": {"inptu": 1}}}', "unknown price 'inptu'; known are input, output"),
        ('{"models": {"a": {"input": "1"}}}', "the price 'input' of 'a' is no number of 0 or more"),
        ('{"models": {"a": {"input": -1}}}', "is no number of 0 or more"),
        ('{"models": {"a": {"input": true}}}', "is no number of 0 or more"),
        ('{"models": {"a": {"input": NaN}}}', "is no number of 0 or more"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    prices = Prices(str(path))
    assert prices.problem is not None
    assert prices.problem.startswith(f"Price file {path} is not used: ")
    assert prices.problem.endswith(" Bundled prices are used.")
    assert words in prices.problem
    assert prices.cost_of(generation(input=1, output=1)) is not None


def test_a_missing_file_and_a_binary_one(tmp_path: Path) -> None:
    assert "No such file" in str(Prices(str(tmp_path / "none")).problem)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert Prices(str(binary)).problem is not None


def test_a_model_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = genai_prices.calc_price

    def counting(usage: Any, model: str, **options: Any) -> Any:
        asked.append(model)
        return original(usage, model, **options)

    monkeypatch.setattr(genai_prices, "calc_price", counting)
    prices = Prices()
    for _ in range(5):
        prices.cost_of(generation("gpt-4o", input=1, output=1))
        prices.cost_of(generation("unknown", input=1, output=1))
    assert asked == ["gpt-4o", "unknown"]


def test_the_network_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    assert Prices().cost_of(generation("gpt-4o", input=1, output=1)) is not None


# Anthropic: what is cached for an hour, searches and further models have prices of their own. 3 / 15 / 0.3 / 3.75 / 6 dollars per million.


def claude(**usage: Any) -> Generation:
    return generation("claude-sonnet-4-5-20250929", "anthropic", **usage)


def test_tokens_that_stay_in_the_cache_for_an_hour_cost_more() -> None:
    # 100 fresh x 3 + 1000 read x 0.3 + 300 for minutes x 3.75 + 200 for an hour x 6 = 2925; 10 x 15 = 150, per million.
    asked = claude(input=1600, cache_read=1000, cache_write=500, cache_write_hour=200, output=10)
    found = Prices().cost_of(asked)
    assert found is not None
    assert (found.input, found.output) == pytest.approx((0.002925, 0.00015))
    whole = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=1600, cache_read_tokens=1000, cache_write_tokens=300, output_tokens=10),
        "claude-sonnet-4-5-20250929",
        provider_id="anthropic",
    )
    # genai-prices takes the 200 for plain input where they are not named.
    assert found.total - float(whole.total_price) == pytest.approx(200 * (6 - 3) / 1e6)


def test_searches_are_part_of_the_total() -> None:
    plain, searched = (Prices().cost_of(claude(input=100, output=10, web_searches=count)) for count in (0, 2))
    assert plain is not None
    assert searched is not None
    assert searched.total - plain.total == pytest.approx(0.02)
    assert (searched.input, searched.output) == (plain.input, plain.output)


def test_what_an_advisor_used_is_charged_at_its_own_prices() -> None:
    advisor = OtherUsage("claude-opus-4-7", Usage(input=1000, output=100))
    alone, advised = (Prices().cost_of(claude(input=100, output=10, others=others)) for others in (None, [advisor]))
    assert alone is not None
    assert advised is not None
    assert advised.total - alone.total == pytest.approx((1000 * 5 + 100 * 25) / 1e6)
    assert Prices().cost_of(claude(input=100, output=10, others=[OtherUsage("no-such-model", Usage(input=1, output=1))])) is None


# Service tiers, images, prices of calls; TOML.

TIERED = """
currency = "USD"
version = "mine-7"
[models."my-model"]
input = 2
output = 10
cache_read = 0.5
output_image = 30
request = 0.01
web_search = 0.02
[models."my-model".tiers.batch]
input = 1
output = 5
[models."my-model".tiers.priority]
input = 4
"""


@pytest.fixture
def tiered(tmp_path: Path) -> Prices:
    path = tmp_path / "prices.toml"
    path.write_text(TIERED)
    prices = Prices(str(path))
    if sys.version_info < (3, 11):
        assert prices.problem == f"Price file {path} is not used: TOML needs Python 3.11; write it as JSON. Bundled prices are used."
        pytest.skip("TOML needs Python 3.11")
    assert prices.problem is None
    return prices


@pytest.mark.parametrize(
    ("tier", "input_cost", "output_cost"),
    [(None, 1.7, 10.0), ("default", 1.7, 10.0), ("batch", 0.9, 5.0), ("Priority", 3.3, 10.0)],
)
def test_tiers_of_a_price_file(tiered: Prices, tier: str | None, input_cost: float, output_cost: float) -> None:
    asked = generation("my-model", input=1_000_000, cache_read=200_000, output=1_000_000)
    asked.response_service_tier = tier
    found = tiered.cost_of(asked)
    assert found is not None
    assert (found.input, found.output, found.total) == pytest.approx((input_cost, output_cost, input_cost + output_cost + 0.01))
    assert found.prices == "mine-7"


def test_images_and_searches_of_a_price_file(tiered: Prices) -> None:
    found = tiered.cost_of(generation("my-model", input=0, output=1_000_000, output_image=500_000, web_searches=3))
    assert found is not None
    assert (found.output, found.total) == pytest.approx((20.0, 20.07))


def test_a_tier_without_a_known_price_has_no_cost(tiered: Prices) -> None:
    asked = generation("my-model", input=1, output=1)
    asked.response_service_tier = "flex"
    assert tiered.cost_of(asked) is None
    asked = claude(input=1_000, output=10)
    for tier, priced in (("standard", True), ("batch", False), ("priority", False)):
        asked.vendor_attributes["anthropic.response.service_tier"] = tier
        assert (Prices().cost_of(asked) is not None) is priced
    asked = generation("llama-3.3-70b-versatile", "groq", input=1_000, output=10)
    asked.response_service_tier = "on_demand"
    assert Prices().cost_of(asked) is not None


def test_flex_costs_half() -> None:
    def total(tier: str | None) -> float:
        asked = generation("gpt-5-mini", input=1_000_000, output=1_000_000)
        asked.response_service_tier = tier
        found = Prices().cost_of(asked)
        assert found is not None
        return found.total

    assert total("flex") == pytest.approx(total(None) / 2)
    assert total("priority") > total(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models = ", "Invalid value"),
        ('[models.a]\ntiers = "cheap"', "the tiers of 'a' are no object"),
        ("[models.a.tiers]\nbatch = 1", "the tier 'batch' of 'a' is no object"),
        ("[models.a.tiers.batch]\nimput = 1", "unknown price 'imput'"),
        ("[models.a]\ninput = inf", "is no number of 0 or more"),
    ],
)
@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML needs Python 3.11")
def test_a_broken_toml_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    problem = Prices(str(path)).problem
    assert problem is not None
    assert words in problem


def test_a_price_that_is_known_waits_for_no_import() -> None:
    """With a host provider it is the caller who asks, while threads of ours may be importing."""
    prices = Prices()
    found: list[Cost | None] = []
    first = prices.cost_of(generation(input=1, output=1))
    asking = threading.Thread(target=lambda: found.append(prices.cost_of(generation(input=1, output=1))))
    with loading:
        asking.start()
        asking.join(PATIENCE)
        assert not asking.is_alive()
    assert found == [first]
