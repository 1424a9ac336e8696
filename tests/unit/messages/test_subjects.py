"""Channels: their names, escaping and refusals."""

import pytest
from nautilus_common.messages import subjects
from nautilus_common.messages.subjects import SubjectError, escape, unescape
from nautilus_common.model.identifiers import AccountId, StrategyId, Venue


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        (subjects.risk_commands(StrategyId("EMACross-001")), "cmd.risk.EMACross-001"),
        (subjects.execution_commands(Venue("SIM")), "cmd.exec.SIM"),
        (subjects.venue_commands(Venue("A*B")), "cmd.venue.A%2AB"),
        (subjects.order_events(Venue("SIM"), StrategyId("S-001")), "evt.order.SIM.S-001"),
        (subjects.position_events(StrategyId("a b-001")), "evt.position.a%20b-001"),
        (subjects.account_events(AccountId("SIM-001")), "evt.account.SIM-001"),
        (subjects.adjustment_events(AccountId("B\u00f6rse-1")), "evt.adjustment.B%C3%B6rse-1"),
    ],
)
def test_names(channel: str, text: str) -> None:
    assert channel == text


@pytest.mark.parametrize("name", ["BRK.B", "USD/JPY", "*", ">", "a b", "100%", "B\u00f6rse"])
def test_any_name_is_one_token(name: str) -> None:
    token = escape(name)
    assert not set(token) & set(". *>")
    assert unescape(token) == name


@pytest.mark.parametrize("token", ["", ".", "*", "A%2", "A%2e", "%41", "%FF"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(SubjectError):
        unescape(token)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_names_that_cannot_travel(name: str) -> None:
    with pytest.raises(SubjectError):
        escape(name)
