"""The one loop, where its engines are processes: the same rule, other steps.

What `nautilus_common.scheduler` decides is decided here by the same code. Only how a step is carried out differs: calls
are gathered and travel with the next request that has to be answered, so that an order costs as many trips as it has
answers that somebody waits for. Two things follow from what engines are (`nautilus_common.plan.Listening`):

- what an engine hears *silently* needs no answer: it travels with the next request to it;
- where only one engine may answer, it is let go on, if it does not, up to the next thing that anybody else has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from nautilus_common import trips
from nautilus_common.bus.base import matches
from nautilus_common.bus.memory import MemoryBus
from nautilus_common.engine import INF, PHASE_START, PHASE_STOP, Engine, Tag, outside_tag
from nautilus_common.scheduler import Scheduler

from services.replay.link import Proxy

if TYPE_CHECKING:
    from nautilus_common.journal import EventLog
    from nautilus_common.messages.blocks import Block

    from services.replay.market import MarketPublisher

QUEUED_MAX = 64  # calls that wait for the next request to a process that nobody waits for
FEEDS_QUEUED_MAX = 8  # and blocks among them, which it has to hold all at once
OUTSTANDING_MAX = 32

_HEAD: msgspec.msgpack.Decoder[tuple[tuple[int, ...], str, msgspec.Raw]] = msgspec.msgpack.Decoder(
    tuple[tuple[int, ...], str, msgspec.Raw]
)


class FleetScheduler(Scheduler):
    """Runs `proxies` over the blocks of `market`."""

    def __init__(
        self,
        proxies: list[Proxy],
        log: EventLog,
        market: MarketPublisher,
        streams: int,
        on_feed: Callable[[Block], None],
        pace: Callable[[int], None],
    ) -> None:
        bus = MemoryBus()
        engines: list[Any] = proxies
        empty: list[Iterator[Block]] = [iter(()) for _ in range(streams)]
        super().__init__(engines, bus, empty, on_feed)
        self.proxies = proxies
        self._market = market
        self._log = log
        self._pace = pace
        self._end: Tag | None = None
        self._answering: dict[tuple[str, int], tuple[list[Proxy], list[Proxy]]] = {}
        self._home = {seat.rank: proxy for proxy in proxies for seat in proxy.seats}
        self._to_show: list[int] = []  # numbers of the blocks that come next
        self.trips = 0
        for proxy in proxies:
            for seat in proxy.seats:
                for item in seat.listens:
                    bus.subscribe(item.pattern, proxy)  # type: ignore[arg-type]  # a proxy stands for engines

    # -- outside stimuli -----------------------------------------------------------------------------------------------

    def drive(self, start_ns: int, end_ns: int | None, begin: Callable[[], None]) -> None:
        """The whole run: start every engine, run, stop the strategies, settle, and let everything become durable.

        The steps are those of a backtest (`nautilus_fleet.backtest`), told to processes.
        """
        seats = sorted(((seat, proxy) for proxy in self.proxies for seat in proxy.seats), key=lambda item: item[0].rank)
        for role in ("execution_gateway", "portfolio", "strategy_host"):
            for seat, proxy in seats:
                if seat.role == role:
                    call = trips.Start(seat.engine, outside_tag(start_ns, PHASE_START, seat.rank))
                    self._tell(proxy, call, is_awaited=role == "strategy_host")
        begin()
        self.run(None if end_ns is None else (end_ns, PHASE_STOP))
        stop_ns = max(start_ns, self.last_row_ns, self._last_ns())
        for seat, proxy in seats:
            if seat.role == "strategy_host":
                self._tell(proxy, trips.Stop(seat.engine, outside_tag(stop_ns, PHASE_STOP, seat.rank)), is_awaited=True)
        self.settle()
        self._finish_all(max(stop_ns, self._last_ns()))

    def _last_ns(self) -> int:
        return max(proxy.last_ns for proxy in self.proxies)

    def _tell(self, proxy: Proxy, call: trips.Call, *, is_awaited: bool) -> None:
        """Let a process act on an outside stimulus, and take what it says if anybody may hear it."""
        proxy.add(call)
        if is_awaited:
            proxy.post(self.frontier, None)
            self._collect(proxy)

    def _finish_all(self, ts_ns: int) -> None:
        """The run is over: everything is durable when this returns."""
        for proxy in self.proxies:
            proxy.add(trips.Finish(ts_ns))
            proxy.post(self.frontier, None)
        for proxy in self.proxies:
            self._collect(proxy)

    def run(self, end: Tag | None = None) -> None:
        self._end = end
        super().run(end)

    def settle(self) -> None:
        while (tag := min(self._bus.next_tag(), *(p.under_way or INF for p in self.proxies))) < INF:
            self.run(tag)

    # -- the loop's steps ----------------------------------------------------------------------------------------------

    def _deliver_turn(self, tag: Tag) -> None:
        """Deliver every message of the smallest turn and step at once: whatever they cause comes in a later step.

        What members of a group say to each other is in their horizon, not on this bus; they sort it in.
        """
        self._pace(tag[0])
        bus = self._bus
        step = tag[:5]
        answering: list[Proxy] = []
        while bus.next_tag()[:5] == step:
            said, channel, message = bus.pop()
            record: Any = message  # on this bus messages are their bytes
            key = (channel, said[5])
            known = self._answering.get(key)
            if known is None:
                known = self._answering[key] = self._who_hears(channel, self._home[said[5]])
            call = trips.Handle(msgspec.Raw(record))
            for proxy in known[0]:
                proxy.add(call)
                if proxy.reactive and proxy.queued >= QUEUED_MAX and proxy not in answering:
                    self._send_unawaited(proxy)
            for proxy in known[1]:
                if proxy not in answering:
                    answering.append(proxy)
        if not answering:
            return
        until = None
        if len(answering) == 1 and not answering[0].reactive:
            until = self._free_until(answering[0])
        for proxy in answering:
            proxy.post(self.frontier, until)
        for proxy in answering:
            self._collect(proxy)

    def _who_hears(self, channel: str, home: Proxy) -> tuple[list[Proxy], list[Proxy]]:
        """Who takes a message of `home`, and who of them may answer. At home it has been heard."""
        found: list[Any] = list(self._bus.receivers(channel))
        hearing: list[Proxy] = [proxy for proxy in found if proxy is not home]
        answering = [
            proxy
            for proxy in hearing
            if any(matches(i.pattern, channel) and not i.silent for seat in proxy.seats for i in seat.listens)
        ]
        return hearing, answering

    def _free_until(self, proxy: Proxy) -> Tag | None:
        """The smallest tag at which anybody but `proxy` has something to do; None when that is not known."""
        frontier = self.frontier
        limit = self._bus.next_tag()
        if frontier < limit:
            limit = frontier
        bound = self._end if self._end is not None else INF if frontier < INF else self._end_of_data()
        if bound < limit:
            limit = bound
        for other in self._asked:
            if other.rank == proxy.rank:
                continue
            horizon = self._horizons.get(other.rank)
            if horizon is None:
                return None
            if horizon < limit:
                limit = horizon
        return limit

    def _smallest_horizon(self) -> tuple[Engine | None, Tag, Tag]:
        unknown: list[Any] = [engine for engine in self._asked if self._horizons.get(engine.rank) is None]
        for proxy in unknown:
            proxy.post(self.frontier, None)
        for proxy in unknown:
            self._collect(proxy)
        return super()._smallest_horizon()

    def _run_engine(self, engine: Engine, until: Tag) -> None:
        proxy: Any = engine
        self._pace((self._horizons[engine.rank] or until)[0])
        proxy.post(self.frontier, until)
        self._collect(proxy)

    def _next_block(self, rank: int) -> Block | None:
        found = self._market.next(rank)
        if found is None:
            return None
        block, number = found
        self._to_show.append(number)
        return block

    def _show(self, frontier: Tag, blocks: list[Block]) -> None:
        numbers, self._to_show = self._to_show, []
        for proxy in self.proxies:
            proxy.add(trips.Feed(frontier, numbers))
            if proxy.reactive and (proxy.feeds_queued >= FEEDS_QUEUED_MAX or proxy.queued >= QUEUED_MAX):
                self._send_unawaited(proxy)

    def _run_silently(self, until: Tag) -> None:
        for proxy in self.proxies:
            proxy.add(trips.RunSilently(until))

    # -- answers -------------------------------------------------------------------------------------------------------

    def _send_unawaited(self, proxy: Proxy) -> None:
        proxy.post(None, None)
        while proxy.outstanding > OUTSTANDING_MAX:
            self._take(proxy, proxy.collect())

    def _collect(self, proxy: Proxy) -> None:
        """Take every answer that is outstanding; the last one holds the horizon."""
        answer = None
        while proxy.outstanding:
            answer = proxy.collect()
            self._take(proxy, answer)
        assert answer is not None
        self.trips += 1
        self._horizons[proxy.rank] = None if answer.horizon is None else tuple(answer.horizon)

    def _take(self, proxy: Proxy, answer: trips.Answer) -> None:
        for raw in answer.records:
            record = bytes(raw)
            tag, channel, _ = _HEAD.decode(record)
            self._log.extend_encoded(tag[5], record)
            self._bus.put(tag, channel, record)  # type: ignore[arg-type]
