"""`==`, `!=`, order and hash of every noun: where a class has its own, msgspec's must not shine through."""

from typing import Any

import pytest
from nautilus_common.model import (
    AccountBalance,
    BarSpecification,
    BarType,
    ClientOrderId,
    Currency,
    InstrumentId,
    MarginBalance,
    Money,
    PositionId,
    Price,
    Quantity,
    StrategyId,
    Symbol,
    Venue,
)
from nautilus_common.model.currencies import EUR, USD
from nautilus_common.model.identifiers import unchecked_client_order_id


def pair(kind: Any, one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    return kind(*one), kind(*one), kind(*other)


PAIRS = [
    pair(Currency, ("AAA", 2), ("BBB", 2)),
    pair(Price, (1, 2), (2, 2)),
    pair(Quantity, (1, 2), (2, 2)),
    pair(Money, (1, USD), (2, USD)),
    pair(Venue, ("A",), ("B",)),
    pair(ClientOrderId, ("A",), ("B",)),
    pair(InstrumentId.from_str, ("A.X",), ("B.X",)),
    pair(BarSpecification.from_str, ("1-DAY-BID",), ("2-DAY-BID",)),
    pair(BarType.from_str, ("A.X-1-DAY-BID-INTERNAL",), ("B.X-1-DAY-BID-INTERNAL",)),
    pair(AccountBalance, (Money(1, USD), Money(0, USD), Money(1, USD)), (Money(0, EUR), Money(0, EUR), Money(0, EUR))),
    pair(MarginBalance, (Money(1, USD), Money(1, USD)), (Money(1, EUR), Money(1, EUR))),
]


@pytest.mark.parametrize(("one", "same", "other"), PAIRS)
def test_equality_and_hash(one: Any, same: Any, other: Any) -> None:
    assert one == same
    assert (one != same) is False
    assert hash(one) == hash(same)
    assert one != other
    assert (one == other) is False
    assert one != "A"
    assert one is not None and one != None  # noqa: E711


@pytest.mark.parametrize(("one", "same", "other"), PAIRS[1:9])
def test_order(one: Any, same: Any, other: Any) -> None:
    assert one < other
    assert one <= other
    assert one <= same
    assert other > one
    assert other >= one
    assert one >= same
    assert not one > same
    assert sorted([other, one]) == [one, other]


def test_identifiers_of_two_types_differ() -> None:
    assert ClientOrderId("P-1") != PositionId("P-1")
    assert unchecked_client_order_id("P-1") == ClientOrderId("P-1")
    assert hash(unchecked_client_order_id("P-1")) == hash(ClientOrderId("P-1"))


def test_instrument_ids_are_ordered_by_text() -> None:
    assert InstrumentId(Symbol("A-B"), Venue("X")) < InstrumentId(Symbol("A"), Venue("X"))


def test_texts_with_a_rule() -> None:
    assert StrategyId("EXTERNAL").is_external()
    for wrong in (
        lambda: Venue("A.B"),
        lambda: Symbol(" "),
        lambda: StrategyId("-1"),
        lambda: InstrumentId.from_str("A."),
    ):
        with pytest.raises(ValueError, match=r"must not|malformed"):
            wrong()
    with pytest.raises(TypeError, match="must be a str"):
        ClientOrderId(1)  # type: ignore[arg-type]
