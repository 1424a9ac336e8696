"""Makes orders for a strategy, and their ids. NautilusTrader's names and arguments."""

from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Protocol

from nautilus_common.model.enums import OrderSide, TimeInForce, TriggerType
from nautilus_common.model.identifiers import (
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderListId,
    StrategyId,
    TraderId,
    unchecked_client_order_id,
)
from nautilus_common.model.orders import LimitOrder, MarketOrder, StopLimitOrder, StopMarketOrder
from nautilus_common.model.values import Price, Quantity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_SECOND = 1_000_000_000
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(100))


class Clock(Protocol):
    """What the factory asks of a clock."""

    def timestamp_ns(self) -> int: ...


class OrderLookup(Protocol):
    """What the factory asks of a cache."""

    def order(self, client_order_id: ClientOrderId) -> object | None: ...


class NotAvailableYet(NotImplementedError):
    """Something of NautilusTrader's that Nautilus Fleet does not do yet."""


class OrderFactory:
    """Makes orders of one strategy, with ids `O-YYYYMMDD-HHMMSS-<trader tag>-<strategy tag>-<count>`.

    With a `cache`, an id that it already knows is passed over, as after a restart.
    """

    def __init__(
        self,
        trader_id: TraderId,
        strategy_id: StrategyId,
        clock: Clock,
        cache: OrderLookup | None = None,
        use_uuid_client_order_ids: bool = False,
        use_hyphens_in_client_order_ids: bool = True,
    ) -> None:
        if use_uuid_client_order_ids:
            raise ValueError(
                "`use_uuid_client_order_ids` is not possible: random ids would make each run of a backtest another; "
                "use the default ids, with `use_hyphens_in_client_order_ids=False` if the venue takes no hyphens"
            )
        self.trader_id = trader_id
        self.strategy_id = strategy_id
        self.use_uuid_client_order_ids = False
        self.use_hyphens_in_client_order_ids = use_hyphens_in_client_order_ids
        self._clock = clock
        self._cache = cache
        self._order_count = 0
        self._order_list_count = 0
        self._order_prefix = _SecondPrefix("O", trader_id, strategy_id, use_hyphens_in_client_order_ids)
        self._order_list_prefix = _SecondPrefix("OL", trader_id, strategy_id, True)

    def get_client_order_id_count(self) -> int:
        """How many client order ids were made."""
        return self._order_count

    def get_order_list_id_count(self) -> int:
        """How many order list ids were made."""
        return self._order_list_count

    def set_client_order_id_count(self, count: int) -> None:
        """Go on counting from `count`, as after a restart."""
        self._order_count = count

    def set_order_list_id_count(self, count: int) -> None:
        """Go on counting from `count`, as after a restart."""
        self._order_list_count = count

    def reset(self) -> None:
        """Count from the beginning."""
        self._order_count = 0
        self._order_list_count = 0

    def generate_client_order_id(self) -> ClientOrderId:
        """The next client order id."""
        prefix = self._order_prefix.at(self._clock.timestamp_ns())
        self._order_count += 1
        order_id = unchecked_client_order_id(f"{prefix}{self._order_count}")
        if self._cache is not None:
            while self._cache.order(order_id) is not None:
                self._order_count += 1
                order_id = unchecked_client_order_id(f"{prefix}{self._order_count}")
        return order_id

    def generate_order_list_id(self) -> OrderListId:
        """The next order list id."""
        self._order_list_count += 1
        return OrderListId(f"{self._order_list_prefix.at(self._clock.timestamp_ns())}{self._order_list_count}")

    def market(
        self,
        instrument_id: InstrumentId,
        order_side: OrderSide,
        quantity: Quantity,
        time_in_force: TimeInForce = TimeInForce.GTC,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> MarketOrder:
        """A market order."""
        order_id = client_order_id or self.generate_client_order_id()
        return MarketOrder(
            self.trader_id,
            self.strategy_id,
            instrument_id,
            order_id,
            order_side,
            quantity,
            self._clock.timestamp_ns(),
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=order_id if exec_algorithm_id is not None else None,
            tags=tags,
        )

    def limit(
        self,
        instrument_id: InstrumentId,
        order_side: OrderSide,
        quantity: Quantity,
        price: Price,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        display_qty: Quantity | None = None,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> LimitOrder:
        """A limit order at `price`."""
        order_id = client_order_id or self.generate_client_order_id()
        return LimitOrder(
            self.trader_id,
            self.strategy_id,
            instrument_id,
            order_id,
            order_side,
            quantity,
            price,
            self._clock.timestamp_ns(),
            time_in_force=time_in_force,
            expire_time_ns=0 if expire_time is None else datetime_to_ns(expire_time),
            post_only=post_only,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            display_qty=display_qty,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=order_id if exec_algorithm_id is not None else None,
            tags=tags,
        )

    def stop_market(
        self,
        instrument_id: InstrumentId,
        order_side: OrderSide,
        quantity: Quantity,
        trigger_price: Price,
        trigger_type: TriggerType = TriggerType.DEFAULT,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time: datetime | None = None,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> StopMarketOrder:
        """A market order once `trigger_price` is touched."""
        order_id = client_order_id or self.generate_client_order_id()
        return StopMarketOrder(
            self.trader_id,
            self.strategy_id,
            instrument_id,
            order_id,
            order_side,
            quantity,
            trigger_price,
            trigger_type,
            self._clock.timestamp_ns(),
            time_in_force=time_in_force,
            expire_time_ns=0 if expire_time is None else datetime_to_ns(expire_time),
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=order_id if exec_algorithm_id is not None else None,
            tags=tags,
        )

    def stop_limit(
        self,
        instrument_id: InstrumentId,
        order_side: OrderSide,
        quantity: Quantity,
        price: Price,
        trigger_price: Price,
        trigger_type: TriggerType = TriggerType.DEFAULT,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time: datetime | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        display_qty: Quantity | None = None,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> StopLimitOrder:
        """A limit order at `price` once `trigger_price` is touched."""
        order_id = client_order_id or self.generate_client_order_id()
        return StopLimitOrder(
            self.trader_id,
            self.strategy_id,
            instrument_id,
            order_id,
            order_side,
            quantity,
            price,
            trigger_price,
            trigger_type,
            self._clock.timestamp_ns(),
            time_in_force=time_in_force,
            expire_time_ns=0 if expire_time is None else datetime_to_ns(expire_time),
            post_only=post_only,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            display_qty=display_qty,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=order_id if exec_algorithm_id is not None else None,
            tags=tags,
        )

    def market_to_limit(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("market_to_limit")

    def market_if_touched(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("market_if_touched")

    def limit_if_touched(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("limit_if_touched")

    def trailing_stop_market(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("trailing_stop_market")

    def trailing_stop_limit(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("trailing_stop_limit")

    def bracket(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("bracket")

    def create_list(self, *_: object, **__: object) -> NoReturn:
        """Not available yet."""
        _refuse("create_list")


def _refuse(name: str) -> NoReturn:
    raise NotAvailableYet(
        f"order_factory.{name} is not available yet in Nautilus Fleet 0.1, which executes market, limit, stop_market "
        "and stop_limit orders; CHANGELOG.md says which release brings which order type"
    )


class _SecondPrefix:
    """The part of an id before its count. Its text changes once a second, and is kept in between."""

    def __init__(self, kind: str, trader_id: TraderId, strategy_id: StrategyId, use_hyphens: bool) -> None:
        hyphen = "-" if use_hyphens else ""
        tags = (trader_id.get_tag(), strategy_id.get_tag())
        self._hyphen = hyphen
        self._before = f"{kind}{hyphen}"
        self._after = hyphen + "".join(f"{tag if use_hyphens else tag.replace('-', '')}{hyphen}" for tag in tags)
        self._second = -1
        self._day = -1
        self._date = ""
        self._text = ""

    def at(self, ts_ns: int) -> str:
        second = ts_ns // _NS_PER_SECOND
        if second != self._second:
            self._second = second
            self._text = self._build(second)
        return self._text

    def _build(self, second: int) -> str:
        day, rest = divmod(second, 86_400)
        if day != self._day:
            self._day = day
            date = _EPOCH + timedelta(days=day)
            self._date = f"{self._before}{date.year:04d}{date.month:02d}{date.day:02d}{self._hyphen}"
        minutes, seconds = divmod(rest, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{self._date}{_TWO_DIGITS[hours]}{_TWO_DIGITS[minutes]}{_TWO_DIGITS[seconds]}{self._after}"


def datetime_to_ns(value: datetime) -> int:
    """UTC nanoseconds; a time without a zone is taken as UTC. Nanoseconds of a pandas Timestamp are kept."""
    if not isinstance(value, datetime):
        raise TypeError(f"`expire_time` must be a datetime, was {type(value).__name__} {value!r}")
    since = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)) - _EPOCH
    whole = (since.days * 86_400 + since.seconds) * _NS_PER_SECOND + since.microseconds * 1_000
    return whole + int(getattr(value, "nanosecond", 0))
