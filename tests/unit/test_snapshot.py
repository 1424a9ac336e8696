"""Snapshots as bytes and files: what is kept, what is refused, and what the error says."""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import hypothesis.errors  # noqa: F401  # an installed package
import msgspec
import pytest
from nautilus_common import snapshot, snapshot_code
from nautilus_common.group import Group
from nautilus_common.model import identifiers, values
from nautilus_common.model.identifiers import ClientOrderId
from nautilus_common.model.values import Price, price_from_raw, quantity_from_raw
from nautilus_common.plan import HostPlan
from nautilus_common.snapshot import SnapshotError
from nautilus_common.strategy.log import LogSettings
from nautilus_common.testkit.scenario import Scenario
from nautilus_fleet.backtest import BacktestEngine

ran: list[str] = []


def run() -> None:
    ran.append("ran")


class Loud:
    """Something that runs code when it is loaded."""

    def __reduce__(self):
        return run, ()


def again(state, **how):
    return snapshot.load(snapshot.dump(state, **how), **how)


def with_header(data: bytes, change) -> bytes:
    """`data` with another header and a hash that is right for it."""
    start = len(snapshot.MAGIC) + 32
    size = int.from_bytes(data[start : start + 4], "little")
    header = change(data[start + 4 : start + 4 + size])
    body = len(header).to_bytes(4, "little") + header + data[start + 4 + size :]
    return snapshot.MAGIC + hashlib.sha256(body).digest() + body


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_what_is_shared_is_shared_again():
    ledger = {"a": 1}
    first, second = again((SimpleNamespace(ledger=ledger), SimpleNamespace(ledger=ledger)))
    assert first.ledger is second.ledger


def test_functions_of_functions_keep_their_state():
    count = [0]

    def count_up():
        count[0] += 1
        return count[0]

    count_up()
    copy, double = again((count_up, lambda x: 2 * x))
    assert (copy(), copy(), count_up()) == (2, 3, 2)
    assert double(4) == 8


def test_constructors_in_c_are_the_same_afterwards():
    """Looked up by Python they would be `Price.__call__`, which takes a number and not a raw integer."""
    makers = [price_from_raw, quantity_from_raw, values.money_from_raw, identifiers.unchecked_client_order_id]
    assert again(makers) == makers
    assert again(price_from_raw)(12345, 4) == Price.from_str("1.2345")
    assert again(identifiers.unchecked_client_order_id)("O-1") == ClientOrderId("O-1")


def test_a_log_loses_its_sink_and_gets_another():
    engine = BacktestEngine()
    Scenario(engine).quotes((0, "0.70000", "0.70010")).run()
    host = engine._run.host
    host.log_to(LogSettings(io.StringIO().write, "INFO"))
    host.actors[0].log.info("before")
    loaded = again(host)
    loaded.actors[0].log.info("to nobody")
    lines: list[str] = []
    host.log_to(LogSettings(lines.append, "INFO"))
    seats = [seat for seat in engine.plan([HostPlan("")], None).seats() if seat.engine == host.name]
    Group([loaded], seats).log_as(Group([host], seats))
    loaded.actors[0].log.info("to the new sink")
    assert [line.rpartition(": ")[2] for line in lines] == ["to the new sink"]


def test_attributes_that_a_user_puts_on_an_order_stay():
    engine = BacktestEngine()
    scenario = Scenario(engine).quotes((0, "0.70000", "0.70010"), (1, "0.70000", "0.70010"))
    scenario.on_row(1, lambda s: s.market("BUY", 1)).run()
    order = engine.cache.orders()[0]
    order.note = {"why": order}
    copy = again(order)
    assert copy.note["why"] is copy
    assert copy.events == order.events


# -- what is refused -------------------------------------------------------------------------------------------------


def holder(what):
    return [SimpleNamespace(name="risk"), SimpleNamespace(actors=[SimpleNamespace(count=1, config={"what": what})])]


@pytest.mark.parametrize("make", [lambda: open(os.devnull, "w"), threading.Lock, lambda: (n for n in [1])])  # noqa: SIM115
def test_what_cannot_be_kept_is_named_with_its_place(make):
    what = make()
    try:
        with pytest.raises(
            SnapshotError, match=r"state\[1\]\.actors\[0\]\.config\['what'\] \(\w+\): (?i:cannot) pickle"
        ):
            snapshot.dump(holder(what))
    finally:
        getattr(what, "close", lambda: None)()


def test_the_place_may_be_within_a_function():
    lock = threading.Lock()
    with pytest.raises(SnapshotError, match=r"config\['what'\] closure \(lock\)"):
        snapshot.dump(holder(lambda: lock.locked()))


def test_a_list_that_is_too_deep_is_an_error_of_the_snapshot():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SnapshotError, match="recursion"):
        snapshot.dump(deep)


def test_nothing_runs_before_all_is_checked(monkeypatch):
    data = snapshot.dump(Loud(), bound_to="a")
    ran.clear()
    for bad in (data[:-1], data[:60] + b"x" + data[61:], data + b"x"):
        with pytest.raises(SnapshotError, match="damaged"):
            snapshot.load(bad, bound_to="a")
    with pytest.raises(SnapshotError, match="the settings was a, here it is b"):
        snapshot.load(data, bound_to="b")
    bindings = {"package_version": "nautilus-fleet", "code_hash": "source", "python_and_libraries": "Python"}
    for name, what in bindings.items():
        with monkeypatch.context() as patch:
            patch.setattr(snapshot, name, lambda: "another")
            with pytest.raises(SnapshotError, match=f"{what}.* here it is another"):
                snapshot.load(data, bound_to="a")
    assert ran == []
    snapshot.load(data, bound_to="a")
    assert ran == ["ran"]


@pytest.mark.parametrize("header", [b"", b"\xc1", b"\x93", msgspec.msgpack.encode({"version": 1}), b"\x81\xa1"])
def test_a_header_that_is_none(header):
    with pytest.raises(SnapshotError, match="damaged: its header"):
        snapshot.load(with_header(snapshot.dump(1), lambda _: header))


def test_a_header_that_claims_more_than_there_is():
    body = (2**32 - 1).to_bytes(4, "little") + b"\x90"
    with pytest.raises(SnapshotError, match="damaged: a header of 4,294,967,295 bytes"):
        snapshot.load(snapshot.MAGIC + hashlib.sha256(body).digest() + body)


@pytest.fixture
def strategy(tmp_path, monkeypatch):
    """(a module of the user's, its file); forgotten afterwards."""
    file = tmp_path / "users_strategy.py"
    file.write_text("class Mine:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("users_strategy"), file
    forget()


def forget() -> None:
    sys.modules.pop("users_strategy", None)
    snapshot_code._files.pop("users_strategy", None)
    snapshot_code._hashes.pop("users_strategy", None)
    importlib.invalidate_caches()


def test_a_strategy_that_has_changed(strategy):
    module, file = strategy
    data = snapshot.dump(module.Mine())
    assert type(snapshot.load(data)) is module.Mine
    file.write_text("class Mine:\n    size = 2\n")
    assert type(snapshot.load(data)) is module.Mine  # what runs here is still what was imported
    forget()
    with pytest.raises(SnapshotError, match=r"module users_strategy \(.*users_strategy.py\) has changed"):
        snapshot.load(data)


def test_a_strategy_that_is_gone(strategy, monkeypatch):
    module, file = strategy
    data = snapshot.dump(module.Mine())
    forget()
    file.unlink()
    with pytest.raises(SnapshotError, match=r"users_strategy.* has changed or is not there"):
        snapshot.load(data)


def test_a_strategy_that_was_not_imported(strategy, monkeypatch):
    module, file = strategy
    data = snapshot.dump(module.Mine())
    forget()
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(file.parent)])
    with pytest.raises(SnapshotError, match="cannot be loaded: ModuleNotFoundError: No module named 'users_strategy'"):
        snapshot.load(data)


def test_the_code_is_all_of_ours_and_none_of_others():
    assert len(snapshot_code.code_hash()) == 64
    found = snapshot_code.user_sources()
    assert not [name for name in found if name.partition(".")[0] in (*snapshot_code.OURS, "numpy", "json", "pytest")]
    assert __name__ in found


def test_a_strategy_in_an_installed_package_is_of_the_user_where_it_is_used():
    found = snapshot_code.user_sources(["hypothesis.errors", "numpy", "json", "builtins", ""])
    installed = {name.partition(".")[0] for name in found} & {"hypothesis", "numpy", "json", "pytest"}
    assert installed == {"hypothesis"}
    assert found["hypothesis.errors"][0].endswith("errors.py")


# -- files -----------------------------------------------------------------------------------------------------------


def test_save_and_read(tmp_path):
    path = tmp_path / "new" / "risk.snapshot"
    assert snapshot.read(path) is None
    snapshot.save(path, b"one")
    snapshot.save(path, b"two")
    assert snapshot.read(path) == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["risk.snapshot"]


def test_the_old_one_stays_until_the_new_one_is_on_disk(tmp_path, monkeypatch):
    path = tmp_path / "risk.snapshot"
    snapshot.save(path, b"one")
    at_sync: list[bytes | None] = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        at_sync.append(snapshot.read(path))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    snapshot.save(path, b"two")
    assert at_sync == [b"one", b"two"]  # the file before the rename, the folder after it


def test_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "risk.snapshot"
    snapshot.save(path, b"one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SnapshotError, match=r"risk\.snapshot: .*No space left on device; the one before it stays"):
        snapshot.save(path, b"two")
    assert snapshot.read(path) == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["risk.snapshot"]


def test_what_cannot_be_read(tmp_path: Path):
    with pytest.raises(SnapshotError, match="cannot read the snapshot"):
        snapshot.read(tmp_path)
