"""`python -m loadtests.peers [W1 W2 ...]`: ours and NautilusTrader's figures of one run, alternating, with ratios."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadtests.process import ROOT, environment, once, run_child
from loadtests.workloads import FOLDER

VERSION = "1.231.0"
PACKAGE = f"nautilus_trader=={VERSION}"
#: Rows for both sides, chosen so that the peer ends in minutes: its cost of an order grows with their number.
EVENTS = {"W1": 1_000_000, "W2": 100_000, "W3": 1_000_000, "W4": 50_000, "W6": 50_000, "S1000": 100_000}
_CHECK = "import sys, venv, ensurepip; sys.exit(0 if (3, 12) <= sys.version_info[:2] <= (3, 14) else 1)"
_ROW = "{:<8}{:>10}{:>8}{:>12}{:>12}{:>9}  {}"


def main(arguments: list[str] | None = None) -> int:
    """0 when all ran, 1 when one failed, 2 for a wrong name or no environment."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORKLOAD", help=f"default: all of {' '.join(EVENTS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: workload, ours, theirs, ratio")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="pairs of runs; the one of median ratio")
    parser.add_argument("--events", type=int, metavar="N", help="rows instead of the default")
    parser.add_argument("--python", type=Path, metavar="PATH", help="an interpreter that has nautilus_trader already")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EVENTS]
    if unknown:
        print(f"error: no workload {unknown[0]!r} for peers; there are {', '.join(EVENTS)}", file=sys.stderr)
        return 2
    try:
        python = options.python or install()
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _compare(options, python)


def _compare(options: argparse.Namespace, python: Path) -> int:
    if not options.json:
        print(f"ours against {PACKAGE}; alternating in this run; rates of wall time, ratio of CPU time")
        print(_ROW.format("workload", "events", "orders", "ours/s", "theirs/s", "ratio", "latency p50, p99 in us"))
    failed = 0
    for name in options.names or EVENTS:
        rows = options.events or EVENTS[name]
        try:
            pair = _pair(name, rows, python, max(1, options.repeat))
        except RuntimeError as error:
            failed = 1
            print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
            continue
        print(json.dumps(pair) if options.json else _line(pair), flush=True)
    return failed


def _pair(name: str, rows: int, python: Path, times: int) -> dict[str, Any]:
    """Ours, theirs, ours, theirs...: the pair of median ratio.

    The ratio is of CPU seconds, as `measured/peers.md` has them: what else the machine does stretches both sides' wall
    time, but not alike.
    """
    theirs = [str(python), "-W", "ignore", "-m", "loadtests.peers.nautilus", name, str(rows)]
    pairs: list[dict[str, Any]] = []
    for _ in range(times):
        ours, peer = once(name, rows), run_child(theirs, _peer_environment())
        ratio = round(peer["cpu_seconds"] / ours["cpu_seconds"], 2)
        pairs.append({"workload": name, "ours": ours, "theirs": peer, "ratio": ratio})
    pairs.sort(key=lambda pair: float(pair["ratio"]))
    return {**pairs[(times - 1) // 2], "ratios": [pair["ratio"] for pair in pairs]}


def _line(pair: dict[str, Any]) -> str:
    ours, theirs = pair["ours"], pair["theirs"]
    note = ""
    if "p50_us" in ours:
        note = f"{ours['p50_us']:.0f}, {ours['p99_us']:.0f} against {theirs['p50_us']:.0f}, {theirs['p99_us']:.0f}"
    if ours.get("orders") != theirs.get("orders"):
        note += f" ORDERS DIFFER: {ours.get('orders')} and {theirs.get('orders')}"
    if len(pair["ratios"]) > 1:
        note += f" [ratios {pair['ratios'][0]:.1f} to {pair['ratios'][-1]:.1f}]"
    cells = [f"{ours['events']:,}", f"{ours['orders']:,}", f"{ours['events_per_s']:,}", f"{theirs['events_per_s']:,}"]
    return _ROW.format(pair["workload"], *cells, f"{pair['ratio']:.1f}x", note).rstrip()


def install() -> Path:
    """The peer's interpreter, in an environment that is made when it is not there. Raises RuntimeError."""
    folder = FOLDER / "nautilus"
    python = folder / "bin" / "python"
    installed = folder / f"installed-{VERSION}"
    if installed.exists():
        return python
    base = _find_python()
    print(f"making {folder} with {base} and {PACKAGE}; some minutes, once", file=sys.stderr)
    _call([base, "-m", "venv", "--clear", str(folder)])
    _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE])
    installed.touch()
    return python


def _find_python() -> str:
    """An interpreter that the peer can be installed for: this one, one on the path, or one of pyenv's."""
    named = [sys.executable, *(found for name in ("3.13", "3.12", "3.14") if (found := shutil.which(f"python{name}")))]
    pyenv = [str(path) for path in sorted((Path.home() / ".pyenv/versions").glob("3.1[234]*/bin/python"), reverse=True)]
    for candidate in [*named, *pyenv]:
        if subprocess.run([candidate, "-c", _CHECK], capture_output=True, check=False).returncode == 0:
            return candidate
    raise RuntimeError(
        f"{PACKAGE} needs Python 3.12 or newer, and none was found; install one, or name an environment that has it "
        "with --python PATH"
    )


def _call(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-1500:]}")


def _peer_environment() -> dict[str, str]:
    """Nothing of ours on the path but this checkout's root, for the generator and the clocks."""
    return {**environment(), "PYTHONPATH": str(ROOT), "FLEET_BENCH": str(FOLDER)}


if __name__ == "__main__":
    sys.exit(main())
