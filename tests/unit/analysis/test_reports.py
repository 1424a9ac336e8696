"""What a run says on the terminal and to machines."""

import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_common.analysis.formatting import format_clock, format_duration, format_money, format_percent
from nautilus_common.analysis.reports import build_report, instrument_rows, print_report, summary_json, total_rows

from tests.unit.analysis.sample_run import DAY_NS, START_NS, empty_run, fill_row, order_row, position_row, sample_run

LIBS = Path(__file__).parents[3] / "libs"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_summary_has_exactly_the_keys_of_the_issue_and_is_json() -> None:
    result = sample_run(days=20)
    summary = summary_json(result)
    assert list(summary) == [
        "run_id", "digest", "events", "orders", "positions", "fills", "balances", "pnl", "stats", "warnings", "seconds"
    ]  # fmt: skip
    assert summary["orders"] == len(result.orders) and summary["positions"] == len(result.positions)
    assert summary["balances"] == result.balances
    json.dumps(summary, allow_nan=False)


def test_instruments_and_total_are_exact_decimals() -> None:
    result = empty_run(
        positions=[
            position_row(1, START_NS, START_NS + 60 * 10**9, "0.10 USDT"),
            position_row(2, START_NS, START_NS + 120 * 10**9, "0.20 USDT"),
            position_row(3, START_NS, None, "-1.00 USDT", instrument_id="A.SIM"),
        ],
        fills=[
            fill_row("O-1", START_NS, "BUY", "1", "0.01 USDT", liquidity_side="MAKER"),
            fill_row("O-2", START_NS, "SELL", "1", "0.02 USDT"),
            fill_row("O-3", START_NS, "SELL", "1", "0.04 BNB", instrument_id="A.SIM"),
        ],
    )
    rows = instrument_rows(result)
    assert [row.name for row in rows] == ["A.SIM", "BTCUSDT-PERP.SIM"]
    assert rows[0].cells() == ("A.SIM", "0", "-1.00 USDT", "-0.04 BNB", "–", "–", "0.0")  # noqa: RUF001
    assert rows[1].net_pnl == Decimal("0.30") and rows[1].fees == {"USDT": Decimal("-0.03")}
    assert rows[1].cells()[4:] == ("100.0", "00:01:30", "50.0")
    (total,) = total_rows(result, rows)
    assert total.trades == 2 and total.net_pnl == Decimal("-0.70")


def test_profits_in_two_currencies_are_not_added() -> None:
    result = empty_run(
        positions=[
            position_row(1, START_NS, START_NS + 1, "100 JPY", instrument_id="USD/JPY.SIM"),
            position_row(2, START_NS, START_NS + 1, "1.00 USD", instrument_id="EUR/USD.SIM"),
        ]
    )
    assert [row.currency for row in total_rows(result, instrument_rows(result))] == ["USD", "JPY"]


def test_plain_text_when_not_a_terminal() -> None:
    out = io.StringIO()
    print_report(sample_run(days=20), file=out)
    text = out.getvalue()
    assert "\x1b" not in text
    for part in ("TOTAL", "Sharpe", "365/y, n=20", "Max drawdown", "warning", "fleet verify 7f3a9c"):
        assert part in text


def test_colour_on_a_terminal_unless_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    print_report(sample_run(days=20), file=out)
    assert "\x1b[" in out.getvalue() and "TOTAL" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    print_report(sample_run(days=20), file=out)
    assert "\x1b" not in out.getvalue()


def test_user_text_is_not_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    print_report(empty_run(name="[red]x[/nope]", warnings=["[bold]"]), file=out)
    assert "[red]x[/nope]" in out.getvalue() and "[bold]" in out.getvalue()


def test_a_careful_reader_is_warned() -> None:
    assert "no fills: the strategy never traded" in build_report(empty_run()).warnings
    orders = [order_row("O-1", START_NS, "BUY", "REJECTED")]
    assert "orders were sent but none filled" in build_report(empty_run(orders=orders)).warnings
    assert any("only 1 day of data" in text for text in build_report(sample_run(days=1)).warnings)


def test_formats() -> None:
    assert format_money(Decimal("1204.120")) == "1,204.120"
    assert format_money(0.00012) == "0.00012"
    assert format_percent(0.00893) == "0.89 %" and format_percent(1e9) == "> 1,000,000 %"
    assert format_percent(-0.00001) == "-0.001 %"
    assert format_duration(8_040 * 10**9) == "2h 14m" and format_duration(DAY_NS) == "1d"
    assert format_duration(350_000_000) == "350ms" and format_clock(2_472 * 10**9) == "00:41:12"


def test_heavy_libraries_stay_out() -> None:
    code = (
        "import sys, nautilus_common.analysis.reports, nautilus_common.analysis.tearsheet, "
        "nautilus_common.analysis.run_folder; "
        "print([m for m in ('rich', 'pyarrow', 'plotly', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=LIBS)
    assert done.stdout.strip() == "[]"
