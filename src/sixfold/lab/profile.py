"""What one machine can do, as `lab.probe` measured it: the ceilings and links that predictions use."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sixfold.design.laws.communication import AlphaBeta, fit_alpha_beta
from sixfold.errors import InputError, PrerequisiteError
from sixfold.lab.local_ray import usable_cores

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Calibration", "Link", "Machine", "Profile", "RayReadings", "Reading", "default_profile_path"]

Efficiencies = dict[Annotated[int, Field(ge=1)], "Reading"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reading(_Model):
    """One measured quantity: the median of `n` repeats, and how far they lay apart."""

    median: float = Field(ge=0)
    min: float = Field(ge=0)
    max: float = Field(ge=0)
    n: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.median <= self.max:
            raise ValueError(f"min {self.min:g}, median {self.median:g} and max {self.max:g} are out of order")
        return self

    @classmethod
    def of(cls, values: Sequence[float]) -> Reading:
        """Summarise the repeats of one quantity."""
        return cls(median=median(values), min=min(values), max=max(values), n=len(values))

    def __float__(self) -> float:
        return self.median


class Link(_Model):
    """The alpha-beta price of a message (see `design.laws.message_time_s`), each the median of its fits."""

    alpha_s: Reading
    beta_s_per_byte: Reading

    @classmethod
    def fit(cls, sizes_bytes: Sequence[int], message_s: Callable[[int], float], repeats: int) -> Link:
        """Measure every size with `message_s`, fit alpha and beta, and do so `repeats` times."""
        fits = [fit_alpha_beta(sizes_bytes, [message_s(size) for size in sizes_bytes]) for _ in range(repeats)]
        return cls(
            alpha_s=Reading.of([fit.alpha_s for fit in fits]),
            beta_s_per_byte=Reading.of([fit.beta_s_per_byte for fit in fits]),
        )

    @property
    def law(self) -> AlphaBeta:
        """The medians, as the law that predicts with them."""
        return AlphaBeta(self.alpha_s.median, self.beta_s_per_byte.median)


class RayReadings(_Model):
    """What handing work to Ray costs on this machine, when nothing else does."""

    task_alpha_s: Reading  # one task submitted and its result read, before the next
    task_s: Reading  # a task among many submitted together: the price of a task in bulk
    actor_alpha_s: Reading  # one actor call and its result
    object_link: Link  # an array from one process into another: put, actor call, get


class Machine(_Model):
    """Which machine, with which versions; two profiles of equal machines may be compared."""

    name: str
    cpu_model: str
    cores: int = Field(ge=1)  # that this process may use
    memory_bytes: int = Field(gt=0)
    system: str
    python: str
    numpy: str
    ray: str | None

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine."""
        return cls(
            name=platform.node(),
            cpu_model=_cpu_model(),
            cores=usable_cores(),
            memory_bytes=psutil.virtual_memory().total,
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            numpy=np.__version__,
            ray=_version("ray"),
        )


class Calibration(_Model):
    """What runs said of the machine (`study.calibration`): a factor of every message; and the profile as probed."""

    message: float = Field(gt=0)
    runs: tuple[str, ...]
    probed: dict[str, Any]


class Profile(_Model):
    """The readings of one machine.

    FLOP and memory rates are per second of CPU time (of each process, summed), so that other processes'
    share of the cores does not enter; disk and messages are by wall time.
    """

    version: Literal[1] = 1
    machine: Machine
    measured_at: datetime
    quick: bool
    foreign_load: float = Field(ge=0, le=1)  # share of the cores that other processes took meanwhile
    core_flops_per_s: Reading  # float32 matrix product in numpy, one thread
    all_core_flops_per_s: Reading  # the same in one process a core, summed
    core_bf16_flops_per_s: Reading | None = None  # in torch, one thread; None where torch is missing or quick
    core_memory_bytes_per_s: Reading  # copy beyond the caches, read plus written (STREAM's convention)
    all_core_memory_bytes_per_s: Reading
    python_efficiency: Efficiencies  # p processes of pure Python against one, by wall time
    python_efficiency_cpu: Efficiencies  # the same by CPU time: blind to other processes, and to quotas
    disk_write_bytes_per_s: Reading  # with fsync
    disk_read_bytes_per_s: Reading
    disk_read_uncached: bool  # whether the page cache was dropped (a virtual machine's host may keep its own)
    process_link: Link  # between two processes, over a Unix socket pair
    ray: RayReadings | None
    calibration: Calibration | None = None

    @property
    def probed(self) -> Profile:
        """The profile as the probe left it."""
        return self if self.calibration is None else Profile.model_validate(self.calibration.probed)

    @model_validator(mode="after")
    def _scaling_is_whole(self) -> Self:
        for name in ("python_efficiency", "python_efficiency_cpu"):
            measured = getattr(self, name)
            if not {1, self.machine.cores} <= set(measured):
                raise ValueError(f"{name} needs p = 1 and p = {self.machine.cores} (every core)")
        return self

    @property
    def busy(self) -> bool:
        """Whether other processes took so much that wall times say little about this machine."""
        return self.foreign_load > 0.05

    def ceiling(self, p: int) -> float:
        """Return the efficiency, at most 1, that `p` workers of pure CPU work reach on this machine.

        By wall time, or by CPU time where the machine was busy during the probe. Interpolated between the
        measured p; beyond the cores the throughput of all cores is shared by p workers.
        """
        if p < 1:
            raise ValueError(f"got p={p}, expected at least 1")
        measured = self.python_efficiency_cpu if self.busy else self.python_efficiency
        counts = sorted(measured)
        cores = self.machine.cores
        at = float(np.interp(min(p, cores), counts, [min(1.0, measured[count].median) for count in counts]))
        return at if p <= cores else at * cores / p

    def to_json(self) -> dict[str, Any]:
        """Return the profile as it goes into a run's manifest."""
        return self.model_dump(mode="json")

    def table(self) -> Table:
        """Return the readings as a table for people: median, spread and unit."""
        from rich.table import Table

        table = Table("reading", caption=self._caption())
        for name in ("median", "min", "max"):
            table.add_column(name, justify="right")
        table.add_column("unit")
        table.add_column("n", justify="right")
        for name, unit, reading in self._readings():
            shown = [f"{value:.4g}" for value in (reading.median, reading.min, reading.max)]
            table.add_row(name, *shown, unit, str(reading.n))
        return table

    def _caption(self) -> str:
        where = f"{self.machine.cores} cores of {self.machine.cpu_model}, {self.machine.system}"
        if not self.busy:
            return where
        return f"{where}; other processes took {self.foreign_load:.0%} of it: wall times are upper bounds"

    def _readings(self) -> Iterator[tuple[str, str, Reading]]:
        yield "one core, float32", "FLOP/s", self.core_flops_per_s
        yield "all cores, float32", "FLOP/s", self.all_core_flops_per_s
        if self.core_bf16_flops_per_s is not None:
            yield "one core, bfloat16", "FLOP/s", self.core_bf16_flops_per_s
        yield "one core, memory copy", "B/s", self.core_memory_bytes_per_s
        yield "all cores, memory copy", "B/s", self.all_core_memory_bytes_per_s
        for p, reading in self.python_efficiency.items():
            yield f"Python, E({p}) by wall time", "", reading
        for p, reading in self.python_efficiency_cpu.items():
            yield f"Python, E({p}) by CPU time", "", reading
        yield "disk write, fsync", "B/s", self.disk_write_bytes_per_s
        cached = "" if self.disk_read_uncached else " (from the page cache)"
        yield f"disk read{cached}", "B/s", self.disk_read_bytes_per_s
        yield "process to process, alpha", "s", self.process_link.alpha_s
        yield "process to process, beta", "s/B", self.process_link.beta_s_per_byte
        if self.ray is not None:
            yield "Ray task, alpha", "s", self.ray.task_alpha_s
            yield "Ray task in bulk", "s", self.ray.task_s
            yield "Ray actor call, alpha", "s", self.ray.actor_alpha_s
            yield "Ray object, alpha", "s", self.ray.object_link.alpha_s
            yield "Ray object, beta", "s/B", self.ray.object_link.beta_s_per_byte

    def save(self, path: str | Path) -> Path:
        """Write the profile as JSON, whole or not at all, and return its path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(target)
        return target

    @classmethod
    def load(cls, path: str | Path | None = None) -> Profile:
        """Read a profile, by default that of `default_profile_path`.

        Raises:
            PrerequisiteError: there is none yet.
            InputError: it is not a profile; names the field.
        """
        source = default_profile_path() if path is None else Path(path)
        try:
            text = source.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise PrerequisiteError(f"no profile of this machine at {source}: run `sixfold lab probe`") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read ({error})", path=source) from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or None
            what = first["msg"].removeprefix("Value error, ")
            raise InputError(
                f"not a profile: {what[:1].lower()}{what[1:]}; run `sixfold lab probe` to make it anew",
                path=source,
                field=field,
            ) from error


def default_profile_path() -> Path:
    """Return the user's profile: below $SIXFOLD_CACHE, $XDG_CACHE_HOME/sixfold or ~/.cache/sixfold."""
    if own := os.environ.get("SIXFOLD_CACHE"):
        return Path(own) / "profile.json"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sixfold" / "profile.json"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
