"""Exchange rates, exact: what an amount of one currency is in another, at the quotes of the tag that is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.model.rounding import div_half_even

if TYPE_CHECKING:
    from nautilus_common.model.identifiers import InstrumentId, Venue
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.values import Currency
    from nautilus_common.streams import MarketView

Rate = tuple[int, int]
"""A rate as an exact fraction, (numerator, denominator)."""


class ConversionError(Exception):
    """An amount cannot be converted: no instrument with a price connects the two currencies."""


class ExchangeRates:
    """Rates between currencies, from the currency pairs of the run (of the venue first, then of any other).

    The rate through a pair is its bid or ask; through the inverse pair BID is 1/ask and ASK is 1/bid; else the product
    of two such rates through a third currency.
    """

    def __init__(self, instruments: dict[InstrumentId, Instrument], market: MarketView) -> None:
        self._market = market
        self._pairs: dict[tuple[Currency, Currency], list[Instrument]] = {}
        for instrument in instruments.values():
            base = instrument.get_base_currency()
            if base is not None and not instrument.is_inverse and base != instrument.quote_currency:
                self._pairs.setdefault((base, instrument.quote_currency), []).append(instrument)

    def convert(self, raw: int, source: Currency, target: Currency, venue: Venue, *, bid: bool) -> int:
        """`raw` units of `source` in units of `target`, rounded half to even; `bid` chooses the side of the rate."""
        rate = self.rate(source, target, venue, bid=bid)
        if rate is None:
            raise ConversionError(
                f"no price connects {source.code} with {target.code} on {venue} yet: add quotes of the pair "
                f"{source.code}/{target.code} (or its inverse), or give the account no base currency"
            )
        numerator, denominator = rate
        return div_half_even(raw * numerator * 10**target.precision, denominator * 10**source.precision)

    def convert_mid(self, raw: int, source: Currency, target: Currency, venue: Venue) -> int:
        """As `convert`, at the mean of both sides."""
        return self.convert_fraction_mid((raw, 10**source.precision), source, target, venue)

    def convert_fraction_mid(self, amount: Rate, source: Currency, target: Currency, venue: Venue) -> int:
        """An exact amount of `source`, as a fraction of its unit 1, in `target` at the mean of both sides, rounded
        once.
        """
        low, high = (self.rate(source, target, venue, bid=side) for side in (True, False))
        if low is None or high is None:
            raise ConversionError(f"no price connects {source.code} with {target.code} on {venue} yet")
        numerator = (low[0] * high[1] + high[0] * low[1]) * amount[0]
        denominator = 2 * low[1] * high[1] * amount[1]
        return div_half_even(numerator * 10**target.precision, denominator)

    def rate(self, source: Currency, target: Currency, venue: Venue, *, bid: bool) -> Rate | None:
        """The exact rate, or None when there is no price."""
        if source == target:
            return 1, 1
        direct = self._direct(source, target, venue, bid)
        if direct is not None:
            return direct
        for base, quote in self._pairs:
            third = quote if base == source else base if quote == source else None
            if third is None or third == target:
                continue
            first = self._direct(source, third, venue, bid)
            second = self._direct(third, target, venue, bid)
            if first is not None and second is not None:
                return first[0] * second[0], first[1] * second[1]
        return None

    def _direct(self, source: Currency, target: Currency, venue: Venue, bid: bool) -> Rate | None:
        for instrument in self._of(source, target, venue):
            prices = self.prices(instrument.id)
            if prices is not None:
                return prices[0] if bid else prices[1], 10**instrument.price_precision
        for instrument in self._of(target, source, venue):
            prices = self.prices(instrument.id)
            if prices is not None:
                return 10**instrument.price_precision, prices[1] if bid else prices[0]
        return None

    def _of(self, base: Currency, quote: Currency, venue: Venue) -> list[Instrument]:
        found = self._pairs.get((base, quote), [])
        return found if len(found) < 2 else sorted(found, key=lambda instrument: instrument.id.venue != venue)

    def prices(self, instrument_id: InstrumentId) -> tuple[int, int] | None:
        """(bid, ask) raw: of the newest quote, else the last trade, else the last bar's close."""
        quote = self._market.quote(instrument_id)
        if quote is not None:
            return quote
        for kind, column in (("trade", "price"), ("bar", "close")):
            stream = self._market.last_of(kind, instrument_id)
            if stream is not None:
                price = stream.value(column)
                return price, price
        return None
