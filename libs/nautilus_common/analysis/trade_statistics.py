"""Statistics of closed trades, orders and fills, over the report rows of a run.

A trade is a closed position or the snapshot of one. A winner has a realised profit above zero, a loser below; one that
ended at exactly zero is neither, but counts in every average and rate (NautilusTrader counts it as a loser).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .result import Row, is_closed_position, parse_money
from .returns_statistics import deviation, mean

if TYPE_CHECKING:
    from .statistics import StatisticInputs

ORDER_OUTCOMES: dict[str, tuple[str, ...]] = {
    "Orders Filled": ("FILLED",),
    "Orders Rejected": ("REJECTED", "DENIED"),
    "Orders Canceled": ("CANCELED",),
    "Orders Expired": ("EXPIRED",),
}


def closed_trades(positions: list[Row]) -> list[Row]:
    """The closed positions in order of closing time; rows without one keep their place before the rest."""
    return sorted((p for p in positions if is_closed_position(p)), key=lambda p: int(p.get("ts_closed") or 0))


def open_positions(positions: list[Row]) -> list[Row]:
    """Positions still open when the run ended; they are marked, not counted as trades."""
    return [p for p in positions if not is_closed_position(p)]


def pnl_of(position: Row) -> float:
    """Realised profit of the row as a float, in its own currency; 0.0 when there is none."""
    return float(parse_money(position["realized_pnl"])[0]) if position.get("realized_pnl") is not None else 0.0


def pnls_by_currency(trades: list[Row]) -> dict[str, list[float]]:
    """Realised profits by the currency they are in, in the order of `trades`."""
    found: dict[str, list[float]] = {}
    for trade in trades:
        if trade.get("realized_pnl") is not None:
            amount, currency = parse_money(trade["realized_pnl"])
            found.setdefault(currency, []).append(float(amount))
    return found


def max_winner(pnls: list[float]) -> float | None:
    """Largest profit of a winning trade."""
    return max((p for p in pnls if p > 0.0), default=None)


def avg_winner(pnls: list[float]) -> float | None:
    """Mean profit of the winning trades."""
    return mean([p for p in pnls if p > 0.0])


def min_winner(pnls: list[float]) -> float | None:
    """Smallest profit of a winning trade."""
    return min((p for p in pnls if p > 0.0), default=None)


def min_loser(pnls: list[float]) -> float | None:
    """Smallest loss of a losing trade, a negative number."""
    return max((p for p in pnls if p < 0.0), default=None)


def avg_loser(pnls: list[float]) -> float | None:
    """Mean loss of the losing trades, a negative number."""
    return mean([p for p in pnls if p < 0.0])


def max_loser(pnls: list[float]) -> float | None:
    """Largest loss of a losing trade, a negative number."""
    return min((p for p in pnls if p < 0.0), default=None)


def expectancy(pnls: list[float]) -> float | None:
    """Mean profit of a trade = win rate * average winner + loss rate * average loser."""
    return mean(pnls)


def win_rate(pnls: list[float]) -> float | None:
    """Winners / all trades."""
    return sum(1 for p in pnls if p > 0.0) / len(pnls) if pnls else None


def system_quality_number(pnls: list[float]) -> float | None:
    """Van Tharp: sqrt(n) * mean(pnl) / std(pnl, ddof=1)."""
    centre, spread = mean(pnls), deviation(pnls)
    return None if centre is None or not spread else math.sqrt(len(pnls)) * centre / spread


def kelly_fraction(pnls: list[float]) -> float | None:
    """Kelly (1956) for two outcomes: W - (1 - W) / (average winner / |average loser|)."""
    share, winner, loser = win_rate(pnls), avg_winner(pnls), avg_loser(pnls)
    if share is None or winner is None or loser is None:
        return None
    return share - (1.0 - share) / (winner / -loser)


def commissions(inputs: StatisticInputs) -> float | None:
    """Commissions paid in the currency (positive: a cost), summed over fills."""
    paid = []
    for fill in inputs.result.fills:
        if fill.get("commission") is not None:
            amount, currency = parse_money(fill["commission"], str(fill.get("currency") or ""))
            if currency == inputs.currency:
                paid.append(float(amount))
    return math.fsum(paid)


def winning_share(trades: list[Row]) -> float | None:
    """Winners / all trades, whatever their currencies: only the sign counts."""
    return win_rate([pnl_of(trade) for trade in trades])


def long_ratio(trades: list[Row]) -> float | None:
    """Trades entered by buying / all trades. Not rounded (NautilusTrader rounds to two places)."""
    return sum(1 for t in trades if t.get("entry") == "BUY") / len(trades) if trades else None


def duration_ns(trade: Row) -> int:
    """How long the trade was open, ns."""
    if trade.get("duration_ns") is not None:
        return int(trade["duration_ns"])
    return int(trade.get("ts_closed") or 0) - int(trade.get("ts_opened") or 0)


def average_hold_ns(trades: list[Row], sign: int = 0) -> int | None:
    """Mean holding time, ns, rounded down; of winners with `sign` 1, of losers with -1."""
    held = [duration_ns(t) for t in trades if sign == 0 or pnl_of(t) * sign > 0.0]
    return sum(held) // len(held) if held else None


def longest_run(trades: list[Row], sign: int) -> int:
    """Most winners (`sign` 1) or losers (-1) in a row, in order of closing."""
    best = current = 0
    for trade in trades:
        current = current + 1 if pnl_of(trade) * sign > 0.0 else 0
        best = max(best, current)
    return best


def time_in_market(positions: list[Row], start_ns: int, end_ns: int) -> float | None:
    """Share of the run during which any position was open: the union of their intervals / (end - start)."""
    if end_ns <= start_ns or start_ns <= 0:
        return None
    intervals = sorted(
        (max(int(p["ts_opened"]), start_ns), min(int(p.get("ts_closed") or end_ns), end_ns))
        for p in positions
        if p.get("ts_opened")
    )
    covered, reach = 0, start_ns
    for begin, stop in intervals:
        if stop > reach:
            covered += stop - max(begin, reach)
            reach = stop
    return covered / (end_ns - start_ns)


def orders_with_status(orders: list[Row], statuses: tuple[str, ...]) -> int:
    """Number of orders that ended in one of the statuses."""
    return sum(1 for order in orders if order.get("status") in statuses)


def maker_share(fills: list[Row]) -> float | None:
    """Fills that provided liquidity / all fills, by count."""
    return sum(1 for f in fills if f.get("liquidity_side") == "MAKER") / len(fills) if fills else None
