"""Row and Panel: what one run measured, and the runs that may be compared with each other."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.axes import Axis
from sixfold.errors import InputError, InvariantError
from sixfold.files import replace_bytes

__all__ = ["BASELINE", "TOTAL", "Panel", "Row", "who"]

BASELINE = 0  # `workers` of a baseline row: the plain single process, no engine; it counts as one worker
TOTAL = "total"  # the `stage` of a row that adds up a pipeline


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration, measured once. `workers` is p, or BASELINE for the plain single process.

    The four parts are means over the workers and add up to `wall_s` within 1 %; `axis_s` splits what is not
    idle by axis, `axis_bytes` the bytes. `work` counts what was done (in `work_unit`), so that work / wall_s
    is the throughput. A higher `quality` is better; NaN (a run that diverged) is outside every gate.
    """

    stage: str
    axis: Axis
    workers: int
    repeat: int
    wall_s: float
    compute_s: float
    communication_s: float
    idle_s: float
    rework_s: float
    moved_bytes: int
    work: float
    work_unit: str
    quality: float
    quality_metric: str
    cost_usd: float
    config: str  # hash of data, seed and configuration: rows with different ones are never compared
    axis_s: dict[str, float] = field(default_factory=dict)
    axis_bytes: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.wall_s < math.inf and 0 <= self.work < math.inf):
            raise InvariantError(f"{self.stage}: {self.work} {self.work_unit} in {self.wall_s} s cannot be")
        parts_s = self.compute_s + self.communication_s + self.idle_s + self.rework_s
        if min(self.compute_s, self.communication_s, self.idle_s, self.rework_s) < 0:
            raise InvariantError(f"{self.stage}: a part of the wall time is negative")
        if not abs(parts_s - self.wall_s) <= 0.01 * self.wall_s + 1e-6:
            raise InvariantError(f"{self.stage}: parts add up to {parts_s:.4f} s, wall is {self.wall_s:.4f} s")

    @property
    def processors(self) -> int:
        """Workers that were paid for: a baseline is one."""
        return max(1, self.workers)

    @property
    def who(self) -> str:
        """Who did it, in words."""
        return who(self.workers)

    @property
    def is_baseline(self) -> bool:
        """Whether this is the plain single process, without an engine."""
        return self.workers == BASELINE

    @property
    def throughput(self) -> float:
        """Work per second."""
        return self.work / self.wall_s

    def speedup(self, baseline: Row) -> float:
        """S(p) = T(1) / T(p) for the same work: the ratio of the throughputs.

        Raises InvariantError when the work is not of one kind, ZeroDivisionError when the baseline did none.
        """
        if baseline.work_unit != self.work_unit:
            raise InvariantError(f"{self.stage}: {self.work_unit} cannot be compared with {baseline.work_unit}")
        return self.throughput / baseline.throughput

    def efficiency(self, baseline: Row) -> float:
        """E(p) = S(p) / p."""
        return self.speedup(baseline) / self.processors

    def cost_ratio(self, baseline: Row) -> float:
        """C(p) / C(1) per unit of work; 1 / E(p) when every worker costs the same; infinite without work."""
        return self.cost_usd / baseline.cost_usd * baseline.work / self.work if self.work else math.inf


def who(workers: int) -> str:
    """A worker count in words; the plain single process is the baseline."""
    return "baseline" if workers == BASELINE else f"{workers} worker{'s' if workers > 1 else ''}"


class Panel:
    """Rows with the same data, seed and configuration. Adding another kind raises InvariantError."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows: list[Row] = []
        for row in rows:
            self.add(row)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Append one row; InvariantError if it belongs to another panel."""
        if self._rows and row.config != self._rows[0].config:
            raise InvariantError(f"row of {row.stage} has config {row.config}, the panel {self._rows[0].config}")
        self._rows.append(row)

    def of(self, stage: str, workers: int) -> list[Row]:
        """Every repeat of one configuration."""
        return [row for row in self._rows if row.stage == stage and row.workers == workers]

    def median(self, stage: str, workers: int) -> Row | None:
        """The repeat whose wall time is the (lower) median: a row that happened, not a mean of several."""
        rows = sorted(self.of(stage, workers), key=lambda row: (row.wall_s, row.repeat))
        return rows[(len(rows) - 1) // 2] if rows else None

    def stages(self) -> list[str]:
        """Stage names in the order in which they first appear."""
        return list(dict.fromkeys(row.stage for row in self._rows))

    def workers(self, stage: str) -> list[int]:
        """The worker counts measured for a stage, ascending, without the baseline."""
        return sorted({row.workers for row in self._rows if row.stage == stage and not row.is_baseline})

    def medians(self, stage: str) -> list[Row]:
        """One row for each worker count of a stage, ascending, without the baseline."""
        return [row for p in self.workers(stage) if (row := self.median(stage, p)) is not None]

    def totals(self, stages: Iterable[str], unscaled: Collection[str] = ()) -> list[Row]:
        """The rows of a pipeline as a whole: for each p at which every stage ran, the sum over the stages.

        A stage named in `unscaled` ran on one worker only; in a row of p workers it keeps one busy while the
        others idle and are paid for. The quality is that of the last stage, the work is one run.
        """
        names = list(stages)
        counts = [{row.workers for row in self._rows if row.stage == name} for name in names if name not in unscaled]
        shared = set.intersection(*counts) if counts else {BASELINE, 1}
        totals = []
        for workers in sorted(shared):
            ran = [self.median(name, min(workers, 1) if name in unscaled else workers) for name in names]
            rows = [_spread(row, workers) for row in ran if row is not None]
            if len(rows) == len(names) and rows:
                totals.append(_add(rows))
        return totals

    def save(self, path: Path) -> None:
        """Write the panel as Parquet, whole or not at all."""
        records = [
            {**asdict(row), "axis": row.axis.value} | {name: json.dumps(getattr(row, name)) for name in _MAPPINGS}
            for row in self._rows
        ]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(records, schema=_SCHEMA), sink)
        replace_bytes(path, sink.getvalue().to_pybytes())

    @staticmethod
    def load(path: Path) -> Panel:
        """Read a panel; InputError names the file and the column that does not fit."""
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"not a panel: {error}", path=path) from None
        for name in sorted(set(_SCHEMA.names) ^ set(table.column_names)):
            raise InputError("the columns of a panel are different", path=path, field=name)
        try:
            return Panel(
                Row(**{**record, "axis": Axis(record["axis"])} | {name: json.loads(record[name]) for name in _MAPPINGS})
                for record in table.to_pylist()
            )
        except (TypeError, ValueError, InvariantError) as error:
            raise InputError(f"not a panel: {error}", path=path) from None


_MAPPINGS = ("axis_s", "axis_bytes", "extra")  # kept as JSON: their keys differ from row to row
_COLUMN_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "Axis": pa.string()}
_SCHEMA = pa.schema([(f.name, _COLUMN_TYPES.get(str(f.type), pa.string())) for f in fields(Row)])
_PARTS = ("compute_s", "communication_s", "idle_s", "rework_s")


def _spread(row: Row, workers: int) -> Row:
    """The row of a stage that ran on fewer workers than are held: the others idle, and cost."""
    share = row.processors / max(1, workers)
    if share == 1:
        return row
    busy = {name: getattr(row, name) * share for name in ("compute_s", "communication_s", "rework_s")}
    return replace(
        row,
        workers=workers,
        idle_s=max(0.0, row.wall_s - sum(busy.values())),
        cost_usd=row.cost_usd / share,
        axis_s={axis: seconds * share for axis, seconds in row.axis_s.items()},
        **busy,
    )


def _add(rows: list[Row]) -> Row:
    """One row for stages that run one after the other."""
    sums = {name: sum(getattr(row, name) for row in rows) for name in ("wall_s", *_PARTS, "moved_bytes", "cost_usd")}
    axis_s, axis_bytes = Counter[str](), Counter[str]()
    for row in rows:
        axis_s.update(row.axis_s)  # a Counter adds floats as well
        axis_bytes.update(row.axis_bytes)
    return replace(
        rows[-1],
        stage=TOTAL,
        repeat=0,
        work=1.0,
        work_unit="run",
        axis_s=dict(axis_s),
        axis_bytes=dict(axis_bytes),
        extra={},
        **sums,
    )
