"""Seeded synthetic runs for the tests of the analysis package; also the source of docs/images/tearsheet.png."""

import hashlib
import random
from typing import Any

import numpy as np
from nautilus_common.analysis.result import RunResult

DAY_NS = 86_400_000_000_000
START_NS = 1_640_995_200_000_000_000  # 2022-01-01
INSTRUMENT = "BTCUSDT-PERP.SIM"


def position_row(
    number: int, opened: int, closed: int | None, pnl: str, entry: str = "BUY", **more: Any
) -> dict[str, Any]:
    return {
        "position_id": f"P-{number}", "trader_id": "TRADER-001", "strategy_id": "EMACross-000",
        "instrument_id": INSTRUMENT, "account_id": "SIM-001", "opening_order_id": f"O-{number}-1",
        "closing_order_id": f"O-{number}-2" if closed else None, "entry": entry, "side": "FLAT" if closed else "LONG",
        "quantity": "0.000", "peak_qty": "1.000", "ts_init": opened, "ts_opened": opened, "ts_last": closed or opened,
        "ts_closed": closed, "duration_ns": closed - opened if closed else None, "avg_px_open": 100.0,
        "avg_px_close": 101.0 if closed else None, "commissions": ["0.04 USDT"], "realized_return": 0.01,
        "realized_pnl": pnl, "is_snapshot": False, **more,
    }  # fmt: skip


def fill_row(order: str, ts: int, side: str, price: str, commission: str = "0.02 USDT", **more: Any) -> dict[str, Any]:
    return {
        "client_order_id": order, "trader_id": "TRADER-001", "strategy_id": "EMACross-000", "instrument_id": INSTRUMENT,
        "venue_order_id": "SIM-1-001", "account_id": "SIM-001", "trade_id": f"T-{order}", "position_id": "P-1",
        "order_side": side, "order_type": "MARKET", "last_qty": "1.000", "last_px": price, "currency": "USDT",
        "commission": commission, "liquidity_side": "TAKER", "event_id": "e", "ts_event": ts, "ts_init": ts, "info": {},
        "reconciliation": False, **more,
    }  # fmt: skip


def order_row(order: str, ts: int, side: str, status: str = "FILLED", **more: Any) -> dict[str, Any]:
    return {
        "client_order_id": order, "trader_id": "TRADER-001", "strategy_id": "EMACross-000", "instrument_id": INSTRUMENT,
        "venue_order_id": "SIM-1-001", "type": "MARKET", "side": side, "quantity": "1.000", "time_in_force": "GTC",
        "is_reduce_only": False, "is_quote_quantity": False, "filled_qty": "1.000", "liquidity_side": "TAKER",
        "avg_px": 100.0, "slippage": 0.0, "commissions": ["0.02 USDT"], "status": status, "tags": None,
        "init_id": "i", "ts_init": ts, "ts_last": ts, **more,
    }  # fmt: skip


def empty_run(**more: Any) -> RunResult:
    fields: dict[str, Any] = {
        "run_id": "7f3a9c", "name": "nothing", "digest": "0" * 64, "seed": 1, "periods_per_year": 365,
        "start_ns": START_NS, "end_ns": START_NS + DAY_NS, **more,
    }  # fmt: skip
    return RunResult(**fields)


def sample_run(days: int = 730, steps_per_day: int = 24, seed: int = 5, drift: float = 0.00016) -> RunResult:
    """A trend follower on a random walk: one position at a time, marked to market at each step."""
    rng = random.Random(seed)
    n = days * steps_per_day
    ts = START_NS + np.arange(n, dtype=np.int64) * (DAY_NS // steps_per_day)
    prices, price, momentum = [], 30_000.0, 0.0
    for _ in range(n):
        momentum = 0.97 * momentum + rng.gauss(0.0, 0.0011)
        price *= 1.0 + momentum * 0.10 + rng.gauss(drift * 0.3, 0.0045)
        prices.append(price)
    result = empty_run(name="ema_cross", end_ns=int(ts[-1]))
    equity, balance = _trade(result, ts.tolist(), prices, steps_per_day, rng)
    close = np.asarray(prices)
    opened = np.concatenate([[30_000.0], close[:-1]])
    result.prices = {
        INSTRUMENT: {"ts": ts, "open": opened, "high": np.maximum(opened, close) * 1.001,
                     "low": np.minimum(opened, close) * 0.999, "close": close}
    }  # fmt: skip
    result.equity = {
        "SIM-001/USDT": {"ts": ts, "equity": np.asarray(equity), "balance": np.asarray(balance),
                         "unrealized": np.asarray(equity) - np.asarray(balance)}
    }  # fmt: skip
    result.balances = {"SIM-001": {"USDT": f"{balance[-1]:.2f}"}}
    result.pnl = {"USDT": f"{balance[-1] - 100_000.0:.2f}"}
    result.digest = hashlib.sha256(repr(equity).encode()).hexdigest()
    result.data = [{"instrument_id": INSTRUMENT, "kind": "bar", "bar_type": f"{INSTRUMENT}-1-HOUR-LAST-EXTERNAL",
                    "rows": n, "sha256": hashlib.sha256(repr(prices).encode()).hexdigest()}]  # fmt: skip
    result.config = {"run": {"name": "ema_cross", "seed": seed}, "params": {"fast": 10, "slow": 20},
                     "stats": {"periods_per_year": 365}}  # fmt: skip
    result.events, result.data_points = len(result.orders) * 6, n
    result.seconds = {"load": 0.04, "run": 0.21, "report": 0.1}
    return result


def _trade(
    result: RunResult, ts: list[int], prices: list[float], steps_per_day: int, rng: random.Random
) -> tuple[list[float], list[float]]:
    cash, quantity, entry, opened = 100_000.0, 0.0, 0.0, 0
    fast = slow = prices[0]
    equity, balance = [], []
    for now, price in zip(ts, prices, strict=True):
        fast += (price - fast) * 2.0 / 31.0
        slow += (price - slow) * 2.0 / 121.0
        wanted = 1.5 if fast >= slow else -0.6
        if wanted != quantity:
            number = len(result.positions) + 1
            fee = round(abs(wanted - quantity) * price * 0.0004, 2)
            side = "BUY" if wanted > quantity else "SELL"
            if quantity:
                profit = round(quantity * (price - entry) - fee, 2)
                cash += profit
                entered = "BUY" if quantity > 0 else "SELL"
                result.positions.append(position_row(number, opened, now, f"{profit:.2f} USDT", entered))
            order = f"O-{number}"
            status = "REJECTED" if rng.random() < 0.01 else "FILLED"
            result.orders.append(order_row(order, now, side, status))
            liquidity = "MAKER" if rng.random() < 0.3 else "TAKER"
            result.fills.append(fill_row(order, now, side, f"{price:.2f}", f"{fee:.2f} USDT", liquidity_side=liquidity))
            quantity, entry, opened = wanted, price, now
        balance.append(cash)
        equity.append(cash + quantity * (price - entry))
    return equity, balance
