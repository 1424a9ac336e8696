"""A snapshot that is not whole is never taken for one: any changed byte, any cut, any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_common import snapshot
from nautilus_common.snapshot import MAGIC, SnapshotError

STATE = {"orders": list(range(50)), "name": "risk"}
DATA = snapshot.dump(STATE, bound_to="settings")


def refuses(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        snapshot.load(data, bound_to="settings")


def test_the_whole_one_is_taken():
    assert snapshot.load(DATA, bound_to="settings") == STATE
    assert snapshot.load(bytearray(DATA), bound_to="settings") == STATE


def test_every_cut():
    for size in range(len(DATA)):
        refuses(DATA[:size])


def test_every_byte_changed():
    for index, byte in enumerate(DATA):
        refuses(DATA[:index] + bytes([byte ^ 1]) + DATA[index + 1 :])


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_change_of_any_byte(index, difference):
    refuses(DATA[:index] + bytes([DATA[index] ^ difference]) + DATA[index + 1 :])


@given(st.integers(0, len(DATA)), st.integers(0, len(DATA)), st.binary(max_size=40))
def test_any_stretch_replaced(start, stop, other):
    changed = DATA[: min(start, stop)] + other + DATA[max(start, stop) :]
    if changed != DATA:
        refuses(changed)


@given(st.binary(max_size=300))
def test_any_bytes(data):
    refuses(data)
    refuses(MAGIC + data)


@given(st.text(max_size=20))
def test_other_settings(settings):
    if settings != "settings":
        with pytest.raises(SnapshotError, match="the settings was settings"):
            snapshot.load(DATA, bound_to=settings)
