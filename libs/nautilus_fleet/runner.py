"""From a checked configuration to a run folder: the one path that `fleet backtest` and `fleet verify` share.

Load, run, report; each is timed apart. All decisions are the engine's: here are only its arguments and its results.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import FleetError
from nautilus_fleet.market import Market, MarketStream, load_market
from nautilus_fleet.strategies import load_strategies, strategy_file
from nautilus_fleet.version import __version__

if TYPE_CHECKING:
    from nautilus_common.analysis.result import RunResult
    from nautilus_common.catalog.columns import DataColumns

    from nautilus_fleet.config import BacktestConfig, VenueSection
    from nautilus_fleet.config_source import LoadedConfig

# Charts are thinned to this many points an instrument.
PRICE_POINTS_MAX = 5_000


@dataclass(frozen=True)
class FinishedRun:
    """A run and the folder that it left."""

    result: RunResult
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """What `fleet backtest --json` prints."""
        from nautilus_common.analysis.reports import summary_json

        extra = {"name": self.result.name, "data_points": self.result.data_points, "folder": str(self.folder)}
        return summary_json(self.result) | extra


def run_backtest(loaded: LoadedConfig, *, progress: Any) -> FinishedRun:
    """Run a configuration and write its folder. Raises FleetError for what a user can mend.

    When a strategy raises, the folder is written with everything up to there, and then the error is raised.
    """
    started = time.perf_counter()
    market = load_market(loaded, progress)
    strategies = load_strategies(loaded)
    lock = build_lock(loaded, market)
    run_id = make_run_id(loaded, market, lock)
    runs = loaded.resolve(loaded.model.output.folder)
    runs.mkdir(parents=True, exist_ok=True)
    event_log = runs / f".{run_id}.{os.getpid()}.events"
    engine = build_engine(loaded, market, strategies, event_log, progress)
    loaded_at = time.perf_counter()
    progress.stage("run", market.rows())
    failure = _run(engine, loaded, strategies)
    ran_at = time.perf_counter()
    progress.stage("report")
    result = collect(engine, loaded, market, run_id, lock)
    result.event_log = str(event_log) if event_log.is_file() else None
    if failure is not None:
        result.warnings.insert(0, f"the run stopped early: {failure.what} ({failure.where})")
    folder = _write(result, runs, loaded.model, started, loaded_at, ran_at)
    engine.dispose()
    if failure is not None:
        remedy = f"everything up to there is in {shown(folder)}"
        raise FleetError(failure.what, where=failure.where, remedy=remedy) from failure.__cause__
    return FinishedRun(result, shown(folder))


def _run(engine: Any, loaded: LoadedConfig, strategies: list[Any]) -> FleetError | None:
    run = loaded.model.run
    try:
        engine.run(start=run.start, end=run.end)
    except FleetError:
        raise
    except Exception as error:
        found = _in_strategy(error, strategies)
        if found is None:
            raise
        return found
    return None


def _in_strategy(error: Exception, strategies: list[Any]) -> FleetError | None:
    """The error as the strategy's, when one of its frames is on the stack: its class, its method, its line."""
    files = {sys.modules[type(s).__module__].__file__: type(s).__name__ for s in strategies}
    found = None
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename in files:
            name = f"{files[code.co_filename]}.{code.co_name}"
            found = FleetError(
                f"{name} raised {type(error).__name__}: {error}", where=f"{code.co_filename}:{trace.tb_lineno}"
            )
        trace = trace.tb_next
    if found is not None:
        found.__cause__ = error
    return found


def shown(path: Path) -> Path:
    """A path as people like to read it: from here, where it lies below."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


# Identity


def build_lock(loaded: LoadedConfig, market: Market) -> dict[str, Any]:
    """The resolved configuration and the digests of all that it read: config.lock.toml."""
    document: dict[str, Any] = loaded.model.model_dump(exclude_none=True)
    inputs = dict(market.inputs)
    for section in loaded.model.all_strategies():
        file = strategy_file(loaded, section.path)
        if file is not None:
            inputs[section.path.rpartition(":")[0]] = hashlib.sha256(file.read_bytes()).hexdigest()
    for venue in loaded.model.venue.values():
        if venue.rollover is not None:
            path = loaded.resolve(venue.rollover.rates)
            inputs[venue.rollover.rates] = hashlib.sha256(_read_rates_bytes(path)).hexdigest()
    document["lock"] = {
        "base": str(loaded.base),
        "config": str(loaded.path),
        "version": __version__,
        "python": platform.python_version(),
        "inputs": inputs,
    }
    return document


def make_run_id(loaded: LoadedConfig, market: Market, lock: dict[str, Any]) -> str:
    """`<name>-<8 hex digits>`: a function of the settings and of the bytes read, wherever the files lie."""
    from nautilus_common.analysis.toml_writer import toml_text

    settings = {key: value for key, value in lock.items() if key not in ("lock", "output")}
    settings = _without_folders(settings)
    whole = hashlib.blake2b(toml_text(settings).encode(), digest_size=4)
    whole.update("".join(lock["lock"]["inputs"].values()).encode())
    name = loaded.model.run.name or loaded.base.name
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("-._") or "run"
    return f"{safe}-{whole.hexdigest()}"


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        names = ("file", "bid", "ask", "catalog", "rates")
        return {
            key: Path(item).name if key in names and isinstance(item, str) else _without_folders(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return value


# The engine's arguments


def build_engine(loaded: LoadedConfig, market: Market, strategies: list[Any], event_log: Path, progress: Any) -> Any:
    """A BacktestEngine with venues, instruments, data and strategies, in configured order."""
    from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig

    config = loaded.model
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=config.run.trader_id,
            risk_engine=_risk_config(config),
            data_engine=_data_config(config),
            logging=_logging_config(config),
            event_log=event_log,
            block_rows=config.data.block_rows,
            on_progress=progress.advance,
        )
    )
    for name, section in config.venue.items():
        engine.add_venue(**venue_arguments(name, section, loaded))
    _check_venues(loaded, market)
    for instrument in market.instruments.values():
        engine.add_instrument(instrument)
    for stream in market.streams:
        if stream.is_whole:
            engine.add_data(next(stream.read()))
        else:
            _add_in_pieces(engine, stream)
    for strategy, section in zip(strategies, config.all_strategies(), strict=True):
        engine.add_strategy(strategy, section.host)
    return engine


def _add_in_pieces(engine: Any, stream: MarketStream) -> None:
    first_ns = int(next(stream.read()).columns["ts_init"][0])
    engine.add_stream(
        stream.kind,
        stream.instrument_id,
        lambda: (piece.columns for piece in stream.read()),
        stream.bar_type,
        stream.rows,
        first_ns,
    )


def _check_venues(loaded: LoadedConfig, market: Market) -> None:
    known = list(loaded.model.venue)
    for name, instrument in market.instruments.items():
        venue = str(instrument.id.venue)
        if venue not in known:
            remedy = f"add [venue.{venue}] with its starting_balances; there is {', '.join(known)}"
            raise FleetError(f"no venue {venue} for instrument {name}", where=loaded.where("venue"), remedy=remedy)


def venue_arguments(name: str, section: VenueSection, loaded: LoadedConfig) -> dict[str, Any]:
    """The keyword arguments of `BacktestEngine.add_venue` for one `[venue.NAME]`."""
    from nautilus_common.model.enums import AccountType, OmsType
    from nautilus_common.model.identifiers import InstrumentId, Venue
    from nautilus_common.model.values import Currency, Money

    plain = section.model_dump(
        include={
            "reject_stop_orders", "support_gtd_orders", "use_reduce_only",
            "use_market_order_acks", "bar_execution", "bar_adaptive_high_low_ordering", "trade_execution",
            "allow_cash_borrowing", "frozen_account",
        }
    )  # fmt: skip
    base = section.base_currency
    leverage = section.default_leverage
    return plain | {
        "venue": Venue(name),
        "oms_type": OmsType[section.oms_type],
        "account_type": AccountType[section.account_type],
        "base_currency": None if base is None else Currency.from_str(base),
        "starting_balances": [Money.from_str(text) for text in section.starting_balances],
        "default_leverage": None if leverage is None else Decimal(leverage),
        "leverages": {InstrumentId.from_str(k): Decimal(v) for k, v in section.leverages.items()} or None,
        **_models(section, loaded),
    }


def _models(section: VenueSection, loaded: LoadedConfig) -> dict[str, Any]:
    from nautilus_common.venues.simulated.models import FillModel, LatencyModel

    from nautilus_fleet.backtest import FXRolloverInterestModule, LeveragedMarginModel, StandardMarginModel

    models: dict[str, Any] = {
        "margin_model": StandardMarginModel() if section.margin_model == "standard" else LeveragedMarginModel()
    }
    if section.fill_model is not None:
        fill = section.fill_model
        seed = loaded.model.run.seed if fill.random_seed is None else fill.random_seed
        models["fill_model"] = FillModel(fill.prob_fill_on_limit, fill.prob_slippage, seed)
    if section.latency is not None:
        nanos = section.latency.nanos
        models["latency_model"] = LatencyModel(nanos("base"), nanos("insert"), nanos("update"), nanos("cancel"))
    if section.rollover is not None:
        from nautilus_common.venues.simulated.rollover import RolloverRates

        path = loaded.resolve(section.rollover.rates)
        text = _read_rates_bytes(path).decode("utf-8")
        models["modules"] = [FXRolloverInterestModule(RolloverRates.from_csv_text(text, str(path)))]
    return models


def _read_rates_bytes(path: Path) -> bytes:
    """A rates file, plain or gzipped."""
    import gzip

    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "FLEET_DATA names the data folder: export FLEET_DATA=/path/to/data"
        raise FleetError(
            f"the interest rates cannot be read: {error.strerror}", where=str(path), remedy=remedy
        ) from None
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _risk_config(config: BacktestConfig) -> Any:
    from nautilus_common.limits import RateLimit, RiskEngineConfig
    from nautilus_common.model.identifiers import InstrumentId

    risk = config.risk
    return RiskEngineConfig(
        bypass=risk.bypass,
        max_order_submit_rate=RateLimit.from_str(risk.max_order_submit_rate),
        max_order_modify_rate=RateLimit.from_str(risk.max_order_modify_rate),
        max_notional_per_order={InstrumentId.from_str(k): Decimal(v) for k, v in risk.max_notional_per_order.items()},
    )


def _data_config(config: BacktestConfig) -> Any:
    from nautilus_common.aggregation import BarOptions

    return BarOptions(**config.bars.model_dump())


def _logging_config(config: BacktestConfig) -> Any:
    from nautilus_fleet.backtest import LoggingConfig

    return LoggingConfig(log_level=config.run.log_level, sink=_log_to_stderr)


def _log_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


# The engine's results


def collect(engine: Any, loaded: LoadedConfig, market: Market, run_id: str, lock: dict[str, Any]) -> RunResult:
    """Everything that reports read, from an engine that has run."""
    from nautilus_common.analysis.result import RunResult

    config = loaded.model
    balances = _balances(engine)
    streams = [stream for stream in market.streams if stream.rows]
    spans = [_span(stream) for stream in streams]
    return RunResult(
        run_id=run_id,
        name=config.run.name or loaded.base.name,
        digest=engine.digest,
        seed=config.run.seed,
        periods_per_year=config.stats.periods_per_year,
        start_ns=min(first for first, _ in spans),
        end_ns=max(last for _, last in spans),
        config=lock,
        data=market.describe(),
        events=engine.event_count,
        data_points=market.rows(),
        orders=_rows(engine.generate_orders_report()),
        fills=_rows(engine.generate_fills_report()),
        positions=_rows(engine.generate_positions_report()),
        account_states=[row for name in config.venue for row in _rows(engine.generate_account_report(name))],
        equity=_equity(engine),
        prices=_prices(streams, market),
        balances=balances,
        pnl=_pnl(balances, config),
        warnings=list(getattr(engine, "warnings", ())),
        versions=_versions(),
    )


def _rows(report: Any) -> list[dict[str, Any]]:
    """A report's rows, whichever table the engine returns."""
    if hasattr(report, "to_pylist"):
        rows: list[dict[str, Any]] = report.to_pylist()
        return rows
    return list(report)


def _balances(engine: Any) -> dict[str, dict[str, str]]:
    from nautilus_common.catalog.columns import decimal_text

    return {
        str(account.id): {c.code: decimal_text(money.raw, c.precision) for c, money in account.balances_total().items()}
        for account in engine.cache.accounts()
    }


def _pnl(balances: dict[str, dict[str, str]], config: BacktestConfig) -> dict[str, str]:
    """What each currency's balances have gained since the start, over all accounts."""
    change: dict[str, Decimal] = {}
    for account in balances.values():
        for currency, amount in account.items():
            change[currency] = change.get(currency, Decimal(0)) + Decimal(amount)
    for venue in config.venue.values():
        for text in venue.starting_balances:
            amount, currency = text.replace("_", "").split()
            change[currency] = change.get(currency, Decimal(0)) - Decimal(amount)
    return {currency: str(amount) for currency, amount in change.items()}


def _equity(engine: Any) -> dict[str, Any]:
    import numpy as np

    out = {}
    for (account, currency), points in engine.equity_points.items():
        ts = np.array([point[0] for point in points], dtype=np.int64)
        balance = np.array([point[1] for point in points], dtype=np.float64)
        unrealized = np.array([point[2] for point in points], dtype=np.float64)
        columns = {"ts": ts, "equity": balance + unrealized, "balance": balance, "unrealized": unrealized}
        out[f"{account}/{currency}"] = columns
    return out


def _prices(streams: list[MarketStream], market: Market) -> dict[str, Any]:
    """One series an instrument, of the first stream that it has."""
    out: dict[str, Any] = {}
    for stream in streams:
        name = str(stream.instrument_id)
        if name not in out:
            out[name] = price_series(stream, market.instruments[name].price_precision)
    return out


def price_series(stream: MarketStream, precision: int) -> dict[str, Any]:
    """Open, high, low, close over equal stretches of time, at most PRICE_POINTS_MAX of them: for charts only.

    Reads the stream once more, in the pieces in which it comes.
    """
    import numpy as np

    start, end = _span(stream)
    width = (end - start) // PRICE_POINTS_MAX + 1
    parts = [_price_points(piece, precision, start, width) for piece in stream.read()]
    bucket, ts, opens, tops, lows, closes = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # A stretch that two pieces share has a point from each.
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    ends = np.append(starts[1:], len(ts)) - 1
    return {
        "ts": ts[ends],
        "open": opens[starts],
        "high": np.maximum.reduceat(tops, starts),
        "low": np.minimum.reduceat(lows, starts),
        "close": closes[ends],
    }


def _price_points(piece: DataColumns, precision: int, start: int, width: int) -> tuple[Any, ...]:
    """(bucket, ts, open, high, low, close) of one piece, a row a bucket."""
    import numpy as np

    columns, scale = piece.columns, 10.0**precision
    if piece.kind == "quote":
        opens = tops = lows = closes = (columns["bid"] + columns["ask"]) / (2.0 * scale)
    elif piece.kind == "trade":
        opens = tops = lows = closes = columns["price"] / scale
    else:
        opens, tops, lows, closes = (columns[name] / scale for name in ("open", "high", "low", "close"))
    ts = columns["ts_init"]
    bucket = (ts - start) // width
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    ends = np.append(starts[1:], len(ts)) - 1
    highest, lowest = np.maximum.reduceat(tops, starts), np.minimum.reduceat(lows, starts)
    return bucket[starts], ts[ends], opens[starts], highest, lowest, closes[ends]


def _span(stream: MarketStream) -> tuple[int, int]:
    """First and last time of a stream."""
    first = last = None
    for piece in stream.read():
        ts = piece.columns["ts_init"]
        first, last = (int(ts[0]) if first is None else first), int(ts[-1])
    assert first is not None
    assert last is not None
    return first, last


def _versions() -> dict[str, str]:
    found = {"nautilus-fleet": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in ("numpy", "numba")}


def _write(
    result: RunResult, runs: Path, config: BacktestConfig, started: float, loaded_at: float, ran_at: float
) -> Path:
    from nautilus_common.analysis.run_folder import write_run
    from nautilus_common.analysis.statistics import compute_statistics

    statistics = compute_statistics(result)
    seconds = {"load": loaded_at - started, "run": ran_at - loaded_at, "report": time.perf_counter() - ran_at}
    result.seconds = {name: round(value, 6) for name, value in seconds.items()}
    return write_run(result, runs, statistics=statistics, tearsheet=config.output.tearsheet)
