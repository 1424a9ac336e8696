"""The tables of the tearsheet: monthly returns as a heat map, instruments, statistics, and what was run."""

from __future__ import annotations

import importlib.metadata
import platform
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .formatting import NONE, format_duration, format_percent, format_sample, format_statistic, format_time
from .reports import INSTRUMENT_HEADINGS, instrument_rows, total_rows
from .tearsheet import NotShown, Panel, TearsheetConfig, TearsheetData
from .toml_writer import toml_text

if TYPE_CHECKING:
    from .equity import EquityCurve
    from .statistics import Statistic

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PACKAGES = ("nautilus-fleet", "numpy", "numba", "msgspec", "pyarrow", "plotly")


def period_returns(curve: EquityCurve, unit: str, compounding: bool = True) -> dict[int, float | None]:
    """Return of each calendar month ("M") or year ("Y") that the curve touches, keyed by its number since 1970.

    Compounding: on the equity at the period's start; otherwise on the equity at the start of the run. None where the
    base is zero or less.
    """
    labels = curve.ts.astype("datetime64[ns]").astype(f"datetime64[{unit}]").astype(np.int64)
    found: dict[int, float | None] = {}
    base = initial = float(curve.equity[0])
    for period in range(int(labels[0]), int(labels[-1]) + 1):
        last = int(np.searchsorted(labels, period, side="right")) - 1
        close = float(curve.equity[last])
        divisor = base if compounding else initial
        found[period] = (close - base) / divisor if divisor > 0.0 else None
        base = close
    return found


def monthly_table(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Years down, months across, the year's return at the end; colour by sign and size."""
    curve = data.statistics.curves.get(data.currency or "")
    series = data.statistics.series.get(data.currency or "")
    if curve is None or series is None or not series.daily:
        return NotShown("Monthly returns: the run lies within one UTC day")
    months = period_returns(curve, "M", config.compounding)
    years = period_returns(curve, "Y", config.compounding)
    largest = max((abs(v) for v in months.values() if v is not None), default=0.0) or 1.0
    largest_year = max((abs(v) for v in years.values() if v is not None), default=0.0) or 1.0
    rows = []
    for year in years:
        cells = "".join(_heat_cell(months.get(year * 12 + m), largest, year * 12 + m in months) for m in range(12))
        rows.append(f'<tr><th scope="row">{year + 1970}</th>{cells}{_heat_cell(years[year], largest_year, True)}</tr>')
    head = "".join(f"<th>{month}</th>" for month in MONTHS)
    table = (
        '<div class="scroll"><table class="heat" id="monthly-returns"><thead><tr><th></th>'
        f"{head}<th>Year</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    note = "per cent, compounding" if config.compounding else "per cent of the starting equity"
    return Panel("Monthly returns", html=table, note=note)


def _heat_cell(value: float | None, largest: float, inside: bool) -> str:
    if not inside or value is None:
        return f"<td>{NONE if inside else ''}</td>"
    strength = round(8 + 47 * min(abs(value) / largest, 1.0)) if value else 0
    tone = "up" if value >= 0 else "down"
    digits = 1 if abs(value) >= 0.0995 else 2
    return f'<td style="--mix:{strength}%" class="{tone}-cell">{value * 100.0:.{digits}f}</td>'


def instruments_table(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Per-instrument figures with TOTAL, the same that the terminal prints."""
    rows = instrument_rows(data.result)
    if not rows:
        return NotShown("Instruments: nothing was traded")
    body = []
    for row in [*rows, *total_rows(data.result, rows)]:
        cells = [escape(cell) for cell in row.cells()]
        tone = "up" if row.net_pnl > 0 else "down" if row.net_pnl < 0 else ""
        columns = "".join(f'<td class="num{" " + tone if i == 1 else ""}">{c}</td>' for i, c in enumerate(cells[1:]))
        kind = ' class="total"' if row.name == "TOTAL" else ""
        body.append(f'<tr{kind}><th scope="row">{cells[0]}</th>{columns}</tr>')
    head = "".join(f"<th{' class=num' if i else ''}>{escape(h)}</th>" for i, h in enumerate(INSTRUMENT_HEADINGS))
    table = f'<div class="scroll"><table id="instruments"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'  # noqa: E501
    return Panel("Instruments", html=table, note="trades are closed positions; fees lower the profit")


def stats_table(data: TearsheetData, config: TearsheetConfig) -> Panel:
    """Every statistic with what it rests on."""
    stats = data.statistics
    groups: list[tuple[str, dict[str, Statistic]]] = []
    for currency, table in stats.returns.items():
        groups.append((f"Returns, {currency}", table))
    for currency, table in stats.pnls.items():
        groups.append((f"Profit and loss, {currency}", table))
    groups.append(("Trades and orders", stats.general))
    html = "".join(_stats_group(title, table) for title, table in groups if table)
    samplings = dict.fromkeys(series.sampling for series in stats.series.values())
    sampling = "; ".join(samplings) or "no equity curve"
    note = f"periods_per_year {stats.periods_per_year}; {sampling}; {NONE} where the sample is too small"
    return Panel("Statistics", html=f'<div class="stats" id="statistics">{html}</div>', note=note)


def _stats_group(title: str, table: dict[str, Statistic]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(s.name)}</th><td class="num">{escape(format_statistic(s))}</td>'
        f'<td class="sample">{escape(format_sample(s))}</td></tr>'
        for s in table.values()
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def run_info(data: TearsheetData, config: TearsheetConfig) -> Panel:
    """Which run this is: identity, span, data with check sums, time taken, versions and configuration."""
    result = data.result
    facts = {
        "Run": result.run_id,
        "Digest": result.digest,
        "Seed": str(result.seed),
        "Span": f"{format_time(result.start_ns)} to {format_time(result.end_ns)} UTC",
        "Duration": format_duration(max(result.end_ns - result.start_ns, 0)),
        "Periods per year": str(result.periods_per_year),
        "Data points": f"{result.data_points:,}",
        "Messages": f"{result.events:,}",
        "Seconds": ", ".join(f"{name} {value:.2f}" for name, value in result.seconds.items()) or NONE,
        "Versions": ", ".join(f"{name} {v}" for name, v in (result.versions or installed_versions()).items()),
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    settings = toml_text(result.config)
    details = f"<details><summary>Configuration</summary><pre>{escape(settings)}</pre></details>" if settings else ""
    return Panel("Run", html=f'<dl class="facts" id="run-info">{items}</dl>{_data_table(data)}{details}')


def _data_table(data: TearsheetData) -> str:
    if not data.result.data:
        return ""
    rows = "".join(_data_row(data, entry) for entry in data.result.data)
    head = (
        '<tr><th>Data</th><th>Kind</th><th class="num">Rows</th><th class="num">Market change</th><th>SHA-256</th></tr>'
    )
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _data_row(data: TearsheetData, entry: dict[str, Any]) -> str:
    name = str(entry.get("instrument_id", ""))
    kind = str(entry.get("bar_type") or entry.get("kind", ""))
    rows = entry.get("rows")
    count = f"{rows:,}" if isinstance(rows, int) else NONE
    digest = str(entry.get("sha256") or "")
    cells = f'<td>{escape(kind)}</td><td class="num">{count}</td><td class="num">{_market_change(data, name)}</td>'
    return f'<tr><th scope="row">{escape(name)}</th>{cells}<td><code title="{escape(digest)}">{escape(digest[:12])}</code></td></tr>'  # noqa: E501


def _market_change(data: TearsheetData, instrument_id: str) -> str:
    """Last close / first open - 1: what holding would have returned."""
    columns = data.result.prices.get(instrument_id)
    if columns is None or len(columns["ts"]) == 0 or not float(columns["open"][0]) > 0.0:
        return NONE
    return format_percent(float(columns["close"][-1]) / float(columns["open"][0]) - 1.0)


def installed_versions() -> dict[str, str]:
    """Python and the packages that decide a result, as installed now."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a source tree: the package has no metadata
    return found


CHARTS: dict[str, tuple[Any, bool]] = {
    "monthly_returns": (monthly_table, True),
    "instruments": (instruments_table, False),
    "stats_table": (stats_table, False),
    "run_info": (run_info, False),
}
