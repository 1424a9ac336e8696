"""The charts of the tearsheet as Plotly figures: plain dictionaries with colour tokens, thinned to what an eye can see.

Text that comes from the user is escaped, since Plotly reads a little HTML in labels.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from . import returns_statistics as rs
from .equity import drawdown_series, drawdowns
from .formatting import NONE, format_date, format_duration, format_percent
from .tearsheet import NotShown, Panel, TearsheetConfig, TearsheetData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .result import FloatArray, Row

NS_PER_MS = 1_000_000
MAX_CANDLES = 400
"""Up to here a bar is wide enough to be seen as a candle; beyond it the closes are drawn as a line."""
MAX_MARKERS = 2_000


def milliseconds(ts: NDArray[np.int64]) -> list[int]:
    """UTC ns as the ms since 1970 that Plotly's date axes take."""
    return [int(t) for t in (ts // NS_PER_MS).tolist()]


def thinned(values: FloatArray, limit: int) -> NDArray[np.int64]:
    """Rows to draw: all up to `limit`, else the lowest and highest of each bucket with the first and last row."""
    n = len(values)
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    buckets = max((limit - 2) // 2, 1)
    edges = np.linspace(0, n, buckets + 1).astype(np.int64)
    rows = [0, n - 1]
    for begin, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[begin:stop]
        rows += [begin + int(part.argmin()), begin + int(part.argmax())]
    return np.unique(np.asarray(rows, dtype=np.int64))


def _thinning_note(shown: int, of: int, what: str) -> str:
    return f"thinned to {shown:,} of {of:,} {what}" if shown < of else ""


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _rounded(values: FloatArray, digits: int = 10) -> list[float | None]:
    """Shorter numbers for the file: `digits` significant ones; None where not finite."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in values.tolist()]


def _time_axis(data: TearsheetData) -> dict[str, Any]:
    """The span of the run, the same under every chart over time, with a little air."""
    curves = data.statistics.curves.values()
    first = min([int(c.ts[0]) for c in curves] + [data.result.start_ns or data.result.end_ns])
    last = max([int(c.ts[-1]) for c in curves] + [data.result.end_ns])
    air = max((last - first) // 150, NS_PER_MS)
    span = [(first - air) // NS_PER_MS, (last + air) // NS_PER_MS]
    return {"type": "date", "hoverformat": "%Y-%m-%d %H:%M:%S", "range": span}


def equity_chart(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Equity and, where it differs, the balance without open profit."""
    curve = data.statistics.curves.get(data.currency or "")
    if curve is None:
        return NotShown("Equity: the run has no equity curve")
    shows_balance = bool((curve.balance != curve.equity).any())
    rows = thinned(curve.equity, config.max_points // (2 if shows_balance else 1))
    x = milliseconds(curve.ts[rows])
    low, high = float(curve.equity.min()), float(curve.equity.max())
    pad = (high - low) * 0.08 or abs(high) * 0.01 or 1.0
    line = {"shape": "hv", "width": 1.8, "color": "$accent"}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": "Equity", "x": x, "y": _rounded(curve.equity[rows]),
            "line": line, "fill": "tozeroy", "fillcolor": "$accentSoft", "hovertemplate": "%{y:,.2f}",
        }
    ]  # fmt: skip
    if shows_balance:
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": "Balance", "x": x, "y": _rounded(curve.balance[rows]),
                "line": {"shape": "hv", "width": 1.1, "color": "$muted", "dash": "dot"},
                "hovertemplate": "%{y:,.2f}",
            }
        )  # fmt: skip
    layout: dict[str, Any] = {
        "xaxis": _time_axis(data),
        "yaxis": {"tickformat": ",", "range": [low - pad, high + pad]},
        "showlegend": shows_balance,
        "shapes": [
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": float(curve.equity[0]),
                "y1": float(curve.equity[0]), "line": {"color": "$muted", "width": 1, "dash": "dash"},
            }
        ],
        "meta": {"sync": "time", "log": low > 0.0},
    }  # fmt: skip
    note = _notes(f"{curve.currency}", _thinning_note(len(rows), len(curve.ts), "points"))
    return Panel("Equity", {"data": traces, "layout": layout}, note=note, height=340)


def drawdown_chart(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """The fall from the running peak as an area, and the five deepest falls as a table."""
    curve = data.statistics.curves.get(data.currency or "")
    if curve is None or not bool((drawdown_series(curve.equity) < 0.0).any()):
        return NotShown("Drawdown: equity never fell below a peak")
    series = drawdown_series(curve.equity)
    rows = thinned(series, config.max_points)
    worst = drawdowns(curve.ts, curve.equity, top=5)
    deepest = worst[0]
    trace = {
        "type": "scatter", "mode": "lines", "name": "Drawdown", "x": milliseconds(curve.ts[rows]),
        "y": _rounded(series[rows], 6), "line": {"shape": "hv", "width": 1.2, "color": "$down"}, "fill": "tozeroy",
        "fillcolor": "$downSoft", "hovertemplate": "%{y:.2%}",
    }  # fmt: skip
    label = {
        "x": deepest.trough_ns // NS_PER_MS, "y": deepest.depth, "text": format_percent(deepest.depth),
        "showarrow": True, "arrowcolor": "$muted", "arrowwidth": 1, "arrowhead": 0, "ay": 17,
        "ax": 0, "font": {"color": "$ink", "size": 12},
    }  # fmt: skip
    layout = {
        "xaxis": _time_axis(data),
        "yaxis": {"tickformat": ".3~%", "range": [deepest.depth * 1.3, 0.0], "nticks": 5},
        "showlegend": False,
        "annotations": [label],
        "meta": {"sync": "time"},
    }
    cells = "".join(
        f'<tr><td class="num">{index}</td><td class="num down">{format_percent(d.depth)}</td>'
        f"<td>{format_date(d.peak_ns)}</td><td>{format_date(d.trough_ns)}</td>"
        f"<td>{format_date(d.recovered_ns) if d.recovered_ns is not None else 'not yet'}</td>"
        f'<td class="num">{format_duration(d.length_ns)}</td></tr>'
        for index, d in enumerate(worst, 1)
    )
    table = (
        '<div class="scroll"><table id="top-drawdowns"><thead><tr><th class="num">#</th><th class="num">Depth</th>'
        '<th>Peak</th><th>Trough</th><th>Recovered</th><th class="num">Length</th></tr></thead>'
        f"<tbody>{cells}</tbody></table></div>"
    )
    note = _notes("every point of the curve, intraday included", _thinning_note(len(rows), len(series), "points"))
    return Panel("Drawdown", {"data": [trace], "layout": layout}, html=table, note=note, height=220)


def distribution_chart(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Histogram of returns with round bin edges, zero among them, and the mean and the historical 5 % quantile."""
    series = data.statistics.series.get(data.currency or "")
    returns = series.returns if series is not None else np.zeros(0)
    if series is None or len(returns) < 10 or float(returns.max()) == float(returns.min()):
        return NotShown("Returns distribution: needs at least 10 returns that differ")
    width = _bin_width(returns)
    first, last = math.floor(float(returns.min()) / width), math.floor(float(returns.max()) / width)
    bins = np.floor(returns / width).astype(np.int64) - first
    counts = np.bincount(bins, minlength=last - first + 1).tolist()
    centres = [(first + i + 0.5) * width for i in range(len(counts))]
    average, tail = rs.mean(returns), rs.value_at_risk(returns)
    assert average is not None and tail is not None
    trace = {
        "type": "bar", "x": centres, "y": counts, "width": width * 0.92,
        "hovertemplate": "%{x:.3~%}: %{y}<extra></extra>",
        "marker": {"color": ["$up" if c > 0 else "$down" for c in centres], "line": {"width": 0}},
    }  # fmt: skip
    layout = {
        "xaxis": {"tickformat": ".2~%", "type": "linear"},
        "yaxis": {"tickformat": ",d", "rangemode": "tozero"},
        "hovermode": "closest",
        "showlegend": False,
        "shapes": [_upright(average, "$ink", "solid"), _upright(tail, "$muted", "dot")],
        "annotations": [
            _upright_label(average, f"mean {format_percent(average, 3)}", "left"),
            _upright_label(tail, f"5 % VaR {format_percent(tail)}", "right"),
        ],
    }
    note = f"{len(returns):,} returns; {series.sampling}; historical VaR"
    return Panel("Returns distribution", {"data": [trace], "layout": layout}, note=note, height=300, wide=False)


def _bin_width(returns: FloatArray) -> float:
    """Freedman and Diaconis' width, rounded to 1, 2 or 5 times a power of ten, for 8 to 60 bins."""
    spread = float(returns.max()) - float(returns.min())
    high, low = rs.quantile(returns, 0.75), rs.quantile(returns, 0.25)
    assert high is not None and low is not None
    wanted = 2.0 * (high - low) / math.pow(len(returns), 1.0 / 3.0)
    wanted = min(max(wanted, spread / 60.0), spread / 8.0)
    scale = math.pow(10.0, math.floor(math.log10(wanted)))
    return scale * min((1.0, 2.0, 5.0, 10.0), key=lambda step: abs(step * scale - wanted))


def _upright(x: float, color: str, dash: str) -> dict[str, Any]:
    line = {"color": color, "width": 1.2, "dash": dash}
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def _upright_label(x: float, text: str, side: str) -> dict[str, Any]:
    return {
        "x": x, "yref": "paper", "y": 1.0, "yanchor": "bottom", "xanchor": side, "text": text, "showarrow": False,
        "font": {"size": 11, "color": "$muted"},
    }  # fmt: skip


def rolling_sharpe_chart(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Sharpe ratio over a moving window of daily returns."""
    series = data.statistics.series.get(data.currency or "")
    window = config.rolling_window
    if series is None or not series.daily or len(series.returns) < window + 20:
        return NotShown(f"Rolling Sharpe: needs at least {window + 20} daily returns")
    values = np.asarray(
        [np.nan if v is None else v for v in rs.rolling_sharpe(series.returns, series.periods_per_year, window)]
    )
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return NotShown("Rolling Sharpe: returns never varied")
    rows = thinned(np.nan_to_num(values), config.max_points)
    trace = {
        "type": "scatter", "mode": "lines", "name": "Sharpe", "x": milliseconds(series.ts[window - 1 :][rows]),
        "y": _rounded(values[rows], 5), "line": {"width": 1.6, "color": "$accent"}, "hovertemplate": "%{y:.2f}",
    }  # fmt: skip
    layout = {
        "xaxis": _time_axis(data),
        "yaxis": {"zeroline": True, "zerolinecolor": "$muted", "zerolinewidth": 1},
        "showlegend": False,
        "meta": {"sync": "time"},
    }
    note = f"{window} returns, {series.periods_per_year}/y; {series.sampling}"
    return Panel("Rolling Sharpe", {"data": [trace], "layout": layout}, note=note, height=260)


def yearly_chart(data: TearsheetData, config: TearsheetConfig) -> Panel | NotShown:
    """Return of each calendar year as bars."""
    from .tearsheet_tables import period_returns

    curve = data.statistics.curves.get(data.currency or "")
    years = period_returns(curve, "Y", config.compounding) if curve is not None else {}
    if len(years) < 2:
        return NotShown("Yearly returns: the run lies within one calendar year")
    values = list(years.values())
    trace = {
        "type": "bar", "x": [str(year + 1970) for year in years], "y": values,
        "hovertemplate": "%{x}: %{y:.2%}<extra></extra>",
        "marker": {"color": ["$up" if v is not None and v >= 0 else "$down" for v in values]},
        "text": [NONE if v is None else format_percent(v, 1) for v in values], "textposition": "outside",
        "cliponaxis": False, "textfont": {"size": 11, "color": "$ink"}, "width": 0.6,
    }  # fmt: skip
    layout = {
        "xaxis": {"type": "category"},
        "yaxis": {"tickformat": ".2~%", "zeroline": True, "zerolinecolor": "$muted"},
        "hovermode": "closest",
        "showlegend": False,
    }
    return Panel("Yearly returns", {"data": [trace], "layout": layout}, height=300, wide=False)


def bars_with_fills_chart(data: TearsheetData, config: TearsheetConfig) -> list[Panel] | NotShown:
    """Price of each traded instrument with its fills: candles while they are wide enough, else a line."""
    fills: dict[str, list[Row]] = {name: [] for name in data.result.prices}
    for fill in data.result.fills:
        fills.setdefault(str(fill["instrument_id"]), []).append(fill)
    ranked = sorted(fills, key=lambda name: (-len(fills[name]), name))
    panels = [_price_panel(data, name, fills[name], config) for name in ranked[: config.max_instruments]]
    drawn = [panel for panel in panels if panel is not None]
    if not drawn:
        return NotShown("Price with fills: the run has no prices and no fills")
    if len(ranked) > config.max_instruments:
        last = drawn[-1]
        note = _notes(last.note, f"{len(ranked) - config.max_instruments} more instruments are not drawn")
        drawn[-1] = Panel(last.title, last.figure, note=note, height=last.height)
    return drawn


def _price_panel(data: TearsheetData, name: str, fills: list[Row], config: TearsheetConfig) -> Panel | None:
    traces: list[dict[str, Any]] = []
    notes = []
    marker_limit = min(MAX_MARKERS, config.max_points // 2)
    columns = data.result.prices.get(name)
    if columns is not None and len(columns["ts"]):
        trace, note = _price_trace(columns, config.max_points - marker_limit)
        traces.append(trace)
        notes.append(note)
    if not traces and not fills:
        return None
    shown = (
        fills if len(fills) <= marker_limit else [fills[i * len(fills) // marker_limit] for i in range(marker_limit)]
    )
    for side, symbol, color in (("BUY", "triangle-up", "$up"), ("SELL", "triangle-down", "$down")):
        own = [fill for fill in shown if fill.get("order_side") == side]
        if own:
            traces.append(_marker_trace(own, side, symbol, color))
    notes.append(
        f"{len(fills):,} fills" if len(shown) == len(fills) else _thinning_note(len(shown), len(fills), "fills")
    )
    layout = {
        "xaxis": {**_time_axis(data), "rangeslider": {"visible": False}},
        "yaxis": {"tickformat": ","},
        "hovermode": "closest",
        "showlegend": True,
        "meta": {"sync": "time"},
    }
    return Panel(f"{name} with fills", {"data": traces, "layout": layout}, note=_notes(*notes), height=380)


def _price_trace(columns: dict[str, Any], limit: int) -> tuple[dict[str, Any], str]:
    ts = np.asarray(columns["ts"], dtype=np.int64)
    close = np.asarray(columns["close"], dtype=np.float64)
    if len(ts) <= MAX_CANDLES:
        body = {key: _rounded(np.asarray(columns[key], dtype=np.float64)) for key in ("open", "high", "low", "close")}
        up, down = {"line": {"color": "$up", "width": 1}}, {"line": {"color": "$down", "width": 1}}
        candles = {"type": "candlestick", "name": "Price", "x": milliseconds(ts), **body, "showlegend": False}
        return {**candles, "increasing": up, "decreasing": down, "opacity": 0.75}, f"{len(ts):,} bars"
    rows = thinned(close, limit)
    line = {
        "type": "scatter", "mode": "lines", "name": "Close", "x": milliseconds(ts[rows]), "y": _rounded(close[rows]),
        "line": {"width": 1.1, "color": "$price"}, "hovertemplate": "%{y:,}<extra></extra>", "showlegend": False,
    }  # fmt: skip
    return line, _thinning_note(len(rows), len(ts), "bars") or f"closes of {len(ts):,} bars"


def _marker_trace(fills: list[Row], side: str, symbol: str, color: str) -> dict[str, Any]:
    size = 9 if len(fills) <= 200 else 6
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Buy" if side == "BUY" else "Sell",
        "x": [int(fill["ts_event"]) // NS_PER_MS for fill in fills],
        "y": [float(fill["last_px"]) for fill in fills],
        "text": [
            escape(f"{side} {fill.get('last_qty', '')} @ {fill['last_px']}  {fill.get('client_order_id', '')}")
            for fill in fills
        ],
        "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M:%S}<extra></extra>",
        "marker": {"symbol": symbol, "size": size, "color": color, "line": {"width": 1, "color": "$panel"}},
    }


CHARTS: dict[str, tuple[Any, bool]] = {
    "equity": (equity_chart, True),
    "drawdown": (drawdown_chart, True),
    "rolling_sharpe": (rolling_sharpe_chart, True),
    "distribution": (distribution_chart, True),
    "yearly_returns": (yearly_chart, True),
    "bars_with_fills": (bars_with_fills_chart, False),
}
