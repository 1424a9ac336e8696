"""`python -m loadtests.live latency|session`: a live session on real servers, measured, as lines or one JSON object.

latency   a quote is published at random moments, and the order that answers it is waited for: on the execution
          gateway's subject (`order`), and back from the venue (`fill`), both durable by then. Beside them, in the same
          run: what one durable append takes (`append`), and the ratio; and from a block to its command, inside
          one process (`inside`).
session   the market makers of the examples on the sample market for some minutes, while processes are killed by a
          seeded schedule; then the session is stopped and gone through again. Exit code 1 when anything is lost,
          doubled or different.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random
from time import monotonic, perf_counter_ns, time_ns
from typing import Any

import numpy as np

from loadtests.measure import Figures, latency_us, percentile
from loadtests.process import ROOT

ROLES = ["execution_gateway", "risk", "portfolio", "strategy_host", "data_gateway"]
TOPOLOGIES = {"apart": [[role] for role in ROLES], "one": [ROLES]}
INSTRUMENT = "BTC/USDT.SIM"
CONFIG = ROOT / "examples" / "market_maker" / "backtest.toml"
WARM_UP = 200  # quotes before those that are measured: code is compiled and caches are filled
PAUSE_SECONDS = (0.004, 0.03)
ANSWER_SECONDS = 30.0
GOALS_US = {"apart": (2_000, 8_000), "one": (300, 1_000)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.live", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["latency", "session"])
    parser.add_argument("--topology", choices=list(TOPOLOGIES), default="apart")
    parser.add_argument("--quotes", type=int, default=1_000, help="of latency")
    parser.add_argument("--seconds", type=float, default=180, help="of session")
    parser.add_argument("--speed", type=float, default=60, help="of session: times the market's own pace")
    parser.add_argument("--kills", type=int, default=10, help="of session")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="fleet-live-"))
    try:
        figures = (latency if options.what == "latency" else session)(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {"what": options.what, "topology": options.topology, "load": round(os.getloadavg()[0], 1)} | figures
    if options.json:
        print(json.dumps(figures, default=str))
    else:
        for name, value in figures.items():
            print(f"{name:<12} {value}")
    return 0 if figures.get("equal", True) else 1


def _stack(folder: Path, topology: str) -> Any:
    from nautilus_fleet.stack import LocalStack

    groups = TOPOLOGIES[topology]
    return LocalStack(
        folder / "stack",
        services=ROLES,
        together=[group for group in groups if len(group) > 1],
        postgres=False,
        valkey=False,
        project=ROOT,
        extra={"FLEET_LOG_LEVEL": "WARNING"},
    )


def _plan(strategy: bool) -> Any:
    """The plan of the examples' market makers, or of one strategy that answers every quote."""
    import msgspec
    from nautilus_common.plan import HostPlan, StrategyPlan
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.live import make_plan
    from nautilus_fleet.terminal import Progress

    plan = make_plan(load_config(CONFIG, ["data.sample.days=1"]), ROOT, Progress(quiet=True))
    if not strategy:
        return plan
    answer = StrategyPlan("loadtests/live_strategies.py:Answer", {"instrument_id": INSTRUMENT})
    return msgspec.structs.replace(plan, hosts=[HostPlan("", [answer])])


def _quotes(count: int) -> list[Any]:
    """Columns of one quote each; their times are set when they go."""
    from nautilus_common.testkit.sample_market import SAMPLES, sample_quotes

    columns = sample_quotes(SAMPLES[0], seed=3, days=1)
    return [{name: column[row : row + 1] for name, column in columns.items()} for row in range(count)]


# -- latency ---------------------------------------------------------------------------------------------------------


def latency(folder: Path, options: argparse.Namespace) -> Figures:
    """How long an answer takes."""
    plan = _plan(strategy=True)
    with _stack(folder, options.topology) as stack:
        figures = asyncio.run(_measure({**os.environ, **stack.environment()}, plan, options))
    p50, p99 = GOALS_US[options.topology]
    order, append = figures["order"], figures["append"]
    figures["ratio"] = round(order["p50_us"] / append["p50_us"], 2)
    figures["goal"] = {"p50_us": p50, "p99_us": p99, "met": order["p50_us"] <= p50 and order["p99_us"] <= p99}
    return figures | {"inside": _inside(plan, options.quotes)}


async def _measure(environ: dict[str, str], plan: Any, options: argparse.Namespace) -> Figures:
    from nautilus_common.messages.blocks import Block, encode_block
    from nautilus_fleet.live import connected, open_session, stop_session

    draw = Random(options.seed)
    heard: dict[str, asyncio.Event] = {"order": asyncio.Event(), "fill": asyncio.Event()}
    taken: dict[str, list[int]] = {name: [] for name in heard}
    started = 0

    def on(name: str) -> Any:
        async def take(message: Any) -> None:
            if name == "order" or b"OrderFilled" in message.data:
                if not heard[name].is_set():
                    taken[name].append(perf_counter_ns() - started)
                heard[name].set()

        return take

    async with connected(environ, "live") as servers:
        await open_session(servers, plan, None, "latency")
        await servers.control.subscribe("fleet.live.cmd.exec.SIM", cb=on("order"))
        await servers.control.subscribe("fleet.live.evt.order.SIM.*", cb=on("fill"))
        await servers.control.flush()
        subject = "fleet.live.md.SIM.BTC/USDT.quote"
        spec = plan.streams[0]
        for row, columns in enumerate(_quotes(WARM_UP + options.quotes)):
            now = np.array([time_ns()], np.int64)
            block = Block(
                0,
                spec.kind,
                spec.instrument_id,
                None,
                row,
                {**columns, "ts_init": now},
                (int(now[0]), 0, 0, row + 1),
            )
            data = encode_block(block)
            for event in heard.values():
                event.clear()
            started = perf_counter_ns()
            await servers.data.publish(subject, data)
            async with asyncio.timeout(ANSWER_SECONDS):
                for event in heard.values():
                    await event.wait()
            await asyncio.sleep(draw.uniform(*PAUSE_SECONDS))
        appends = await _appends(servers, draw)
        await stop_session(servers)
    figures: Figures = {name: latency_us(times[WARM_UP:]) for name, times in taken.items()}
    return figures | {"append": latency_us(appends)}


async def _appends(servers: Any, draw: Random) -> list[int]:
    """What a durable append of a message like an entry takes, with the same client at the same moments."""
    times = []
    for _ in range(300):
        started = perf_counter_ns()
        await servers.control.request("fleet.live.log.loadtest.append", b"x" * 700)
        times.append(perf_counter_ns() - started)
        await asyncio.sleep(draw.uniform(*PAUSE_SECONDS))
    return times


def _inside(plan: Any, count: int) -> Figures:
    """From a block's bytes to the bytes of the commands, in the process of a strategy host alone."""
    from nautilus_common.live_run import LiveRun
    from nautilus_common.messages.blocks import Block, encode_block
    from nautilus_common.plan import encode_plan
    from nautilus_common.session import Placed, Session, Word, encode_word, words_subject
    from nautilus_common.settings import ProcessSettings

    from services.strategy_host.config import builder

    begin = time_ns()
    placing = {"strategy_host": Placed(["strategy_host"], ["strategy_host"])}
    session = Session("s", encode_plan(plan), placing, {}, {}, 0, "", begin)
    builders = {"strategy_host": builder(ProcessSettings("host", ("strategy_host",), project=ROOT))}
    run = LiveRun("live", "strategy_host", session, 1, builders, 0)
    run.take_log(1, words_subject("live"), encode_word(Word("open", session), 1, begin), begin)
    spec = plan.streams[0]
    times = []
    for row, columns in enumerate(_quotes(WARM_UP + count)):
        now = begin + (row + 1) * 10_000_000
        stamped = {**columns, "ts_init": np.array([now], np.int64)}
        data = encode_block(Block(0, spec.kind, spec.instrument_id, None, row, stamped, (now, 0, 0, row + 1)))
        started = perf_counter_ns()
        taken = run.take_data(row + 1, "fleet.live.md.SIM.BTC/USDT.quote", data, now)
        times.append(perf_counter_ns() - started)
        assert taken is not None
        assert taken.records
    return latency_us(times[WARM_UP:])


# -- a session -------------------------------------------------------------------------------------------------------


def session(folder: Path, options: argparse.Namespace) -> Figures:
    """Some minutes of trading, with deaths; then the proof."""
    plan = _plan(strategy=False)
    feed = {"kind": "sample", "seed": options.seed, "days": 10, "speed": options.speed, "jitter_us": 5_000}
    draw = Random(options.seed)
    moments = sorted(draw.uniform(2, max(options.seconds, 3)) for _ in range(options.kills))
    with _stack(folder, options.topology) as stack:
        return asyncio.run(_live_and_prove(stack, plan, feed, moments, draw, options.seconds))


async def _live_and_prove(
    stack: Any, plan: Any, feed: dict[str, Any], moments: list[float], draw: Random, seconds: float
) -> Figures:
    from nautilus_fleet import live
    from nautilus_fleet.live_proof import verify_session
    from nautilus_fleet.live_summary import summarize

    names = [name for name in stack.names if not name.startswith("nats_")]
    away: list[float] = []
    async with live.connected({**os.environ, **stack.environment()}, "live") as servers:
        opened = await live.open_session(servers, plan, feed, "session")
        started = monotonic()
        for moment in moments:
            await asyncio.sleep(max(0.0, started + moment - monotonic()))
            name = draw.choice(names)
            died = monotonic()
            stack.kill(name)
            await asyncio.to_thread(stack.wait_ready)
            away.append(monotonic() - died)
        await asyncio.sleep(max(0.0, started + seconds - monotonic()))
        await live.stop_session(servers)
        lived = monotonic() - started
        summary = await summarize(servers, opened, 1)
        proof = await verify_session(servers, opened.id, ROOT)
    equal = proof.equal and not summary.differing and not summary.twice and summary.orders > 0
    figures: Figures = {
        "equal": equal,
        "seconds": round(lived, 1),
        "orders": summary.orders,
        "fills": summary.fills,
        "records": sum(process.records for process in proof.processes),
        "inputs": sum(process.inputs for process in proof.processes),
        "deaths": len(away),
        "verify_seconds": proof.seconds,
        "differences": [process.difference for process in proof.processes if not process.equal],
    }
    if away:
        figures["recovery_seconds"] = {"p50": round(percentile(away, 0.5), 2), "max": round(max(away), 2)}
    return figures


if __name__ == "__main__":
    sys.exit(main())
