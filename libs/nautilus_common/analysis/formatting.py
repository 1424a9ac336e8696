"""Figures as people read them: one place, so that terminal and tearsheet never disagree."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .statistics import Statistic

NONE = "–"  # noqa: RUF001 - an en dash: no figure


def format_money(amount: Decimal | float) -> str:
    """With thousands separators and the decimals it carries; floats with two (more when below one hundredth)."""
    if isinstance(amount, Decimal):
        return f"{amount:,f}"
    if amount != 0.0 and abs(amount) < 0.01:
        return f"{amount:.6f}".rstrip("0").rstrip(".")
    return f"{amount:,.2f}"


def format_percent(fraction: float, digits: int = 2) -> str:
    """A fraction as per cent: 0.0123 is "1.23 %". Beyond a million per cent it says so instead of filling the line."""
    percent = fraction * 100.0
    if abs(percent) >= 1e6:
        return "> 1,000,000 %" if percent > 0 else "< -1,000,000 %"
    if 0.0 < abs(percent) < 0.5 * 10.0**-digits:
        return f"{percent:.2g} %"
    return f"{percent:,.{digits}f} %"


def format_duration(ns: int) -> str:
    """A span as its two largest units: "2h 14m", "41m 12s", "12d 3h", "350ms"."""
    if ns < 1_000_000_000:
        return f"{ns // 1_000_000}ms"
    seconds = ns // 1_000_000_000
    for size, big, small_size, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // small_size
            return f"{seconds // size:,}{big}" + (f" {rest}{small}" if rest else "")
    return f"{seconds}s"


def format_clock(ns: int) -> str:
    """A holding time as h:mm:ss, days in front past a day."""
    seconds = ns // 1_000_000_000
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{days}d {clock}" if days else clock


def format_time(ns: int) -> str:
    """UTC to the second, without the time where it is midnight."""
    when = datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC)
    text = when.strftime("%Y-%m-%d %H:%M:%S")
    return text.removesuffix(" 00:00:00")


def format_date(ns: int) -> str:
    """The UTC date."""
    return datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%d")


def format_statistic(statistic: Statistic) -> str:
    """The value in its unit; an en dash where there is none."""
    value = statistic.value
    if value is None:
        return NONE
    match statistic.unit:
        case "fraction":
            return format_percent(float(value))
        case "percent":
            return format_percent(float(value) / 100.0)
        case "money":
            return format_money(float(value))
        case "ns":
            return format_duration(int(value))
        case "count":
            return f"{int(value):,}"
        case _:
            return f"{value:,.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def format_sample(statistic: Statistic) -> str:
    """What the figure rests on: "n=1,440", with the periods per year in front where it is annualised."""
    sample = f"n={statistic.n:,}"
    return sample if statistic.periods_per_year is None else f"{statistic.periods_per_year:,}/y, {sample}"
