"""The rules of the simulated venue, written out plainly: what SimulatedVenue must do, without kernels or look-ahead.

At every row all resting orders are looked at. Chance is left out (a touched limit order fills, nothing slips). Prices
and sizes are integers. An event is ``(ts, kind, order id, quantity, price, is_maker)``.
"""

from __future__ import annotations

from dataclasses import dataclass

QUARTER = 4


@dataclass
class TwinOrder:
    """An order: `side` is +1 for a buy and -1 for a sell; `trigger` is None but for stops that were not triggered."""

    name: str
    kind: str  # market, limit, stop_market, stop_limit
    side: int
    quantity: int
    price: int | None = None
    trigger: int | None = None
    tif: str = "GTC"
    on_last: bool = False
    post_only: bool = False
    arrival: int = 0
    is_open: bool = True

    @property
    def level(self) -> int:
        found = self.trigger if self.trigger is not None else self.price
        assert found is not None
        return found


class VenueTwin:
    """One instrument. `kinds` are the streams it has: quote, trade, bar:LAST, bar:BID, bar:ASK."""

    def __init__(self, kinds: list[str], tick: int = 1, increment: int = 1, adaptive: bool = False) -> None:
        self.kinds = kinds
        self.tick = tick
        self.increment = increment
        self.adaptive = adaptive
        self.book: dict[str, tuple[int, int]] = {}  # side -> (price, size): "ask" is what a buyer pays
        self.newest: dict[str, dict] = {}
        self.orders: list[TwinOrder] = []
        self.held: list[TwinOrder] = []
        self.events: list[tuple] = []
        self.ts = 0
        self.arrivals = 0

    # -- rows --------------------------------------------------------------------------------------------------------

    def row(self, kind: str, row: dict) -> None:
        self.ts = row["ts_init"]
        self.newest[kind] = row
        if kind.startswith("bar"):
            if not self.walk(kind):
                return  # the first of a BID and an ASK bar waits for the second
        elif kind == "trade" and "quote" in self.newest:
            self.settle_book()
            self.match_trade(row)
        else:
            self.settle_book()
            self.match_book()
        self.settle_book()
        waiting, self.held = self.held, []
        for order in waiting:
            if order.is_open:
                self.take_liquidity(order)

    def settle_book(self) -> None:
        """The book between rows: of the newest quote, else of the newest trade, else of the bars' closes."""
        if "quote" in self.newest:
            row = self.newest["quote"]
            self.book = {"bid": (row["bid"], row["bid_size"]), "ask": (row["ask"], row["ask_size"])}
        elif "trade" in self.newest:
            row = self.newest["trade"]
            self.book = dict.fromkeys(("bid", "ask"), (row["price"], row["size"]))
        else:
            for kind in self.kinds:
                if not kind.startswith("bar") or kind not in self.newest:
                    continue
                row = self.newest[kind]
                point = (row["close"], self.sizes(row)[3])
                for side, spared in (("bid", "bar:ASK"), ("ask", "bar:BID")):
                    if kind != spared or not self.is_paired or side not in self.book:
                        self.book[side] = point

    def sizes(self, row: dict) -> list[int]:
        """The volume in four: three quarters rounded down, and what is left; never nothing."""
        quarter = max(row["volume"] // QUARTER // self.increment * self.increment, self.increment)
        return [quarter] * 3 + [max(row["volume"] - 3 * quarter, self.increment)]

    def walk(self, kind: str) -> bool:
        """A bar is four prices, open, high, low, close; a BID and an ASK bar of one time are one walk."""
        bid = ask = self.newest[kind]
        if kind != "bar:LAST" and self.is_paired:
            found = [self.newest.get(name) for name in ("bar:BID", "bar:ASK")]
            if None in found or found[0]["ts_init"] != found[1]["ts_init"]:
                return False
            bid, ask = found
        names = ["open", "high", "low", "close"]
        if self.adaptive and abs(bid["open"] - bid["high"]) >= abs(bid["open"] - bid["low"]):
            names = ["open", "low", "high", "close"]
        for name, size in zip(names, self.sizes(bid), strict=True):
            self.book = {"bid": (bid[name], size), "ask": (ask[name], size)}
            self.match_book(None if name == "open" else "level")
        return True

    @property
    def is_paired(self) -> bool:
        return {"bar:BID", "bar:ASK"} <= set(self.kinds)

    # -- matching ----------------------------------------------------------------------------------------------------

    def by_priority(self) -> list[TwinOrder]:
        """Buys, then sells; the best price first, then the oldest."""
        return sorted(self.orders, key=lambda order: (-order.side, -order.side * order.level, order.arrival))

    def opposite(self, order: TwinOrder) -> tuple[int, int]:
        return self.book["ask" if order.side > 0 else "bid"]

    def reaches(self, order: TwinOrder, price: int) -> bool:
        """`price` makes the order act: a stop when it is at the trigger or worse, a limit when at the price or better."""
        distance = (price - order.level) * order.side
        return distance >= 0 if order.trigger is not None else distance <= 0

    def stop_looks_at_the_book(self, order: TwinOrder) -> bool:
        return not (order.on_last and {"quote", "trade"} <= set(self.kinds))

    def match_book(self, stop_price: str | None = None) -> None:
        for order in self.by_priority():
            price, size = self.opposite(order)
            if not order.is_open or not self.reaches(order, price):
                continue
            if order.trigger is None:
                self.make_liquidity(order, size)
            elif self.stop_looks_at_the_book(order):
                self.trigger(order, order.level if stop_price else None)

    def match_trade(self, row: dict) -> None:
        """A trade beside quotes: a seller's trade fills buys, a buyer's fills sells, one of nobody both."""
        for order in self.by_priority():
            if not order.is_open or not self.reaches(order, row["price"]):
                continue
            if order.trigger is not None:
                if order.on_last:
                    self.trigger(order, None)
            elif row["aggressor"] != (1 if order.side > 0 else 2):
                self.make_liquidity(order, row["size"])

    def trigger(self, order: TwinOrder, at: int | None) -> None:
        if order.kind == "stop_market":
            self.take_liquidity(order, at)
            return
        order.trigger = None
        self.say("Triggered", order)
        best = self.opposite(order)[0] if at is None else at  # within a bar the market passes the trigger price
        if self.reaches(order, best):
            self.cross(order, best)

    # -- fills -------------------------------------------------------------------------------------------------------

    def take_liquidity(self, order: TwinOrder, at: int | None = None) -> None:
        """Market: what the top of the book holds at its price, the rest one tick worse."""
        price, size = self.opposite(order)
        price = price if at is None else at
        if order.tif == "FOK" and size < order.quantity:
            return self.close(order)
        if size:
            self.fill(order, min(size, order.quantity), price, False)
        if order.is_open and order.tif == "IOC":
            return self.close(order)
        if order.is_open:
            self.fill(order, order.quantity, price + order.side * self.tick, False)
        return None

    def cross(self, order: TwinOrder, price: int) -> None:
        """A limit order that meets the market at `price` takes what the book holds."""
        size = self.opposite(order)[1]
        if order.tif == "FOK" and size < order.quantity:
            return self.close(order)
        if size:
            self.fill(order, min(size, order.quantity), price, False)
        if order.is_open and order.tif in ("IOC", "FOK"):
            self.close(order)
        return None

    def make_liquidity(self, order: TwinOrder, size: int) -> None:
        if size:
            self.fill(order, min(size, order.quantity), order.price, True)

    def fill(self, order: TwinOrder, quantity: int, price: int | None, is_maker: bool) -> None:
        order.quantity -= quantity
        if not order.quantity:
            self.forget(order)
        self.events.append((self.ts, "Filled", order.name, quantity, price, is_maker))

    def close(self, order: TwinOrder) -> None:
        self.forget(order)
        self.say("Canceled", order)

    def forget(self, order: TwinOrder) -> None:
        order.is_open = False
        self.orders = [other for other in self.orders if other is not order]

    def say(self, what: str, order: TwinOrder) -> None:
        self.events.append((self.ts, what, order.name, 0, None, False))

    # -- commands ----------------------------------------------------------------------------------------------------

    def submit(self, ts: int, order: TwinOrder) -> None:
        self.ts = ts
        self.settle_book()
        self.arrivals += 1
        order.arrival = self.arrivals
        if order.kind == "market":
            if self.book:
                self.take_liquidity(order)
            else:
                self.held.append(order)
            return
        crosses = bool(self.book) and self.reaches(order, self.opposite(order)[0])
        if crosses and order.trigger is not None and self.stop_looks_at_the_book(order):
            return self.reject(order)
        if crosses and order.trigger is None and order.post_only:
            return self.reject(order)
        self.say("Accepted", order)
        if order.trigger is None and crosses:
            self.cross(order, self.opposite(order)[0])
        elif order.trigger is None and order.tif in ("IOC", "FOK"):
            self.close(order)
        if order.is_open:
            self.orders.append(order)
        return None

    def reject(self, order: TwinOrder) -> None:
        order.is_open = False
        self.say("Rejected", order)

    def cancel(self, ts: int, order: TwinOrder) -> None:
        self.ts = ts
        if order.is_open:
            self.held = [other for other in self.held if other is not order]
            self.close(order)
        else:
            self.say("CancelRejected", order)
