"""A replay as a folder: what runs, over which data, and how far it is.

job.json         what runs and how; written once
plan.bin         the run's plan (nautilus_common.plan)
streams/N.arrow  the columns of stream N, unless job.json names a catalogue for it
answers/         the answers of each process: with them a replay goes on after its own death
processes.json   which process serves which engines
events           the event log, when it has ended
result.json      what came out
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from nautilus_common.model.data import BarType
from nautilus_common.model.identifiers import InstrumentId
from nautilus_common.plan import RunPlan, decode_plan, encode_plan

from services.data_gateway.engine import DataEngine

if TYPE_CHECKING:
    import numpy as np
    from nautilus_common.messages.blocks import Block

BLOCK_ROWS = 32_768
"""Rows of a block unless the job says otherwise: half a MiB of quotes on the bus, 1.5 MiB in a process."""


class Source(msgspec.Struct, frozen=True):
    """Where a stream's columns are: in the job's own folder, or in a catalogue."""

    catalog: str = ""
    kind: str = ""
    instrument_id: str = ""
    bar_type: str = ""
    first_ns: int | None = None
    last_ns: int | None = None


class Job(msgspec.Struct, frozen=True):
    """One replay. `speed` is times real time; None is as fast as it goes. `hold` waits for `fleet replay resume`.

    With `keep` the env's streams stay when it has ended.
    """

    run_id: str
    env: str
    sources: list[Source]
    end_ns: int | None = None
    data_start_ns: int | None = None
    data_end_ns: int | None = None
    block_rows: int | None = None
    speed: float | None = None
    hold: bool = False
    keep: bool = False
    rows: int = 0


def write_job(folder: Path, job: Job, plan: RunPlan, columns: list[dict[str, np.ndarray] | None]) -> None:
    """Write a replay that has not begun; `columns` holds those streams that are in no catalogue."""
    import pyarrow as pa

    (folder / "streams").mkdir(parents=True, exist_ok=True)
    (folder / "plan.bin").write_bytes(encode_plan(plan))
    for rank, stream in enumerate(columns):
        if stream is None:
            continue
        table = pa.table(stream)
        path = str(folder / "streams" / f"{rank}.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    (folder / "job.json").write_bytes(msgspec.json.format(msgspec.json.encode(job)))


def read_job(folder: Path) -> tuple[Job, RunPlan]:
    """The replay in `folder`. Raises OSError or ValueError."""
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    return job, decode_plan((folder / "plan.bin").read_bytes())


def blocks(folder: Path, job: Job, plan: RunPlan, rank: int) -> Iterator[Block]:
    """The blocks of a stream."""
    size = job.block_rows or BLOCK_ROWS
    data = DataEngine(plan.streams[rank], size, job.data_start_ns, job.data_end_ns)
    return data.blocks(_batches(folder, job.sources[rank], rank, size))


def _batches(folder: Path, source: Source, rank: int, size: int) -> Iterable[dict[str, np.ndarray]]:
    if not source.catalog:
        import pyarrow as pa

        table = pa.ipc.open_file(pa.memory_map(str(folder / "streams" / f"{rank}.arrow"))).read_all()
        return [{name: table.column(name).to_numpy() for name in table.column_names}]
    from nautilus_common.catalog.catalog import Catalog

    bars = BarType.from_str(source.bar_type) if source.bar_type else None
    found: Iterable[dict[str, np.ndarray]] = Catalog(source.catalog).read(
        source.kind, InstrumentId.from_str(source.instrument_id), bars, source.first_ns, source.last_ns, size
    )
    return found
