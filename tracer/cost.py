"""What a model call cost, from the provider's own figure, the user's price file, or the prices bundled with `genai-prices`.

Prices are never fetched from the network. A model whose price is not known has no cost; it never costs 0.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from tracer.bundled_prices import genai_prices
from tracer.loading import loading
from tracer.reading.generation import Cost, Generation, Usage

PROVIDER = "provider"
"""`Cost.prices` where the provider itself reported the cost."""

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)
_NOTHING = Decimal(0)

# Some prices change with the time of day; those are looked up again after this many seconds.
_CONDITIONAL_LIFE = 60.0

# Models whose names come from outside are kept only up to this number.
_MOST_MODELS = 2_000

_PLAIN_TIERS = (None, "", "default", "standard", "standard_only", "auto", "on_demand")
"""Names of the tier that everybody gets."""
_TIERS_OF_OTHER_PRICE = ("flex", "priority", "batch", "scale")
_PROVIDERS_WITH_TIERS = ("openai", "azure.ai.openai", "anthropic")

_PROVIDER_IDS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "github_copilot": "github-copilot",
}
"""Names of `gen_ai.provider.name` that genai-prices spells otherwise."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Price of one million tokens; above a number of input tokens of the whole call another price may hold for all of them."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The price per million that holds for a call with so many input tokens."""
        price = self.base
        for start, higher in self.steps:
            if input_tokens > start:
                price = higher
        return price


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of one model. Where a kind of token has no price of its own, it counts as plain input or output.

    `version` and `currency` are those of the price table the rates come from.
    """

    input: Rate | None
    output: Rate | None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    cache_write_hour: Rate | None = None
    """For tokens that stay in the cache for an hour; without it they cost what others written to it do."""
    input_audio: Rate | None = None
    input_image: Rate | None = None
    output_audio: Rate | None = None
    output_image: Rate | None = None
    reasoning: Rate | None = None
    request: Decimal | None = None
    """Price of the call itself, beside its tokens."""
    web_search: Decimal | None = None
    """Price of one search that the provider makes."""
    cached_by_modality: bool = False
    """Cached audio or images cost less than fresh ones: with both in one call, their overlap would have to be known."""
    currency: str = "USD"
    version: str = ""


class Prices:
    """Prices by provider and model; each is resolved once and kept.

    `path` is the user's own price file (`TRACER_PRICES`), asked before the bundled prices. Its form, with prices per million tokens
    and names that may end in `*`:

        {"currency": "USD", "version": "2026-11",
         "models": {"gpt-4o-mini": {"input": 0.15, "output": 0.6, "cache_read": 0.075, "tiers": {"flex": {"input": 0.07, "output": 0.3}}},
                    "my-*": {"input": 1, "output": 2}}}

    A name that ends in `.toml` is read as TOML. `tiers` has the prices of service tiers (`flex`, `priority`, `batch`); what a tier does
    not name costs what it costs without.

    `problem` says in one sentence why a file is not used, else it is None; nothing raises.

    >>> Prices("/nowhere.json").problem
    'Price file /nowhere.json is not used: No such file or directory. Bundled prices are used.'
    """

    def __init__(self, path: str | None = None) -> None:
        self.problem: str | None = None
        self._own: list[_Entry] = []
        self._known: dict[tuple[str, str, str], tuple[Rates | None, float]] = {}
        if path:
            try:
                self._own = _read_price_file(Path(path))
            except (OSError, ValueError, TypeError, ArithmeticError, ImportError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self.problem = f"Price file {path} is not used: {reason}. Bundled prices are used."

    def cost_of(self, generation: Generation) -> Cost | None:
        """The cost of one model call, or None where usage or price is not known.

        What the provider reported (`Usage.cost`, US dollars) wins. Cached, written, audio and image tokens are charged at their own
        prices and only the rest of the input or output at the plain one; reasoning tokens are output.
        """
        usage = generation.usage
        if usage is None:
            return None
        if usage.cost is not None:
            return Cost(float(usage.cost), None, None, "USD", PROVIDER)
        # Of an embedding only the input is charged; elsewhere one half of the usage would be half of the truth.
        if usage.input is None or (usage.output is None and generation.operation != "embeddings"):
            return None
        tier = _tier_of(generation)
        for model in (generation.response_model, generation.request_model):
            rates = self.rates_of(generation.provider, model, tier) if model else None
            if rates is not None:
                return self._with_others(charge(usage, rates), usage, generation.provider)
        return None

    def _with_others(self, cost: Cost | None, usage: Usage, provider: str) -> Cost | None:
        """Add what further models cost that the provider asked on the way; without the price of one, no cost is known."""
        for other in usage.others or ():
            rates = self.rates_of(provider, other.model)
            more = charge(other.usage, rates) if rates is not None else None
            if cost is None or more is None or cost.currency != more.currency:
                return None
            cost = replace(
                cost,
                total=cost.total + more.total,
                input=(cost.input or 0.0) + (more.input or 0.0),
                output=(cost.output or 0.0) + (more.output or 0.0),
            )
        return cost

    def rates_of(self, provider: str, model: str, service_tier: str | None = None) -> Rates | None:
        """Prices of a model, or None if neither the own file nor the bundled prices know it."""
        # Providers name the plain tier too; without it, versions of genai-prices that know no tiers still give its price.
        service_tier = None if service_tier in _PLAIN_TIERS else service_tier
        key = (provider, model, service_tier or "")
        known = self._known.get(key)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        rates, life = self._resolve(provider, model, service_tier)
        if len(self._known) >= _MOST_MODELS:
            self._known.clear()
        self._known[key] = (rates, time.monotonic() + life)
        return rates

    def _resolve(self, provider: str, model: str, service_tier: str | None) -> tuple[Rates | None, float]:
        for entry in self._own:
            if model == entry.pattern or (entry.pattern.endswith("*") and model.startswith(entry.pattern[:-1])):
                return entry.rates_at(provider, service_tier), float("inf")
        try:
            with loading:  # The first one imports the prices.
                found, life = _bundled_rates(_PROVIDER_IDS.get(provider, provider), model, service_tier)
            if _costs_otherwise(provider, service_tier) and found == _bundled_rates(_PROVIDER_IDS.get(provider, provider), model, None)[0]:
                return None, life  # The table has no price for this tier: the plain one would be wrong.
            return found, life
        except Exception:
            # An unknown model raises LookupError; another version of the package may raise anything: no price either way.
            return None, float("inf")


def charge(usage: Usage, rates: Rates) -> Cost | None:
    """What `usage` costs at `rates`; None where counts contradict each other or the price of a needed kind is not known.

    >>> rates = Rates(Rate(Decimal("0.15")), Rate(Decimal("0.6")), version="mine")
    >>> charge(Usage(input=1000, output=100), rates)
    Cost(total=0.00021, input=0.00015, output=6e-05, currency='USD', prices='mine')
    """
    total_input, total_output = usage.input or 0, usage.output or 0
    if rates.cached_by_modality and usage.cache_read and (usage.input_audio or usage.input_image):
        return None
    for_an_hour = usage.cache_write_hour if rates.cache_write_hour is not None else None
    written = usage.cache_write - (for_an_hour or 0) if usage.cache_write is not None else None
    if written is not None and written < 0:
        return None
    input_kinds = (
        (usage.cache_read, rates.cache_read),
        (written, rates.cache_write),
        (for_an_hour, rates.cache_write_hour),
        (usage.input_audio, rates.input_audio),
        (usage.input_image, rates.input_image),
    )
    output_kinds = (
        (usage.output_audio, rates.output_audio),
        (usage.output_image, rates.output_image),
        (usage.reasoning, rates.reasoning),
    )
    input_price = _price(total_input, rates.input, input_kinds, total_input)
    output_price = _price(total_output, rates.output, output_kinds, total_input)
    if input_price is None or output_price is None:
        return None
    searches = (rates.web_search or _NOTHING) * (usage.web_searches or 0)
    total = input_price + output_price + (rates.request or _NOTHING) + searches
    return Cost(float(total), float(input_price), float(output_price), rates.currency, rates.version)


def _price(total: int, plain: Rate | None, kinds: Sequence[tuple[int | None, Rate | None]], tier: int) -> Decimal | None:
    """Price of `total` tokens of which some kinds have their own rates; `tier` is the number that decides about steps."""
    price, rest = _NOTHING, total
    for count, rate in kinds:
        if count and rate is not None:
            price += rate.at(tier) * count
            rest -= count
    if rest < 0 or (rest and plain is None):
        return None
    if rest and plain is not None:
        price += plain.at(tier) * rest
    return price / _MILLION


_FILE_KINDS = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_hour",
    "input_audio",
    "input_image",
    "output_audio",
    "output_image",
    "reasoning",
)
_PER_CALL = ("request", "web_search")
"""Prices of one call and of one search, not of a million."""
_TIERS = "tiers"


def _read_price_file(path: Path) -> list[_Entry]:
    """Exact names first, then the longest pattern, so that the closest entry is found first."""
    data = _parse_price_file(path)
    models = cast("dict[str, object]", data).get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict):
        raise ValueError('it has no object "models"')
    table = cast("dict[str, Any]", data)
    currency, version = str(table.get("currency") or "USD"), str(table.get("version") or path.name)
    entries = [_entry(name, prices, currency, version) for name, prices in cast("dict[str, object]", models).items()]
    return sorted(entries, key=lambda entry: (entry.pattern.endswith("*"), -len(entry.pattern)))


def _parse_price_file(path: Path) -> object:
    text = path.read_text("utf-8")
    if path.suffix.lower() != ".toml":
        return json.loads(text, parse_float=Decimal)
    if sys.version_info < (3, 11):
        raise ImportError("TOML needs Python 3.11; write it as JSON")
    import tomllib

    return tomllib.loads(text, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model, or the beginning of names of models, in the user's file."""

    pattern: str
    rates: Rates
    tiers: Mapping[str, Rates]

    def rates_at(self, provider: str, tier: str | None) -> Rates | None:
        if tier is None:
            return self.rates
        return self.tiers.get(tier, None if _costs_otherwise(provider, tier) else self.rates)


def _costs_otherwise(provider: str, tier: str | None) -> bool:
    return tier in _TIERS_OF_OTHER_PRICE and provider in _PROVIDERS_WITH_TIERS


def _tier_of(generation: Generation) -> str | None:
    """The tier in which the provider says it answered."""
    tier = generation.response_service_tier or generation.vendor_attributes.get("anthropic.response.service_tier")
    return tier.lower() if isinstance(tier, str) else None


def _entry(name: str, prices: object, currency: str, version: str) -> _Entry:
    if not isinstance(prices, dict):
        raise ValueError(f"the entry of {name!r} is no object")
    plain = dict(cast("dict[str, object]", prices))
    tiers = plain.pop(_TIERS, {})
    if not isinstance(tiers, dict):
        raise ValueError(f"the tiers of {name!r} are no object")
    by_tier: dict[str, Rates] = {}
    for tier, changed in cast("dict[str, object]", tiers).items():
        if not isinstance(changed, dict):
            raise ValueError(f"the tier {tier!r} of {name!r} is no object")
        by_tier[tier.lower()] = _file_rates(name, {**plain, **cast("dict[str, object]", changed)}, currency, version)
    return _Entry(name, _file_rates(name, plain, currency, version), by_tier)


def _file_rates(name: str, entry: Mapping[str, object], currency: str, version: str) -> Rates:
    prices: dict[str, Any] = {"input": None, "output": None}
    for kind, price in entry.items():
        if kind not in (*_FILE_KINDS, *_PER_CALL):
            raise ValueError(f"{name!r} has the unknown price {kind!r}; known are {', '.join((*_FILE_KINDS, *_PER_CALL, _TIERS))}")
        if isinstance(price, bool) or not isinstance(price, int | Decimal) or not 0 <= price < Decimal("Infinity"):
            raise ValueError(f"the price {kind!r} of {name!r} is no number of 0 or more")
        prices[kind] = Decimal(price) if kind in _PER_CALL else Rate(Decimal(price))
    return Rates(**prices, currency=currency, version=version)


def _bundled_rates(provider: str, model: str, service_tier: str | None) -> tuple[Rates | None, float]:
    """Rates of the bundled table, and for how many seconds they hold."""
    package = genai_prices()
    context: dict[str, Any] = {"price_context": {"service_tier": service_tier}} if service_tier else {}
    found: Any = package.calc_price(package.Usage(), model, provider_id=provider, **context)
    prices = found.model_price
    rates = Rates(
        input=_rate(prices, "input_mtok"),
        output=_rate(prices, "output_mtok"),
        cache_read=_rate(prices, "cache_read_mtok"),
        cache_write=_rate(prices, "cache_write_mtok"),
        cache_write_hour=_rate(prices, "cache_write_1h_mtok"),
        input_audio=_rate(prices, "input_audio_mtok"),
        input_image=_rate(prices, "input_image_mtok"),
        output_audio=_rate(prices, "output_audio_mtok"),
        output_image=_rate(prices, "output_image_mtok"),
        reasoning=_rate(prices, "output_reasoning_mtok"),
        request=_per_request(getattr(prices, "requests_kcount", None)),
        web_search=_per_request(getattr(prices, "web_searches_kcount", None)),
        cached_by_modality=bool(getattr(prices, "cache_audio_read_mtok", None) or getattr(prices, "cache_image_read_mtok", None)),
        version=f"genai-prices {package.__version__}",
    )
    return rates, _CONDITIONAL_LIFE if isinstance(found.model.prices, list) else float("inf")


def _rate(prices: Any, key: str) -> Rate | None:
    price = getattr(prices, key, None)
    if price is None or isinstance(price, Decimal):
        return None if price is None else Rate(price)
    return Rate(price.base, tuple((tier.start, tier.price) for tier in price.tiers))


def _per_request(price: Any) -> Decimal | None:
    return price / _THOUSAND if isinstance(price, Decimal) else None
