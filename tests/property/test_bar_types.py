"""Every bar type reads back from its own text, in any case, and survives its encoding."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from nautilus_common.model import (
    AggregationSource,
    BarAggregation,
    BarSpecification,
    BarType,
    InstrumentId,
    PriceType,
    Symbol,
    Venue,
)

PARENTS = {
    BarAggregation.MILLISECOND: 1000,
    BarAggregation.SECOND: 60,
    BarAggregation.MINUTE: 60,
    BarAggregation.HOUR: 24,
    BarAggregation.MONTH: 12,
}

symbols = st.text("ABZ019/-._:@ ", min_size=1, max_size=12).filter(str.strip).map(Symbol)
venues = st.text("ABZ019_-", min_size=1, max_size=6).map(Venue)
instrument_ids = st.builds(InstrumentId, symbols, venues)
sources = st.sampled_from(list(AggregationSource))


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, BarAggregation]:
    aggregation = draw(st.sampled_from(list(BarAggregation)))
    parent = PARENTS.get(aggregation)
    valid = st.integers(1, 10**6)
    if parent is not None:
        valid = st.sampled_from([step for step in range(1, parent) if parent % step == 0])
    return draw(valid), aggregation


@st.composite
def bar_types(draw: st.DrawFn) -> BarType:
    step, aggregation = draw(steps())
    spec = BarSpecification(step, aggregation, draw(st.sampled_from(list(PriceType))))
    if draw(st.booleans()):
        return BarType(draw(instrument_ids), spec, draw(sources))
    inner_step, inner = draw(steps())
    internal = AggregationSource.INTERNAL
    return BarType.new_composite(draw(instrument_ids), spec, internal, inner_step, inner, draw(sources))


@given(bar_types())
def test_text_reads_back(bar_type: BarType) -> None:
    again = BarType.from_str(str(bar_type))
    assert again == bar_type
    assert hash(again) == hash(bar_type)
    assert BarType.from_str(str(bar_type).lower()).spec == bar_type.spec
    assert BarSpecification.from_str(str(bar_type.spec)) == bar_type.spec


@given(bar_types())
def test_parts_of_a_composite(bar_type: BarType) -> None:
    assert bar_type.standard().is_standard()
    assert bar_type.is_standard() != bar_type.is_composite()
    inner = bar_type.composite()
    assert inner.is_standard()
    assert inner.instrument_id == bar_type.instrument_id
    assert inner.spec.price_type == bar_type.spec.price_type


@given(bar_types())
def test_encoding_reads_back(bar_type: BarType) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(bar_type), type=BarType) == bar_type


@given(st.integers(-5, 2000), st.sampled_from(list(PARENTS)))
def test_steps_must_divide_their_parent_unit(step: int, aggregation: BarAggregation) -> None:
    parent = PARENTS[aggregation]
    allowed = 1 <= step < parent and parent % step == 0
    try:
        BarSpecification(step, aggregation, PriceType.LAST)
    except ValueError:
        assert not allowed
    else:
        assert allowed
