"""What a finished run says on a terminal, and the one JSON object that it says to machines.

A report is built once as plain rows (`build_report`); a terminal gets it through rich, everything else as plain text
with the same words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from .formatting import (
    NONE,
    format_clock,
    format_money,
    format_percent,
    format_sample,
    format_statistic,
    format_time,
)
from .result import Row, RunResult, is_closed_position, parse_money
from .statistics import RunStatistics, compute_statistics
from .trade_statistics import average_hold_ns, maker_share, winning_share

if TYPE_CHECKING:
    from pathlib import Path

INSTRUMENT_HEADINGS = ("Instrument", "Trades", "Net P&L", "Fees", "Win %", "Avg hold", "Maker %")
FEW_TRADES = 30


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """One line of the per-instrument table. `fees` is what was paid, negative as it lowers the profit."""

    name: str
    currency: str
    trades: int
    net_pnl: Decimal
    fees: dict[str, Decimal]
    win_rate: float | None
    hold_ns: int | None
    maker_share: float | None

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of `INSTRUMENT_HEADINGS`."""
        fees = " ".join(
            format_money(amount) + (f" {code}" if code != self.currency else "") for code, amount in self.fees.items()
        )
        return (
            self.name,
            f"{self.trades:,}",
            f"{format_money(self.net_pnl)} {self.currency}".strip(),
            fees or "0",
            NONE if self.win_rate is None else f"{self.win_rate * 100.0:.1f}",
            NONE if self.hold_ns is None else format_clock(self.hold_ns),
            NONE if self.maker_share is None else f"{self.maker_share * 100.0:.1f}",
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed: title, per-instrument rows, headline (label, value) pairs, warnings, commands."""

    title: str
    rows: list[InstrumentRow]
    totals: list[InstrumentRow]
    headline: list[tuple[str, str]]
    warnings: list[str]
    files: tuple[str, list[str]] | None
    commands: list[str]


def build_report(
    result: RunResult, statistics: RunStatistics | None = None, *, run_folder: Path | None = None
) -> Report:
    """Put the run in words. `run_folder` adds its files and the commands that take it."""
    stats = statistics if statistics is not None else compute_statistics(result)
    rows = instrument_rows(result)
    files = None
    if run_folder is not None:
        names = sorted((path.name for path in run_folder.iterdir()), key=lambda n: (n != "tearsheet.html", n))
        files = (f"{run_folder}/", names)
    return Report(
        title=_title(result),
        rows=rows,
        totals=total_rows(result, rows),
        headline=headline(result, stats),
        warnings=run_warnings(result, stats),
        files=files,
        commands=[f"fleet verify {result.run_id}", f"fleet report {result.run_id} --open"],
    )


def _title(result: RunResult) -> str:
    parts = [result.name, f"run {result.run_id}", f"seed {result.seed}", f"digest {result.digest[:12]}"]
    if result.start_ns:
        parts.append(f"{format_time(result.start_ns)} -> {format_time(result.end_ns)} UTC")
    return "  ".join(parts)


def instrument_rows(result: RunResult) -> list[InstrumentRow]:
    """One row per instrument and profit currency, by instrument id; trades are closed positions and snapshots."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for position in result.positions:
        currency = parse_money(position["realized_pnl"])[1] if position.get("realized_pnl") is not None else ""
        groups.setdefault((str(position["instrument_id"]), currency), []).append(position)
    fills: dict[str, list[Row]] = {}
    for fill in result.fills:
        fills.setdefault(str(fill["instrument_id"]), []).append(fill)
    for instrument in fills:
        if not any(key[0] == instrument for key in groups):
            groups[instrument, ""] = []
    seen: list[str] = []
    rows = []
    for (instrument, currency), positions in sorted(groups.items()):
        own = fills.get(instrument, []) if instrument not in seen else []  # fees belong to one row only
        seen.append(instrument)
        rows.append(_row(instrument, currency, positions, own))
    return rows


def total_rows(result: RunResult, rows: Sequence[InstrumentRow]) -> list[InstrumentRow]:
    """The TOTAL line: one per profit currency, for amounts in different currencies are never added."""
    currencies = dict.fromkeys(row.currency for row in rows)
    totals = []
    for currency in currencies:
        names = {row.name for row in rows if row.currency == currency}
        positions = [
            p
            for p in result.positions
            if str(p["instrument_id"]) in names
            and (parse_money(p["realized_pnl"])[1] if p.get("realized_pnl") is not None else "") == currency
        ]
        fills = [f for f in result.fills if str(f["instrument_id"]) in names]
        totals.append(_row("TOTAL", currency, positions, fills))
    return totals


def _row(name: str, currency: str, positions: list[Row], fills: list[Row]) -> InstrumentRow:
    closed = [p for p in positions if is_closed_position(p)]
    net = Decimal(0)
    for position in positions:
        if position.get("realized_pnl") is not None:
            net += parse_money(position["realized_pnl"])[0]
    fees: dict[str, Decimal] = {}
    for fill in fills:
        if fill.get("commission") is not None:
            amount, code = parse_money(fill["commission"], str(fill.get("currency") or ""))
            fees[code] = fees.get(code, Decimal(0)) - amount
    return InstrumentRow(
        name, currency, len(closed), net, fees, winning_share(closed), average_hold_ns(closed), maker_share(fills)
    )


def headline(result: RunResult, stats: RunStatistics) -> list[tuple[str, str]]:
    """The figures to read first, in the primary currency; annualised ones carry their period and sample size."""
    currency = stats.primary_currency
    returns, general = stats.table("returns"), stats.general

    def shown(name: str, *, sample: bool = False) -> str:
        statistic = returns.get(name)
        if statistic is None or statistic.value is None:
            return NONE
        return format_statistic(statistic) + (f" ({format_sample(statistic)})" if sample else "")

    drawdown = shown("Max Drawdown")
    if "Max Drawdown Length" in returns and returns["Max Drawdown Length"].value:
        drawdown += "  " + shown("Max Drawdown Length")
    denied = sum(1 for order in result.orders if order.get("status") == "DENIED")
    rejected = format_statistic(general["Orders Rejected"]) if "Orders Rejected" in general else NONE
    money = f"{shown('Final Equity')} {currency}" if currency else NONE
    pairs = [
        ("Net return", shown("Net Return")),
        ("Sharpe", shown("Sharpe Ratio", sample=True)),
        ("Max drawdown", drawdown),
        ("Final equity", money),
        ("Sortino", shown("Sortino Ratio", sample=True)),
        ("CAGR", shown("CAGR", sample=True)),
        ("Profit factor", _trade_figure(stats, "Profit Factor (Trades)")),
        ("Volatility", shown("Returns Volatility", sample=True)),
        ("Calmar", shown("Calmar Ratio", sample=True)),
        ("Orders", f"{len(result.orders):,}"),
        ("Fills", f"{len(result.fills):,}"),
        ("Rejected", rejected + (f" (risk: {denied})" if denied else "")),
        ("Fees/gross", _fees_share(result)),
        ("Exposure", format_statistic(general["Time in Market"]) if "Time in Market" in general else NONE),
        ("Open at end", format_statistic(general["Open at End"]) if "Open at End" in general else NONE),
    ]
    return pairs


def _trade_figure(stats: RunStatistics, name: str) -> str:
    """The figure of the first currency that has trades: positions may profit in another currency than the account."""
    for table in stats.pnls.values():
        if name in table and table[name].n and table[name].value is not None:
            return format_statistic(table[name])
    return NONE


def _fees_share(result: RunResult) -> str:
    """Fees / profit before fees, where both are in one currency and there was a profit."""
    rows = total_rows(result, instrument_rows(result))
    if len(rows) != 1 or list(rows[0].fees) != [rows[0].currency]:
        return NONE
    paid = -rows[0].fees[rows[0].currency]
    gross = rows[0].net_pnl + paid
    return format_percent(float(paid / gross), 1) if gross > 0 else NONE


def run_warnings(result: RunResult, stats: RunStatistics) -> list[str]:
    """The run's own warnings, then what a careful reader should know about the figures."""
    found = list(result.warnings)
    if not result.fills:
        found.append("no fills: the strategy never traded" if not result.orders else "orders were sent but none filled")
    for currency, series in stats.series.items():
        curve = stats.curves[currency]
        if bool((curve.equity <= 0.0).any()):
            found.append(f"{currency} equity reached zero or less: figures of returns mean nothing and are left out")
        elif not series.daily and len(series.returns):
            found.append(f"only 1 day of data: annualised {currency} figures have wide error bars ({series.sampling})")
        elif len(series.returns) < FEW_TRADES:
            found.append(f"only {len(series.returns)} days of data: annualised {currency} figures have wide error bars")
    trades = sum(1 for p in result.positions if is_closed_position(p))
    if 0 < trades < FEW_TRADES:
        found.append(f"only {trades} trades: win rate and profit factor have wide error bars")
    return list(dict.fromkeys(found))


def summary_json(result: RunResult, statistics: RunStatistics | None = None) -> dict[str, Any]:
    """The object that `fleet backtest --json` prints: counts, balances and profit as decimal strings, statistics."""
    stats = statistics if statistics is not None else compute_statistics(result)
    return {
        "run_id": result.run_id,
        "digest": result.digest,
        "events": result.events,
        "orders": len(result.orders),
        "positions": len(result.positions),
        "fills": len(result.fills),
        "balances": result.balances,
        "pnl": result.pnl,
        "stats": stats.to_json(),
        "warnings": run_warnings(result, stats),
        "seconds": result.seconds,
    }


def print_report(
    result: RunResult,
    *,
    statistics: RunStatistics | None = None,
    run_folder: Path | None = None,
    file: IO[str] | None = None,
) -> None:
    """Print the report to `file` (standard output): in colour on a terminal, plain elsewhere or with NO_COLOR."""
    out = file if file is not None else sys.stdout
    report = build_report(result, statistics, run_folder=run_folder)
    if out.isatty() and not os.environ.get("NO_COLOR"):
        _print_rich(report, out)
    else:
        out.write(plain_text(report))


def plain_text(report: Report) -> str:
    """The report without colour or escape codes; never wider than its own contents need."""
    lines = [report.title, ""]
    if report.rows:
        cells = [INSTRUMENT_HEADINGS, *(row.cells() for row in [*report.rows, *report.totals])]
        widths = [max(len(row[i]) for row in cells) for i in range(len(INSTRUMENT_HEADINGS))]
        for index, row in enumerate(cells):
            padded = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  " + "   ".join(padded).rstrip())
            if index == 0:
                lines.append(" " + "-" * (sum(widths) + 3 * len(widths) - 1))
        lines.append("")
    lines.extend(_headline_lines(report.headline))
    lines.extend(f"  warning  {text}" for text in report.warnings)
    lines.append("")
    if report.files is not None:
        lines.append(f"  {report.files[0]}   {'  '.join(report.files[1])}")
    lines.append("  next:    " + "    ".join(report.commands))
    return "\n".join(lines) + "\n"


def _headline_lines(pairs: list[tuple[str, str]], columns: int = 3) -> list[str]:
    grid = [pairs[i : i + columns] for i in range(0, len(pairs), columns)]
    labels = [max(len(row[c][0]) for row in grid if c < len(row)) for c in range(columns)]
    values = [max(len(row[c][1]) for row in grid if c < len(row)) for c in range(columns)]
    return [
        "  " + "   ".join(f"{k.ljust(labels[c])}  {v.ljust(values[c])}" for c, (k, v) in enumerate(row)).rstrip()
        for row in grid
    ]


def _print_rich(report: Report, out: IO[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, highlight=False)
    console.print(Text(report.title, style="bold"), soft_wrap=True)
    if report.rows:
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for index, heading in enumerate(INSTRUMENT_HEADINGS):
            table.add_column(heading, justify="left" if index == 0 else "right", no_wrap=True)
        for row in report.rows:
            table.add_row(*_rich_cells(row, Text))
        table.add_section()
        for row in report.totals:
            table.add_row(*_rich_cells(row, Text), style="bold")
        console.print(table)
    columns = 3 if console.width >= 110 else 2
    grid = Table.grid(padding=(0, 2))
    for start in range(0, len(report.headline), columns):
        cells: list[Text] = []
        for label, value in report.headline[start : start + columns]:
            cells += [Text(label, style="dim"), Text(value)]
        grid.add_row(*cells)
    console.print(grid)
    for warning in report.warnings:
        console.print(Text.assemble(("warning  ", "yellow"), warning), soft_wrap=True)
    console.print()
    if report.files is not None:
        console.print(Text.assemble((report.files[0], "bold"), "   ", "  ".join(report.files[1])), soft_wrap=True)
    console.print(Text.assemble(("next:    ", "dim"), ("    ".join(report.commands), "cyan")), soft_wrap=True)


def _rich_cells(row: InstrumentRow, text: Any) -> list[Any]:
    """Profit blue, loss orange-red: distinguishable without red and green."""
    cells = [text(cell) for cell in row.cells()]
    if row.net_pnl:
        cells[2].stylize("blue" if row.net_pnl > 0 else "dark_orange")
    return cells
