"""A replay over processes without the processes: loop, proxies and hosted engines, joined by function calls.

Everything that decides is the real thing. The link loses, repeats and delays nothing by itself; a seed lets hosts and
the loop die at chosen requests.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from nautilus_common import snapshot, trips
from nautilus_common.hosting import HostedRun, build_group
from nautilus_common.journal import EventLog
from nautilus_common.plan import HostPlan, RunPlan, decode_plan, encode_plan
from nautilus_fleet.backtest import BacktestEngine

from services.data_gateway.engine import DataEngine
from services.execution_gateway.config import build as build_execution
from services.portfolio.config import build as build_portfolio
from services.replay.link import NeedHistory, Proxy
from services.replay.scheduler import FleetScheduler
from services.risk.config import build as build_risk
from services.strategy_host.engine import StrategyHostEngine


class LoopDied(Exception):
    """The loop of the replay was killed."""


class MemoryAnswers:
    """An answer log that lives as long as the test."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def read(self) -> list[bytes]:
        return list(self.answers)

    def append(self, answer: bytes) -> None:
        self.answers.append(answer)


class LoopMarket:
    """Blocks by number, as a stream has them."""

    def __init__(self, plan: RunPlan, engine: BacktestEngine, block_rows: int | None) -> None:
        self.blocks: dict[int, Any] = {}
        self._sources = [
            DataEngine(spec, block_rows).blocks(stream.batches())
            for spec, stream in zip(plan.streams, engine._streams, strict=True)
        ]

    def next(self, rank: int) -> tuple[Any, int] | None:
        block = next(self._sources[rank], None)
        if block is None:
            return None
        number = len(self.blocks) + 1
        self.blocks[number] = block
        return block, number


class LoopLink:
    """Hands requests to hosted runs; with `deaths`, hosts die before or after they have answered."""

    def __init__(
        self, make: Callable[[list[str]], HostedRun], random: Random, deaths: float, loop_deaths: float
    ) -> None:
        self._make = make
        self._random = random
        self._deaths = deaths
        self._loop_deaths = loop_deaths
        self.market: LoopMarket | None = None
        self.hosts: dict[str, HostedRun] = {}
        self.snapshots: dict[str, bytes] = {}
        self.deaths = 0
        self.loop_deaths = 0

    def send(self, proxy: Proxy, data: bytes) -> None:
        if self._random.random() < self._loop_deaths:
            self.loop_deaths += 1
            raise LoopDied
        if self._random.random() < self._deaths:
            self._die(proxy)
            return
        answer = self._carry_out(proxy, data)
        if self._random.random() < self._deaths:
            self._die(proxy)  # its answer is lost with it
            return
        inward = trips.decode_inward(answer)
        if isinstance(inward, trips.Missed):
            proxy.resend_after(inward.number)
            return
        assert isinstance(inward, trips.Answer), inward
        proxy.take(answer, inward.number)

    def wait(self, proxy: Proxy, number: int) -> bytes:
        while (data := proxy.arrived(number)) is None:
            proxy.resend_after(self.host(proxy).number)
        return data

    def host(self, proxy: Proxy) -> HostedRun:
        found = self.hosts.get(proxy.process)
        if found is None:
            kept = self.snapshots.get(proxy.process)
            found = snapshot.load(kept) if kept is not None else self._make([seat.engine for seat in proxy.seats])
            self.hosts[proxy.process] = found
        return found

    def _die(self, proxy: Proxy) -> None:
        self.deaths += 1
        self.hosts.pop(proxy.process, None)

    def _carry_out(self, proxy: Proxy, data: bytes) -> bytes:
        host = self.host(proxy)
        request = trips.decode_outward(data)
        assert isinstance(request, trips.Request)
        known = host.known(request.number)
        if known is not None:
            return known
        assert self.market is not None
        wanted = {n for call in request.calls if isinstance(call, trips.Feed) for n in call.numbers}
        blocks = {number: self.market.blocks[number] for number in wanted}
        answer, _ = host.carry_out(request, blocks)
        if any(isinstance(call, trips.Keep) for call in request.calls):
            self.snapshots[proxy.process] = snapshot.dump(host)
        return answer


def host_builder(engine: BacktestEngine) -> Callable[..., StrategyHostEngine]:
    """Hosts with the strategies of `engine`: a restart begins with new objects, as a new process does."""

    def build(plan: RunPlan, seat: Any, ledger: Any) -> StrategyHostEngine:
        host = StrategyHostEngine(
            plan.trader_id,
            plan.instruments_by_id(),
            ledger,
            plan.streams,
            seat.rank,
            plan.data_rank,
            plan.bars,
            name=seat.engine,
        )
        number = 0
        for name, actors in engine.named_hosts():
            for actor in actors:
                if seat.engine == (f"strategy_host.{name}" if name else "strategy_host"):
                    host.add(actor, f"{number:03d}")
                number += 1
        return host

    return build


def run_over(
    build: Callable[[], BacktestEngine],
    groups: list[list[str]],
    block_rows: int | None,
    *,
    seed: int = 0,
    deaths: float = 0.0,
    loop_deaths: float = 0.0,
) -> tuple[EventLog, LoopLink]:
    """Run what `build` gives over `groups` of engines; its event log, and what died."""
    engine = build()
    hosts = [HostPlan(name) for name, _ in engine.named_hosts()]
    plan = decode_plan(encode_plan(engine.plan(hosts, None)))
    simple = {"execution_gateway": build_execution, "risk": build_risk, "portfolio": build_portfolio}

    def make(engines: list[str]) -> HostedRun:
        fresh = build()  # strategies are objects with state
        group = build_group(plan, engines, {**simple, "strategy_host": host_builder(fresh)})
        return HostedRun("run", group)

    link: Any = LoopLink(make, Random(seed), deaths, loop_deaths)
    seats = plan.seats()
    answers: list[Any] = [MemoryAnswers() for _ in groups]
    keep_all: set[str] = set()
    while True:
        link.market = LoopMarket(plan, engine, block_rows)
        market: Any = link.market
        proxies = [
            Proxy(link, str(n), [seat for seat in seats if seat.engine in group], answers[n], str(n) in keep_all)
            for n, group in enumerate(groups)
        ]
        proxies.sort(key=lambda proxy: proxy.rank)
        log = EventLog()
        scheduler = FleetScheduler(proxies, log, market, len(plan.streams), lambda block: None, lambda ts: None)
        try:
            scheduler.drive(plan.start_ns, None, lambda: None)
            return log, link
        except LoopDied:
            continue
        except NeedHistory as missing:
            keep_all.add(missing.process)
