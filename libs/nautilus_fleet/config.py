"""The settings of a backtest: one TOML file, checked here; the reference is docs/reference/config.md.

Names are those of `BacktestEngine.add_venue` and of the instruments' constructors. Money, prices and rates are
strings ("0.00002"), never floats: a float has already lost the number that was meant. Paths are relative to the file
that holds them.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

PERIODS_HELP = (
    "365 for a market that never closes (crypto), 260 for FX (weekdays), 252 for an exchange with holidays; "
    "it scales volatility, Sharpe and CAGR, so it is never guessed"
)


class TextFloat(float):
    """A float that keeps the digits it was written with, and prints them."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


class ShellFloat(TextFloat):
    """A number typed in a shell, where quoting is awkward: a decimal setting takes it by its digits."""


def _decimal_text(value: object) -> object:
    """Accept "0.03" and 3, refuse 0.03: TOML's floats are binary."""
    if isinstance(value, ShellFloat):
        value = value.text
    if isinstance(value, bool):
        raise ValueError('expected a decimal number in quotes, for example "0.03"')
    if isinstance(value, float):
        raise ValueError(f'a float is not exact; write it as a string: "{getattr(value, "text", repr(value))}"')
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        try:
            number = Decimal(value.replace("_", ""))
        except InvalidOperation:
            raise ValueError(f'"{value}" is not a decimal number; write, for example, "0.03"') from None
        if not number.is_finite():
            raise ValueError(f'"{value}" is not a finite number')
        return value.replace("_", "")
    return value


def _money_text(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9][0-9_]*(\.[0-9]+)? [A-Z0-9]+", value):
        return value
    raise ValueError('expected an amount and a currency, for example "1000000 USD"')


def _rate_text(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]*/[0-9]{2,}:[0-9]{2}:[0-9]{2}", value):
        return value
    raise ValueError('expected a count and an interval HH:MM:SS, for example "100/00:00:01"')


def _instrument_text(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r".+\.[^.\s]+", value):
        return value
    raise ValueError('expected SYMBOL.VENUE, for example "USD/JPY.SIM"')


def _moment(value: object) -> object:
    """TOML dates and times come as objects: keep their text, which is what the lock file and the digest hold."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str) and not re.match(r"^\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f'"{value}" is not a date or time; write 2024-01-31 or 2024-01-31T17:00:00Z')
    return value


DecimalText = Annotated[str, BeforeValidator(_decimal_text)]
MoneyText = Annotated[str, BeforeValidator(_money_text)]
RateText = Annotated[str, BeforeValidator(_rate_text)]
InstrumentText = Annotated[str, BeforeValidator(_instrument_text)]
Moment = Annotated[str, BeforeValidator(_moment)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values do not change after checking."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RunSection(Section):
    """`[run]`: what runs, and over which time."""

    name: str = ""
    strategy: str | None = None
    trader_id: Annotated[str, Field(pattern=r"^.+-.+$")] = "TRADER-001"
    seed: Annotated[int, Field(ge=0)] = 1
    start: Moment | None = None
    end: Moment | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "OFF"] = "WARNING"


class StrategySection(Section):
    """One of `[[strategies]]`, in the order in which they are added. Those of one `host` share a process."""

    path: str
    id: str | None = None
    order_id_tag: str | None = None
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    params: dict[str, Any] = {}


class FillModelSection(Section):
    """`[venue.X.fill_model]`: probabilities of the simulated fills, drawn from a seeded generator."""

    prob_fill_on_limit: Annotated[float, Field(ge=0, le=1)] = 1.0
    prob_slippage: Annotated[float, Field(ge=0, le=1)] = 0.0
    random_seed: int | None = None


class LatencySection(Section):
    """`[venue.X.latency]`: each name ends in its unit; the parts of one command add up."""

    base_ms: Annotated[int, Field(ge=0)] = 0
    base_us: Annotated[int, Field(ge=0)] = 0
    base_ns: Annotated[int, Field(ge=0)] = 0
    insert_ms: Annotated[int, Field(ge=0)] = 0
    insert_us: Annotated[int, Field(ge=0)] = 0
    insert_ns: Annotated[int, Field(ge=0)] = 0
    update_ms: Annotated[int, Field(ge=0)] = 0
    update_us: Annotated[int, Field(ge=0)] = 0
    update_ns: Annotated[int, Field(ge=0)] = 0
    cancel_ms: Annotated[int, Field(ge=0)] = 0
    cancel_us: Annotated[int, Field(ge=0)] = 0
    cancel_ns: Annotated[int, Field(ge=0)] = 0

    def nanos(self, kind: str) -> int:
        """The sum of one kind ("base", "insert", "update", "cancel") in nanoseconds."""
        ms, us, ns = (getattr(self, f"{kind}_{unit}") for unit in ("ms", "us", "ns"))
        return int(ms * 1_000_000 + us * 1_000 + ns)


class RolloverSection(Section):
    """`[venue.X.rollover]`: FX rollover interest from a file of monthly OECD short-term rates."""

    rates: str


class VenueSection(Section):
    """`[venue.NAME]`: one simulated venue and its account."""

    oms_type: Literal["NETTING", "HEDGING"] = "NETTING"
    account_type: Literal["CASH", "MARGIN"] = "MARGIN"
    base_currency: str | None = None
    starting_balances: Annotated[list[MoneyText], Field(min_length=1)]
    default_leverage: DecimalText | None = None
    leverages: dict[InstrumentText, DecimalText] = {}
    margin_model: Literal["leveraged", "standard"] = "leveraged"
    fill_model: FillModelSection | None = None
    latency: LatencySection | None = None
    rollover: RolloverSection | None = None
    bar_execution: bool = True
    bar_adaptive_high_low_ordering: bool = False
    trade_execution: bool = True
    reject_stop_orders: bool = True
    support_gtd_orders: bool = True
    use_reduce_only: bool = True
    use_market_order_acks: bool = False
    allow_cash_borrowing: bool = False
    frozen_account: bool = False


class InstrumentSection(Section):
    """What the definitions below share; increments default to one unit of the precision."""

    instrument_id: InstrumentText
    raw_symbol: str | None = None
    price_precision: Annotated[int, Field(ge=0, le=18)]
    price_increment: DecimalText | None = None
    lot_size: DecimalText | None = None
    max_quantity: DecimalText | None = None
    min_quantity: DecimalText | None = None
    margin_init: DecimalText = "0"
    margin_maint: DecimalText = "0"
    maker_fee: DecimalText = "0"
    taker_fee: DecimalText = "0"


class CurrencyPairSection(InstrumentSection):
    """A spot pair: base bought and sold for quote."""

    type: Literal["CurrencyPair"]
    base_currency: str
    quote_currency: str
    size_precision: Annotated[int, Field(ge=0, le=18)] = 0
    size_increment: DecimalText | None = None
    multiplier: DecimalText | None = None
    max_notional: MoneyText | None = None
    min_notional: MoneyText | None = None
    max_price: DecimalText | None = None
    min_price: DecimalText | None = None


class EquitySection(InstrumentSection):
    """A share."""

    type: Literal["Equity"]
    currency: str
    isin: str | None = None


class CryptoPerpetualSection(InstrumentSection):
    """A perpetual swap, linear or inverse."""

    type: Literal["CryptoPerpetual"]
    base_currency: str
    quote_currency: str
    settlement_currency: str
    is_inverse: bool = False
    size_precision: Annotated[int, Field(ge=0, le=18)] = 0
    size_increment: DecimalText | None = None
    multiplier: DecimalText | None = None
    max_notional: MoneyText | None = None
    min_notional: MoneyText | None = None
    max_price: DecimalText | None = None
    min_price: DecimalText | None = None


class FuturesContractSection(InstrumentSection):
    """A dated future."""

    type: Literal["FuturesContract"]
    asset_class: str = "INDEX"
    currency: str
    multiplier: DecimalText
    underlying: str
    activation: Moment
    expiration: Moment
    exchange: str | None = None


AnyInstrument = Annotated[
    CurrencyPairSection | EquitySection | CryptoPerpetualSection | FuturesContractSection, Field(discriminator="type")
]

FileKind = Literal["quotes", "trades", "bars", "bid_ask_bars_as_quotes", "bars_as_quotes", "bars_as_trades"]


class DataFileSection(Section):
    """One of `[[data.files]]`: a CSV or Parquet file read directly, without a catalogue.

    `timestamp` is "iso", an epoch's unit ("s", "ms", "us", "ns") or a strptime format; `timezone` is that of times that
    name none. `columns` maps our names to the file's. `limit` takes the first rows of the file only.
    """

    kind: FileKind
    instrument: InstrumentText
    file: str | None = None
    bid: str | None = None
    ask: str | None = None
    bar_type: str | None = None
    limit: Annotated[int, Field(gt=0)] | None = None
    columns: dict[str, str] = {}
    timestamp: str = "iso"
    timezone: str = "UTC"
    timestamp_offset_ns: int = 0
    ts_init_delta_ns: Annotated[int, Field(ge=0)] = 0
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    column_names: list[str] = []
    price_scale: Annotated[int, Field(ge=0, le=18)] = 0
    size_scale: Annotated[int, Field(ge=0, le=18)] = 0
    default_size: DecimalText | None = None
    size_rounding: Literal["error", "half_even"] = "error"
    on_duplicate: Literal["error", "drop"] = "error"
    allow_crossed: bool = False

    @model_validator(mode="after")
    def _names_its_files(self) -> Self:
        if self.kind == "bid_ask_bars_as_quotes":
            if self.bid is None or self.ask is None or self.file is not None:
                raise ValueError(f'kind "{self.kind}" needs two files: bid = "..." and ask = "..."')
        elif self.file is None or self.bid is not None or self.ask is not None:
            raise ValueError(f'kind "{self.kind}" needs one file: file = "..."')
        if self.kind == "bars" and self.bar_type is None:
            raise ValueError('kind "bars" needs bar_type, for example "BTCUSDT-PERP.SIM-1-MINUTE-LAST-EXTERNAL"')
        return self


class SampleSection(Section):
    """`sample = {seed = 42, days = 10}`: the seeded market that comes with the library."""

    seed: Annotated[int, Field(ge=0)] = 42
    days: Annotated[int, Field(ge=1, le=60)] = 10


class DataSection(Section):
    """`[data]`: the catalogue and what to take of it, or files, or both. `block_rows` bounds memory, never results."""

    catalog: str | None = None
    instruments: list[InstrumentText] = []
    kinds: list[Literal["quotes", "trades", "bars"]] = []
    bar_types: list[str] = []
    files: list[DataFileSection] = []
    sample: SampleSection | None = None
    block_rows: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.catalog is None and not self.files and self.sample is None:
            raise ValueError('[data] names nothing to read: give catalog = "data", or [[data.files]]')
        return self


class BarsSection(Section):
    """`[bars]`: how time bars are built from ticks (the time_bars_* options of the data engine)."""

    interval_type: Literal["left-open", "right-open"] = "left-open"
    timestamp_on_close: bool = True
    skip_first_non_full_bar: bool = False
    build_with_no_updates: bool = True
    build_delay_us: Annotated[int, Field(ge=0)] = 0


class RiskSection(Section):
    """`[risk]`: the limits that every order passes."""

    bypass: bool = False
    max_order_submit_rate: RateText = "100/00:00:01"
    max_order_modify_rate: RateText = "100/00:00:01"
    max_notional_per_order: dict[InstrumentText, DecimalText] = {}


class StatsSection(Section):
    """`[stats]`: periods_per_year has no default, because each default is wrong for somebody."""

    periods_per_year: Annotated[int, Field(gt=0, le=366)]
    risk_free: DecimalText = "0"


class OutputSection(Section):
    """`[output]`: where run folders go."""

    folder: str = "runs"
    tearsheet: bool = True


class BacktestConfig(Section):
    """The whole file."""

    run: RunSection = RunSection()
    params: dict[str, Any] = {}
    strategies: list[StrategySection] = []
    venue: Annotated[dict[str, VenueSection], Field(min_length=1)]
    instruments: list[AnyInstrument] = []
    data: DataSection
    bars: BarsSection = BarsSection()
    risk: RiskSection = RiskSection()
    stats: StatsSection
    output: OutputSection = OutputSection()

    @model_validator(mode="after")
    def _names_a_strategy(self) -> Self:
        if self.run.strategy is not None and self.strategies:
            raise ValueError("give run.strategy with [params], or [[strategies]], not both")
        if self.run.strategy is None and not self.strategies:
            raise ValueError('no strategy: give run.strategy = "strategies/ema_cross.py:EmaCross"')
        if self.params and self.strategies:
            raise ValueError("[params] belongs to run.strategy; in [[strategies]] each has params = {...}")
        return self

    def all_strategies(self) -> list[StrategySection]:
        """The strategies in order, whichever of the two ways they were written."""
        if self.run.strategy is None:
            return list(self.strategies)
        return [StrategySection(path=self.run.strategy, params=self.params)]
