"""Instruments and market data as a configuration names them: from inline definitions, files and the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import FleetError, NoDataError

if TYPE_CHECKING:
    from nautilus_common.catalog.catalog import Catalog
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_common.catalog.manifest import CatalogEntry

    from nautilus_fleet.config import DataFileSection, InstrumentSection
    from nautilus_fleet.config_source import LoadedConfig

_KINDS = {"quotes": "quote", "trades": "trade", "bars": "bar"}


@dataclass(frozen=True)
class MarketStream:
    """One stream of a run: all its columns, or, where the configuration bounds memory, a way to read them in pieces."""

    kind: str
    instrument_id: Any
    bar_type: Any
    rows: int
    sha256: str
    allow_crossed: bool
    read: Callable[[], Iterator[DataColumns]]
    """Reads it from the beginning, each time it is called."""
    is_whole: bool = True
    """Whether `read` gives everything at once."""


@dataclass
class Market:
    """What a run is fed: instruments by identifier, and the streams in configured order."""

    instruments: dict[str, Any] = field(default_factory=dict)
    streams: list[MarketStream] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    """Path as configured -> SHA-256, for the lock file."""

    def rows(self) -> int:
        """All rows of all streams."""
        return sum(stream.rows for stream in self.streams)

    def describe(self) -> list[dict[str, Any]]:
        """One record a stream for the run's document, with the digest of its columns."""
        return [
            {
                "instrument_id": str(stream.instrument_id),
                "kind": stream.kind,
                "bar_type": "" if stream.bar_type is None else str(stream.bar_type),
                "rows": stream.rows,
                "sha256": stream.sha256,
            }
            for stream in self.streams
        ]


def _whole(columns: DataColumns) -> MarketStream:
    """A stream that is in memory."""
    return MarketStream(
        columns.kind,
        columns.instrument_id,
        columns.bar_type,
        len(columns),
        _columns_digest(columns),
        columns.allow_crossed,
        lambda: iter([columns]),
    )


def _columns_digest(stream: DataColumns) -> str:
    whole = hashlib.sha256()
    for name, column in stream.columns.items():
        whole.update(name.encode())
        whole.update(memoryview(column).cast("B"))
    return whole.hexdigest()


def load_market(loaded: LoadedConfig, progress: Any) -> Market:
    """Everything that `[[instruments]]` and `[data]` name. Raises NoDataError when there is not a row in it."""
    config = loaded.model
    market = Market()
    for index, section in enumerate(config.instruments):
        instrument = _build(section, loaded.where("instruments", index))
        market.instruments[str(instrument.id)] = instrument
    catalog = _catalog(loaded) if config.data.catalog is not None else None
    progress.stage("load", len(config.data.files) + (1 if catalog is not None else 0))
    if config.data.sample is not None:
        _take_sample(loaded, market)
    if catalog is not None:
        _take_catalog_or_say(loaded, catalog, market)
    for index, section in enumerate(config.data.files):
        _take_file(loaded, index, section, catalog, market)
        progress.advance(index + 1)
    if market.rows() == 0:
        raise NoDataError(*_nothing(loaded, market))
    return market


def _nothing(loaded: LoadedConfig, market: Market) -> tuple[str]:
    run = loaded.model.run
    names = ", ".join(f"{s.kind} {s.instrument_id}" for s in market.streams) or "nothing"
    return (f"no data between {run.start or 'the start'} and {run.end or 'the end'}: the configuration names {names}",)


# Instruments


def build_instrument(section: InstrumentSection) -> Any:
    """An instrument of the model from its checked definition. Raises ValueError for what its constructor refuses."""
    from nautilus_common.model import instruments
    from nautilus_common.model.identifiers import InstrumentId, Symbol

    given = section.model_dump(exclude_none=True)
    cls = getattr(instruments, given.pop("type"))
    instrument_id = InstrumentId.from_str(given.pop("instrument_id"))
    values = {name: _value(name, value) for name, value in given.items()}
    values["instrument_id"] = instrument_id
    values["raw_symbol"] = Symbol(given.get("raw_symbol", str(instrument_id.symbol)))
    values.setdefault("price_increment", _step(values["price_precision"], "price"))
    if "size_precision" in values:
        values.setdefault("size_increment", _step(values["size_precision"], "size"))
    elif "lot_size" not in values:
        values["lot_size"] = _step(0, "size")
    for name in ("activation", "expiration"):
        if name in values:
            values[f"{name}_ns"] = _moment_ns(values.pop(name))
    return cls(**values, ts_event=0, ts_init=0)


def _build(section: InstrumentSection, where: str) -> Any:
    try:
        return build_instrument(section)
    except (ValueError, TypeError, OverflowError) as error:
        raise FleetError(f"instrument {section.instrument_id}: {error}", where=where) from error


def _value(name: str, value: Any) -> Any:
    """A setting as the type that the model's constructor takes for this name."""
    from nautilus_common.model.enums import AssetClass
    from nautilus_common.model.values import Currency, Money, Price, Quantity

    if name.endswith("currency"):
        return Currency.from_str(value)
    if name in ("margin_init", "margin_maint", "maker_fee", "taker_fee"):
        return Decimal(value)
    if name.endswith("_notional"):
        return Money.from_str(value)
    if name in ("price_increment", "max_price", "min_price"):
        return Price.from_str(value)
    if name in ("size_increment", "lot_size", "multiplier", "max_quantity", "min_quantity"):
        return Quantity.from_str(value)
    if name == "asset_class":
        return AssetClass[value]
    return value


def _step(precision: int, what: str) -> Any:
    from nautilus_common.model.values import Price, Quantity

    return Price.from_raw(1, precision) if what == "price" else Quantity.from_raw(1, precision)


def _moment_ns(text: str) -> int:
    from nautilus_common.catalog.timestamps import parse_bound

    ns = parse_bound(text)
    assert ns is not None
    return ns


# The sample market


def _take_sample(loaded: LoadedConfig, market: Market) -> None:
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_common.testkit.sample_market import SAMPLES, sample_instruments, sample_quotes

    data, run = loaded.model.data, loaded.model.run
    names = [str(instrument.id) for instrument in sample_instruments()]
    for name in data.instruments:
        if name not in names:
            where = loaded.where("data", "instruments")
            raise NoDataError(f"no {name} in the sample market", where=where, remedy=f"it has {', '.join(names)}")
    for sample, instrument in zip(SAMPLES, sample_instruments(), strict=True):
        if data.instruments and str(instrument.id) not in data.instruments:
            continue
        columns = sample_quotes(sample, seed=data.sample.seed, days=data.sample.days)
        market.instruments[str(instrument.id)] = instrument
        market.streams.append(_whole(_between(DataColumns("quote", instrument.id, None, columns), run.start, run.end)))


# The catalogue


def _catalog(loaded: LoadedConfig) -> Catalog:
    from nautilus_common.catalog.catalog import Catalog

    path = loaded.resolve(loaded.model.data.catalog)
    if not (path / "manifest.json").is_file():
        raise NoDataError(
            f"no catalogue at {path}",
            where=loaded.where("data", "catalog"),
            remedy=f"fleet data import FILE --catalog {path} ..., or fleet init DIR for a sample market",
        )
    return Catalog(path)


def _take_catalog_or_say(loaded: LoadedConfig, catalog: Catalog, market: Market) -> None:
    from nautilus_common.catalog.errors import CatalogError

    try:
        _take_catalog(loaded, catalog, market)
    except CatalogError as error:
        remedy = f"fleet data check {catalog.path}"
        raise FleetError(str(error), where=loaded.where("data", "catalog"), remedy=remedy) from error


def _take_catalog(loaded: LoadedConfig, catalog: Catalog, market: Market) -> None:
    """The entries that the filters let through, in the catalogue's own order; what is asked for must be there."""
    data, run = loaded.model.data, loaded.model.run
    kinds = [_KINDS[kind] for kind in data.kinds]
    _check_asked(loaded, catalog)
    market.inputs[f"{data.catalog}/manifest.json"] = _file_digest(catalog.path / "manifest.json", "")
    for entry in catalog.entries():
        if data.instruments and entry.instrument_id not in data.instruments:
            continue
        if (kinds and entry.kind not in kinds) or (
            entry.kind == "bar" and data.bar_types and entry.bar_type not in data.bar_types
        ):
            continue
        instrument = market.instruments.get(entry.instrument_id) or catalog.instrument(entry.instrument_id)
        bar_type = _bar_type(entry.bar_type)
        stream = _catalog_stream(catalog, entry, instrument.id, bar_type, loaded)
        if stream.rows == 0:
            why = catalog.describe_missing(entry.kind, instrument.id, bar_type, run.start, run.end)
            raise NoDataError(why, where=loaded.where("run", "start"), remedy="change run.start and run.end")
        market.instruments[entry.instrument_id] = instrument
        market.streams.append(stream)


def _catalog_stream(
    catalog: Catalog, entry: CatalogEntry, instrument_id: Any, bar_type: Any, loaded: LoadedConfig
) -> MarketStream:
    """An entry between the run's bounds: at once, or `block_rows` at a time, which keeps memory within bounds."""
    from nautilus_common.catalog.columns import DataColumns, concat_columns

    run, block_rows = loaded.model.run, loaded.model.data.block_rows

    def batches(rows: int) -> Iterator[DataColumns]:
        for columns in catalog.read(entry.kind, instrument_id, bar_type, run.start, run.end, rows):
            yield DataColumns(entry.kind, instrument_id, bar_type, columns, entry.allow_crossed)

    if block_rows is None:
        found = [batch.columns for batch in batches(entry.rows)]
        columns = DataColumns(
            entry.kind,
            instrument_id,
            bar_type,
            concat_columns(found) if found else {"ts_init": ()},
            entry.allow_crossed,
        )
        rows = len(columns)
        return MarketStream(
            entry.kind, instrument_id, bar_type, rows, entry.sha256, entry.allow_crossed, lambda: iter([columns])
        )
    bounded = run.start is not None or run.end is not None
    rows = sum(len(batch) for batch in batches(block_rows)) if bounded else entry.rows
    return MarketStream(
        entry.kind,
        instrument_id,
        bar_type,
        rows,
        entry.sha256,
        entry.allow_crossed,
        lambda: batches(block_rows),
        is_whole=False,
    )


def _check_asked(loaded: LoadedConfig, catalog: Catalog) -> None:
    """Each instrument and bar type that is named must be there, for a typing error must not run on less data."""
    data = loaded.model.data
    entries = catalog.entries()
    has = ", ".join(f"{e.kind} {e.name} ({e.rows:,} rows)" for e in entries[:10]) or "nothing yet"
    remedy = f"the catalogue has {has}"
    for name in data.instruments:
        if name not in [entry.instrument_id for entry in entries]:
            raise NoDataError(
                f"no data for {name} in {catalog.path}", where=loaded.where("data", "instruments"), remedy=remedy
            )
    for name in data.bar_types:
        if name not in [entry.bar_type for entry in entries]:
            raise NoDataError(
                f"no bars {name} in {catalog.path}", where=loaded.where("data", "bar_types"), remedy=remedy
            )
    kinds = [_KINDS[kind] for kind in data.kinds]
    if not entries or (kinds and not [entry for entry in entries if entry.kind in kinds]):
        wanted = ", ".join(data.kinds) or "data"
        raise NoDataError(f"no {wanted} in {catalog.path}", where=loaded.where("data", "catalog"), remedy=remedy)


# Files


def _take_file(
    loaded: LoadedConfig, index: int, section: DataFileSection, catalog: Catalog | None, market: Market
) -> None:
    from nautilus_common.catalog.errors import CatalogError

    where = loaded.where("data", "files", index)
    instrument = market.instruments.get(section.instrument)
    if instrument is None and catalog is not None:
        instrument = market.instruments[section.instrument] = catalog.instrument(section.instrument)
    if instrument is None:
        known = ", ".join(market.instruments) or "none"
        raise FleetError(
            f"unknown instrument {section.instrument}",
            where=where,
            remedy=f"define it under [[instruments]]; defined are: {known}",
        )
    for name in (section.file, section.bid, section.ask):
        if name is not None:
            market.inputs[name] = _file_digest(loaded.resolve(name), where)
    try:
        columns = _read_file(loaded, section, instrument)
    except CatalogError as error:
        raise FleetError(str(error), where=where) from error
    market.streams.append(_whole(_between(columns, loaded.model.run.start, loaded.model.run.end)))


def _file_digest(path: Path, where: str) -> str:
    from nautilus_fleet.runs import file_digest

    if not path.is_file():
        near = sorted(p.name for p in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        if near:
            remedy = f"{path.parent} has {', '.join(near)}"
        else:
            remedy = (
                f"there is no folder {path.parent}; FLEET_DATA names the data folder: export FLEET_DATA=/path/to/data"
            )
        raise FleetError(f"no such file: {path}", where=where, remedy=remedy)
    return file_digest(path)


def _read_file(loaded: LoadedConfig, section: DataFileSection, instrument: Any) -> DataColumns:
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_common.catalog.loaders import load_all
    from nautilus_common.catalog.wranglers import quotes_from_bar_files, trades_from_bar_file

    kind = _KINDS.get(section.kind, "bar")
    spec = load_spec(section, kind)
    sizes = {} if section.default_size is None else {"default_size": section.default_size}
    if section.kind == "bid_ask_bars_as_quotes":
        assert section.bid is not None
        assert section.ask is not None
        return quotes_from_bar_files(
            loaded.resolve(section.bid), loaded.resolve(section.ask), instrument, spec, **sizes
        )
    assert section.file is not None
    path = loaded.resolve(section.file)
    if section.kind == "bars_as_quotes":
        return quotes_from_bar_files(path, path, instrument, spec, **sizes)
    if section.kind == "bars_as_trades":
        return trades_from_bar_file(path, instrument, spec, **sizes)
    columns = load_all(path, spec, instrument)
    return DataColumns(kind, instrument.id, _bar_type(section.bar_type), columns, section.allow_crossed)


def load_spec(section: DataFileSection, kind: str) -> Any:
    """The loader's declaration of a file's schema."""
    from nautilus_common.catalog.schema import LoadSpec

    options = section.model_dump(
        include={
            "columns", "timestamp", "timezone", "timestamp_offset_ns", "ts_init_delta_ns", "delimiter", "header",
            "price_scale", "size_scale", "size_rounding", "on_duplicate", "allow_crossed",
        }
    )  # fmt: skip
    if section.default_size is not None:
        options["default_size"] = section.default_size
    return LoadSpec(kind=kind, column_names=tuple(section.column_names), max_rows=section.limit, **options)


def _bar_type(text: str | None) -> Any:
    from nautilus_common.model.data import BarType

    return None if text is None else BarType.from_str(text)


def _between(stream: DataColumns, start: str | None, end: str | None) -> DataColumns:
    """The rows with start <= ts_init <= end; columns are views, nothing is copied."""
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_common.catalog.timestamps import parse_bound

    first, last = parse_bound(start), parse_bound(end)
    ts = stream.columns["ts_init"]
    low = 0 if first is None else int(ts.searchsorted(first, side="left"))
    high = len(ts) if last is None else int(ts.searchsorted(last, side="right"))
    columns = {name: column[low:high] for name, column in stream.columns.items()}
    return DataColumns(stream.kind, stream.instrument_id, stream.bar_type, columns, stream.allow_crossed)
