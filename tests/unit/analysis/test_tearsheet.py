"""The tearsheet page: self-contained, well-formed, escaped, and useful for poor runs too."""

import json
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from nautilus_common.analysis import tearsheet
from nautilus_common.analysis.result import RunResult
from nautilus_common.analysis.tearsheet import (
    NotShown,
    Panel,
    TearsheetConfig,
    TearsheetData,
    get_chart,
    list_charts,
    register_chart,
    tearsheet_html,
    write_tearsheet,
)

from tests.unit.analysis.sample_run import DAY_NS, START_NS, empty_run, fill_row, sample_run

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order; keeps charts, ids, figures, loads and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.charts: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.figures: list[dict] = []  # type: ignore[type-arg]
        self.text: list[str] = []
        self.in_figure = False
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.stack.append(tag)
        self.loads += [str(values[k]) for k in ("src", "href", "action", "data", "srcset") if k in values]
        self.charts += [str(values["data-chart"])] if "data-chart" in values else []
        self.ids += [str(values["id"])] if "id" in values else []
        self.in_figure = tag == "script" and values.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.in_figure:
            self.figures.append(json.loads(data))
            self.in_figure = False
        elif self.stack and self.stack[-1] not in ("script", "style"):
            self.text.append(data)


def page_of(result: RunResult, config: TearsheetConfig | None = None) -> Page:
    return Page(tearsheet_html(result, config=config))


@pytest.fixture(scope="module")
def full() -> RunResult:
    return sample_run()


def test_all_sections_are_there(full: RunResult) -> None:
    page = page_of(full)
    assert page.charts == list(tearsheet.PAGE_ORDER)
    assert {"headline", "top-drawdowns", "monthly-returns", "instruments", "statistics", "run-info"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    text = " ".join(page.text)
    for part in ("365/y, n=730", "periods_per_year 365", full.digest, "Seed", "Versions", "fast = 10"):
        assert part in text


def test_nothing_is_requested(full: RunResult) -> None:
    text = tearsheet_html(full)
    assert Page(text).loads == []
    assert "default-src 'none'" in text
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css and "@import" not in css
    own = (Path(tearsheet.__file__).parent / "assets" / "tearsheet.js").read_text()
    assert "http" not in own and "fetch(" not in own


def test_panes_are_thinned_and_say_so() -> None:
    result = sample_run(days=400, steps_per_day=24)
    page = page_of(result, TearsheetConfig(max_points=1_000))
    for figure in page.figures:
        assert sum(len(trace["x"]) for trace in figure["data"]) <= 1_000
    assert any("thinned to" in text and "of 9,600 points" in text for text in page.text)


def test_user_text_cannot_leave_its_place() -> None:
    nasty = "</script><script>alert(1)</script><img src=x>"
    result = sample_run(days=3)
    result.name, result.warnings = nasty, [nasty]
    result.config = {"run": {"note": nasty}}
    result.fills[0]["client_order_id"] = nasty
    text = tearsheet_html(result)
    assert "<script>alert" not in text and "<img src=x" not in text
    page = Page(text)
    labels = [label for f in page.figures for t in f["data"] for label in t.get("text", [])]
    assert any("&lt;script&gt;" in str(label) for label in labels)


@pytest.mark.parametrize("days", [1, 3])
def test_short_runs(days: int) -> None:
    page = page_of(sample_run(days=days))
    assert "equity" in page.charts and "rolling_sharpe" not in page.charts
    assert ("monthly_returns" in page.charts) == (days > 1)
    assert any("Rolling Sharpe: needs" in text for text in page.text)


def test_a_run_without_anything() -> None:
    text = tearsheet_html(empty_run())
    assert Page(text).charts == ["stats_table", "run_info"]
    assert "plotly.js" not in text, "no charts, no library"
    assert "never traded" in text and "nan" not in " ".join(Page(text).text).lower()


def test_losing_everything() -> None:
    ts = START_NS + np.arange(100, dtype=np.int64) * DAY_NS
    equity = np.linspace(1000.0, -200.0, 100)
    columns = {"ts": ts, "equity": equity, "balance": equity, "unrealized": np.zeros(100)}
    page = page_of(empty_run(equity={"SIM-001/USD": columns}, end_ns=int(ts[-1])))
    assert "drawdown" in page.charts and "distribution" not in page.charts
    assert any("zero or less" in text for text in page.text)


def test_fills_without_prices_and_constant_equity() -> None:
    ts = START_NS + np.arange(3, dtype=np.int64) * DAY_NS
    columns = {"ts": ts, "equity": np.full(3, 10.0)}
    result = empty_run(equity={"A-1/ETH": columns}, fills=[fill_row("O-1", START_NS, "BUY", "5.0")])
    assert page_of(result).charts[:1] == ["equity"]
    assert "bars_with_fills" in page_of(result).charts


def test_currencies_have_their_own_charts() -> None:
    result = sample_run(days=5)
    columns = dict(result.equity["SIM-001/USDT"])
    result.equity["SIM-001/EUR"] = columns
    result.equity["SIM-001/ETH"] = {"ts": columns["ts"], "equity": np.full(len(columns["ts"]), 10.0)}
    page = page_of(result)
    assert page.charts.count("equity") == 2 and page.charts.count("stats_table") == 1
    assert any("ETH charts: equity never changed" in text for text in page.text)


def test_the_same_run_gives_the_same_page(full: RunResult) -> None:
    assert tearsheet_html(full) == tearsheet_html(full)


def test_writing_is_quick_and_leaves_one_file(tmp_path: Path) -> None:
    result = sample_run(days=30)
    best = 1e9
    for _ in range(3):
        began = time.perf_counter()
        write_tearsheet(result, tmp_path / "tearsheet.html")
        best = min(best, time.perf_counter() - began)
    assert best < 0.3
    assert [p.name for p in tmp_path.iterdir()] == ["tearsheet.html"]


@pytest.fixture
def custom() -> Iterator[None]:
    yield
    del tearsheet._CHARTS["hello"]


def test_users_add_and_choose_charts(custom: None) -> None:
    def hello(data: TearsheetData, config: TearsheetConfig) -> Panel:
        return Panel(
            "Hello", {"data": [{"type": "bar", "x": [1], "y": [2], "marker": {"color": "$accent"}}], "layout": {}}
        )

    register_chart("hello", hello)
    assert list_charts()[-1] == "hello" and get_chart("hello") is hello
    page = page_of(sample_run(days=3), TearsheetConfig(charts=["hello", "equity"], theme="dark", title="Mine"))
    assert page.charts == ["hello", "equity"]
    register_chart("hello", lambda data, config: NotShown("hello: not today"))
    assert "hello: not today" in page_of(sample_run(days=3)).text
    with pytest.raises(KeyError, match="no tearsheet chart is called 'equitee'"):
        page_of(sample_run(days=3), TearsheetConfig(charts=["equitee"]))
