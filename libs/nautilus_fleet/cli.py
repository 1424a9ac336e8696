"""The `fleet` command: finds the command that was named, and turns what goes wrong into an exit code.

Only the standard library is imported here, and only the module of the command that runs: people wait for help.
Help is the commands' own docstring, so it needs no argument parser either; cyclopts parses the arguments.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, FleetError, UsageError

# command -> (module, function, one line). Two words are a command of a group.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("init", "init", "make a project that runs as it is"),
    "backtest": ("backtest", "backtest", "run a strategy over recorded market data"),
    "verify": ("verify", "verify", "run it again, also over NATS, and compare digests"),
    "drill": ("drill", "drill", "kill processes while it runs; its bytes must be the same"),
    "replay": ("replay", "replay", "run a configuration through the processes of the fleet"),
    "replay pause": ("replay", "pause", "let a replay wait"),
    "replay resume": ("replay", "resume", "let it go on"),
    "replay step": ("replay", "step", "let it take one step"),
    "replay seek": ("replay", "seek", "let it run to a time as fast as it goes"),
    "replay speed": ("replay", "speed", "change its speed"),
    "report": ("report", "report", "print the tables of a run and rebuild its tearsheet"),
    "data ls": ("data", "ls", "what the catalogue holds"),
    "data import": ("data", "import_", "import CSV or Parquet files into a catalogue"),
    "data check": ("data", "check", "find gaps, duplicates and disorder"),
    "serve": ("serve", "serve", "one process of the fleet, with one role or several"),
    "paper start": ("paper", "start", "a live session on the paper venue"),
    "paper status": ("paper", "status", "how far each process is, and what was traded"),
    "paper stop": ("paper", "stop", "stop the session: last words, rest, end"),
    "up": ("stack", "up", "start servers and services on this machine"),
    "status": ("stack", "status", "how each process of the stack is"),
    "logs": ("stack", "logs", "what the processes of the stack have written"),
    "down": ("stack", "down", "stop the stack"),
    "bus apply": ("bus", "apply", "make the streams of a world on the nats-servers"),
    "bus check": ("bus", "check", "are servers and streams as they must be?"),
    "bus remove": ("bus", "remove", "delete the streams of a world"),
    "health": ("health", "health", "is a process ready? for health checks"),
    "rebuild": ("rebuild", "rebuild", "fold PostgreSQL and Valkey again from the log, and compare"),
    "doctor": ("doctor", "doctor", "what is installed, what is missing, what mends it"),
}

HELP = """\
Nautilus Fleet: backtests whose bytes are the fleet's.

Usage: fleet COMMAND [ARGUMENTS]

{commands}

  fleet COMMAND --help   arguments and examples of one command
  fleet --version        the version

Results go to stdout, progress and messages to stderr. --json prints one JSON object and nothing else.
Exit codes: 0 done, 1 error, 2 usage or configuration, 3 verify found a difference, 4 no data matched.
FLEET_DEBUG=1 shows the traceback of an error; NO_COLOR=1 turns colour off.

First steps: fleet init desk && fleet backtest desk/backtest.toml
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(tokens)
    except FleetError as error:
        return _report(error)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone (`fleet ... | head`): no error, and Python must not report it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        return _report_unforeseen(error)


def _run(tokens: list[str]) -> int:
    if not tokens or tokens[0] in ("--help", "-h", "help"):
        print(render_help(), end="")
        return EXIT_OK if tokens else EXIT_USAGE
    if tokens[0] in ("--version", "-V"):
        print(f"fleet {version()}")
        return EXIT_OK
    name, rest = _find_command(tokens)
    if "--help" in rest or "-h" in rest:
        print(render_command_help(name), end="")
        return EXIT_OK
    function = load_command(name)
    return _call(name, function, rest)


def version() -> str:
    """The version of the installed distribution, read without importing anything heavy."""
    from nautilus_fleet.version import __version__

    return __version__


def render_help() -> str:
    """The text of `fleet --help`."""
    lines = [f"  {name:<13} {line}" for name, (_, _, line) in COMMANDS.items()]
    return HELP.format(commands="\n".join(lines))


def render_command_help(name: str) -> str:
    """The text of `fleet COMMAND --help`: the docstring of the command's function, or of its group's module."""
    import inspect

    source: object = load_command(name) if name in COMMANDS else import_module(f"nautilus_fleet.commands.{name}")
    text = source.__doc__
    assert text
    return inspect.cleandoc(text) + "\n"


def load_command(name: str) -> Callable[..., int]:
    """Import the one module that a command lives in."""
    module, function, _ = COMMANDS[name]
    command: Callable[..., int] = getattr(import_module(f"nautilus_fleet.commands.{module}"), function)
    return command


def _find_command(tokens: list[str]) -> tuple[str, list[str]]:
    two = " ".join(tokens[:2])
    if two in COMMANDS:
        return two, tokens[2:]
    if tokens[0] in COMMANDS:
        return tokens[0], tokens[1:]
    group = [name for name in COMMANDS if name.startswith(f"{tokens[0]} ")]
    if group and (len(tokens) == 1 or tokens[1] in ("--help", "-h")):
        return tokens[0], ["--help"]
    import difflib

    near = difflib.get_close_matches(two if group else tokens[0], group or list(COMMANDS), n=1, cutoff=0.5)
    remedy = f"did you mean fleet {near[0]}? " if near else ""
    raise UsageError(f"no command {two if group else tokens[0]!r}", remedy=remedy + "fleet --help lists them")


def _call(name: str, function: Callable[..., int], tokens: list[str]) -> int:
    """Parse `tokens` for `function` by its signature, then call it."""
    import cyclopts

    app: Any = cyclopts.App(name=f"fleet {name}", help_flags=[], version_flags=[], result_action="return_value")
    app.default(function)
    try:
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        what = " ".join(str(error).split())
        raise UsageError(
            what, where=f"fleet {name} {' '.join(tokens)}".rstrip(), remedy=f"fleet {name} --help"
        ) from None
    return int(command(*bound.args, **bound.kwargs))


def _report(error: FleetError) -> int:
    _traceback_if_asked()
    from nautilus_fleet.terminal import paint

    print(f"{paint('error:', 'red', sys.stderr)} {error}", file=sys.stderr)
    return error.exit_code


def _report_unforeseen(error: Exception) -> int:
    """What no one of us foresaw: still one clear line, and how to see more."""
    _traceback_if_asked()
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last is not None else ""
    what = f"{type(error).__name__}: {error}"
    told = FleetError(what, where=where, remedy="FLEET_DEBUG=1 shows the whole traceback")
    print(f"error: {told}", file=sys.stderr)
    return EXIT_ERROR


def _traceback_if_asked() -> None:
    if os.environ.get("FLEET_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exc()
