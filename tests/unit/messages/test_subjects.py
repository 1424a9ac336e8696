"""Subjects: escaping, filters and refusals."""

import pytest
from nautilus_common.messages.subjects import (
    AccountEventSubject,
    ExecutionCommandSubject,
    MarketDataSubject,
    OrderEventSubject,
    RiskCommandSubject,
    Subject,
    SubjectError,
    SystemSubject,
    parse_subject,
    subject_filter,
)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (MarketDataSubject("live", "XNYS", "BRK.B", "quote"), "fleet.live.md.XNYS.BRK%2EB.quote"),
        (MarketDataSubject("live", "SIM", "USD/JPY", "bar"), "fleet.live.md.SIM.USD/JPY.bar"),
        (MarketDataSubject("a b", "*", ">", "100%"), "fleet.a%20b.md.%2A.%3E.100%25"),
        (RiskCommandSubject("live", "EMACross-001"), "fleet.live.cmd.risk.EMACross-001"),
        (ExecutionCommandSubject("live", "SIM"), "fleet.live.cmd.exec.SIM"),
        (OrderEventSubject("r1", "SIM", "S-001"), "fleet.r1.evt.order.SIM.S-001"),
        (AccountEventSubject("r1", "SIM-001"), "fleet.r1.evt.account.SIM-001"),
        (SystemSubject("r1", "health", "risk"), "fleet.r1.sys.health.risk"),
        (AccountEventSubject("r1", "Börse"), "fleet.r1.evt.account.B%C3%B6rse"),
    ],
)
def test_build_and_parse(subject: Subject, text: str) -> None:
    assert str(subject) == text
    assert parse_subject(text) == subject


def test_filters() -> None:
    assert subject_filter(MarketDataSubject, "live", venue="XNYS") == "fleet.live.md.XNYS.*.*"
    assert subject_filter(OrderEventSubject, "live", strategy="S.1") == "fleet.live.evt.order.*.S%2E1"
    with pytest.raises(SubjectError, match="has no vanue: its names are venue, symbol, kind"):
        subject_filter(MarketDataSubject, "live", vanue="X")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fleet",
        "fleet.live.md.SIM.EURUSD",
        "fleet.live.md.SIM.EURUSD.quote.more",
        "fleet.live.cmd.both.SIM",
        "other.live.md.SIM.EURUSD.quote",
        "fleet.live.md.SIM..quote",
        "fleet.live.md.SIM.*.quote",
        "fleet.live.md.SIM.A%2.quote",
        "fleet.live.md.SIM.A%2e.quote",
        "fleet.live.md.SIM.%41.quote",
        "fleet.live.md.SIM.%FF.quote",
    ],
)
def test_what_is_no_subject(text: str) -> None:
    with pytest.raises(SubjectError):
        parse_subject(text)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_names_that_cannot_travel(name: str) -> None:
    with pytest.raises(SubjectError):
        str(AccountEventSubject("live", name))
