"""The tearsheet: one self-contained HTML file that asks the network for nothing.

Tables are HTML; charts are Plotly figures written as JSON by hand, drawn by the plotly.min.js of the installed `plotly`
package, inlined (importing plotly itself takes longer than writing the page). Colours in figures are tokens such as
"$accent" that the page resolves for the light or dark theme. A content security policy forbids every request.

Users add charts with `register_chart` and choose them with `TearsheetConfig(charts=[...])`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from .formatting import NONE, format_sample, format_statistic, format_time
from .reports import run_warnings
from .statistics import RunStatistics, compute_statistics

if TYPE_CHECKING:
    from .result import RunResult
    from .statistics import Statistic

MAX_CURRENCIES = 4
PAGE_ORDER = (
    "equity", "drawdown", "monthly_returns", "distribution", "yearly_returns", "rolling_sharpe", "bars_with_fills",
    "instruments", "stats_table", "run_info",
)  # fmt: skip
_ASSETS = Path(__file__).parent / "assets"
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


@dataclass(frozen=True, slots=True)
class TearsheetConfig:
    """What the page shows. `charts` are names of registered charts in order; None means all of them."""

    charts: list[str] | None = None
    theme: Literal["auto", "light", "dark"] = "auto"
    """`auto` follows the reader's system and can be switched on the page."""
    title: str | None = None
    """Heading of the page; the run's name when None."""
    compounding: bool = True
    """Monthly and yearly cells as returns on the equity at their start; False: on that at the start of the run."""
    max_points: int = 5_000
    """Points drawn in one pane at most; more are thinned, and the chart says so."""
    rolling_window: int = 60
    max_instruments: int = 6
    """Price panes at most, the instruments with most fills first."""


@dataclass(frozen=True, slots=True)
class TearsheetData:
    """What a chart is made of. `currency` is None for charts of the whole run."""

    result: RunResult
    statistics: RunStatistics
    currency: str | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One card of the page. `html` must be escaped by its maker; `figure` is a Plotly figure `{data, layout}`.

    `note` is plain text under the title: what was thinned, at which sampling. Figures with layout.meta.sync zoom along.
    """

    title: str
    figure: dict[str, Any] | None = None
    html: str = ""
    note: str = ""
    height: int = 320
    wide: bool = True
    table_first: bool = False


@dataclass(frozen=True, slots=True)
class NotShown:
    """A chart that this run cannot fill, with the reason; listed in one line at the end of the page."""

    reason: str


ChartFunction: TypeAlias = Callable[[TearsheetData, TearsheetConfig], "Panel | list[Panel] | NotShown | None"]


@dataclass(frozen=True, slots=True)
class _Chart:
    function: ChartFunction
    per_currency: bool


_CHARTS: dict[str, _Chart] = {}


def register_chart(name: str, fn: ChartFunction, *, per_currency: bool = False) -> None:
    """Add a chart, or replace the one of that name.

    `fn(data, config)` returns a `Panel` (or several), `NotShown(reason)`, or None. With `per_currency` it is called for
    each currency of the run with `data.currency` set, otherwise once. New charts come last unless the configuration
    orders them.
    """
    _CHARTS[name] = _Chart(fn, per_currency)


def get_chart(name: str) -> ChartFunction:
    """The function of a registered chart; KeyError naming those that exist."""
    _register_builtin()
    if name not in _CHARTS:
        raise KeyError(f"no tearsheet chart is called {name!r}; there are {', '.join(_CHARTS)}")
    return _CHARTS[name].function


def list_charts() -> list[str]:
    """Names of all registered charts, in page order."""
    _register_builtin()
    return list(_CHARTS)


def _register_builtin() -> None:
    from . import tearsheet_charts, tearsheet_tables

    builtin = {**tearsheet_charts.CHARTS, **tearsheet_tables.CHARTS}
    own = dict(_CHARTS)
    _CHARTS.clear()
    _CHARTS.update({name: _Chart(*builtin[name]) for name in PAGE_ORDER})
    _CHARTS.update(own)


def write_tearsheet(
    result: RunResult,
    path: Path,
    *,
    config: TearsheetConfig | None = None,
    statistics: RunStatistics | None = None,
) -> Path:
    """Write the page to `path` (a new file put in place of the old one in one step) and return the path."""
    text = tearsheet_html(result, config=config, statistics=statistics)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def tearsheet_html(
    result: RunResult, *, config: TearsheetConfig | None = None, statistics: RunStatistics | None = None
) -> str:
    """The page as text. The same run gives the same text: nothing in it depends on when it was made."""
    settings = config if config is not None else TearsheetConfig()
    stats = statistics if statistics is not None else compute_statistics(result)
    page = _Page(result, stats, settings)
    body = page.body()
    title = escape(settings.title if settings.title is not None else result.name)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en" data-theme="{settings.theme}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title} · {escape(result.run_id)}</title>",
            f"<style>{(_ASSETS / 'tearsheet.css').read_text(encoding='utf-8')}</style>",
            "</head>",
            "<body>",
            body,
            f"<script>{_plotly_javascript()}</script>" if page.figures else "",
            f"<script>{(_ASSETS / 'tearsheet.js').read_text(encoding='utf-8')}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _plotly_javascript() -> str:
    """The bundle in the installed package, found without importing it."""
    spec = importlib.util.find_spec("plotly")
    folder = next(iter(spec.submodule_search_locations or []), None) if spec is not None else None
    bundle = Path(folder) / "package_data" / "plotly.min.js" if folder is not None else None
    if bundle is None or not bundle.is_file():
        raise RuntimeError("the tearsheet needs the plotly package and its plotly.min.js: pip install plotly")
    return bundle.read_text(encoding="utf-8").replace("</script", "<\\/script")


@dataclass(slots=True)
class _Page:
    result: RunResult
    statistics: RunStatistics
    config: TearsheetConfig
    figures: int = 0
    not_shown: dict[str, None] = field(default_factory=dict)

    def body(self) -> str:
        panels = self._panels()
        not_shown = "".join(f"<li>{escape(reason)}</li>" for reason in self.not_shown)
        return "\n".join(
            [
                self._header(),
                '<main class="page">',
                self._tiles(),
                self._warnings(),
                panels,
                f'<aside class="not-shown"><h2>Not shown</h2><ul>{not_shown}</ul></aside>' if not_shown else "",
                "<noscript><p>The charts of this page need JavaScript; its tables do not.</p></noscript>",
                "</main>",
                self._footer(),
            ]
        )

    def _header(self) -> str:
        result = self.result
        span = f"{format_time(result.start_ns)} to {format_time(result.end_ns)} UTC" if result.start_ns else ""
        title = self.config.title if self.config.title is not None else result.name
        toggle = '<button id="theme" type="button" title="Light or dark" aria-label="Switch light and dark">◐</button>'
        return (
            f'<header class="top"><div><p class="kicker">Backtest</p><h1>{escape(title)}</h1>'
            f'<p class="sub">{escape(span)}<span class="sep"></span>run <code>{escape(result.run_id)}</code>'
            f'<span class="sep"></span>digest <code>{escape(result.digest[:16])}</code></p></div>'
            f"{toggle}</header>"
        )

    def _tiles(self) -> str:
        stats = self.statistics
        returns, currency = stats.table("returns"), stats.primary_currency or ""
        series = stats.series.get(currency)
        pnl = stats.table("pnls", currency).get("PnL (total)")
        final = returns.get("Final Equity")
        tiles = [
            _tile("Net return", returns.get("Net Return"), under=_money(pnl, currency), signed=True),
            _tile("Final equity", final, under=currency),
            _tile("Sharpe ratio", returns.get("Sharpe Ratio")),
            _tile("Max drawdown", returns.get("Max Drawdown"), under=_shown(returns.get("Max Drawdown Length"))),
            _tile("Win rate", stats.general.get("Win Rate"), under=f"{_shown(stats.general.get('Trades'))} trades"),
        ]
        if series is not None and series.daily:  # a day's growth raised to a year says nothing
            tiles.insert(2, _tile("CAGR", returns.get("CAGR")))
        else:
            tiles.append(_tile("Time in market", stats.general.get("Time in Market"), under=" "))
        return f'<section class="tiles" id="headline" aria-label="Headline figures">{"".join(tiles)}</section>'

    def _warnings(self) -> str:
        items = "".join(f"<li>{escape(text)}</li>" for text in run_warnings(self.result, self.statistics))
        return (
            f'<section class="warnings" id="warnings" aria-label="Warnings"><ul>{items}</ul></section>' if items else ""
        )

    def _panels(self) -> str:
        names = self.config.charts if self.config.charts is not None else list_charts()
        for name in names:
            get_chart(name)  # an unknown name is refused before anything is drawn
        currencies = self._currencies()
        parts: list[str] = []
        done: set[str] = set()
        for name in names:
            if name in done:
                continue
            if not _CHARTS[name].per_currency:
                parts.append(self._chart(name, None))
                continue
            together = [n for n in names if _CHARTS[n].per_currency]
            done.update(together)
            for currency in currencies:
                if len(currencies) > 1:
                    parts.append(f'</div><h2 class="currency">{escape(currency)}</h2><div class="grid">')
                parts.extend(self._chart(n, currency) for n in together)
            if len(currencies) > 1:
                parts.append('</div><h2 class="currency">All currencies</h2><div class="grid">')
        return f'<div class="grid">{"".join(parts)}</div>'

    def _currencies(self) -> list[str]:
        """The currencies whose equity moved, the primary one first; at least one."""
        curves = self.statistics.curves
        moved = [c for c, curve in curves.items() if bool((curve.equity != curve.equity[0]).any())]
        chosen = moved or list(curves)[:1]
        for currency in curves:
            if currency not in chosen:
                self.not_shown[f"{currency} charts: equity never changed"] = None
        for currency in chosen[MAX_CURRENCIES:]:
            self.not_shown[f"{currency} charts: only the first {MAX_CURRENCIES} currencies are drawn"] = None
        return chosen[:MAX_CURRENCIES]

    def _chart(self, name: str, currency: str | None) -> str:
        made = _CHARTS[name].function(TearsheetData(self.result, self.statistics, currency), self.config)
        if made is None:
            return ""
        if isinstance(made, NotShown):
            self.not_shown[made.reason] = None
            return ""
        panels = made if isinstance(made, list) else [made]
        return "".join(self._panel(name, panel) for panel in panels)

    def _panel(self, name: str, panel: Panel) -> str:
        note = f'<p class="note">{escape(panel.note)}</p>' if panel.note else ""
        figure = ""
        tools = ""
        if panel.figure is not None:
            self.figures += 1
            blob = embedded_json(panel.figure)
            key = f"figure-{self.figures}"
            figure = (
                f'<div class="plot" id="{key}" style="height:{panel.height}px" role="img" '
                f'aria-label="{escape(panel.title)}"></div>'
                f'<script type="application/json" class="figure" data-for="{key}">{blob}</script>'
            )
            if panel.figure.get("layout", {}).get("meta", {}).get("log"):
                tools = f'<button class="log" type="button" data-for="{key}">log</button>'
        content = panel.html + figure if panel.table_first else figure + panel.html
        wide = " wide" if panel.wide else ""
        heading = f"<header><h2>{escape(panel.title)}</h2>{tools}{note}</header>"
        return f'<section class="panel{wide}" data-chart="{escape(name)}">{heading}{content}</section>'

    def _footer(self) -> str:
        return (
            f"<footer><p>Run <code>{escape(self.result.run_id)}</code>, digest <code>{escape(self.result.digest)}"
            f"</code>. Check it with <code>fleet verify {escape(self.result.run_id)}</code>. "
            "Drag over a chart to zoom all of them in time, double-click to see the whole run.</p></footer>"
        )


def _tile(label: str, statistic: Statistic | None, *, under: str | None = None, signed: bool = False) -> str:
    """One headline figure; `under` replaces the sample size in the small print."""
    value = statistic.value if statistic is not None else None
    tone = ""
    if signed and value is not None:
        tone = " up" if value > 0 else " down" if value < 0 else ""
    small = under if under is not None else format_sample(statistic) if statistic is not None else ""
    return (
        f'<div class="tile"><p class="label">{escape(label)}</p><p class="value{tone}">{escape(_shown(statistic))}</p>'
        f'<p class="sample">{escape(small.strip()) or "&nbsp;"}</p></div>'
    )


def _shown(statistic: Statistic | None) -> str:
    return format_statistic(statistic) if statistic is not None else NONE


def _money(statistic: Statistic | None, currency: str) -> str:
    if statistic is None or statistic.value is None:
        return ""
    return f"{'+' if statistic.value > 0 else ''}{format_statistic(statistic)} {currency}"


def embedded_json(document: Any) -> str:
    """JSON that is safe inside a script element: no `<` survives, so no text can end it."""
    text = msgspec.json.encode(document).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
