"""`fleet init`: a project that runs as it is."""

from __future__ import annotations

from pathlib import Path

from nautilus_fleet.errors import EXIT_OK, UsageError

TEMPLATES = Path(__file__).parent.parent / "templates"


def init(folder: Path, *, seed: int = 42, days: int = 10) -> int:
    """Make a project that runs as it is: a configuration, a 30-line strategy, a small seeded sample market.

    Usage: fleet init DIR [--seed N] [--days N]

      DIR        the folder to make; existing files are never overwritten
      --seed     another seed makes another market (default 42)
      --days     length of the sample market (default 10)

    Example:
      fleet init desk && fleet backtest desk/backtest.toml
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", remedy="name a folder: fleet init desk")
    if not 1 <= days <= 60:
        raise UsageError(
            f"--days {days} is out of range", remedy="between 1 and 60; import longer histories with fleet data"
        )
    taken = [name for name in ("backtest.toml", "strategies/ema_cross.py", "data") if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} already holds {', '.join(taken)}",
            remedy="choose another folder, or move these away; nothing was written",
        )
    from nautilus_common.testkit.sample_market import write_sample_market

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "strategies").mkdir(exist_ok=True)
    rows = write_sample_market(folder / "data", seed=seed, days=days)
    for name in ("strategies/ema_cross.py", "backtest.toml"):
        (folder / name).write_text((TEMPLATES / name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / ".gitignore").write_text("runs/\n", encoding="utf-8")
    print("created  backtest.toml             the settings of one run")
    print("created  strategies/ema_cross.py   a strategy to change")
    print(f"created  data/                     2 instruments, {days} days, {rows:,} quotes, seed {seed}")
    print(f"next:    fleet backtest {folder / 'backtest.toml'}")
    return EXIT_OK
