import time
from pathlib import Path

import pytest

from sixfold.errors import ConfigError
from sixfold.lab.bench_worker import KERNELS, run_for
from sixfold.lab.lab import Lab
from sixfold.lab.local_ray import usable_cores
from sixfold.lab.probe import _process_counts, probe
from sixfold.lab.profile import Profile


@pytest.mark.ray
def test_the_probe_measures_this_machine(ray_lab: Lab, tmp_path: Path) -> None:
    said: list[str] = []
    start_s = time.perf_counter()
    measured = probe(quick=True, progress=said.append, directory=tmp_path)
    assert time.perf_counter() - start_s < 60, "15 s on an idle machine"

    assert measured.machine.cores == usable_cores()
    assert set(measured.python_efficiency) >= {1, usable_cores()}
    assert measured.ceiling(1) == 1.0
    assert 0.3 < measured.ceiling(usable_cores()) <= 1.0
    # Bounds that any machine of this century meets, to catch a slip of units.
    assert 1e9 < measured.core_flops_per_s.median < 1e13
    assert 1e8 < measured.core_memory_bytes_per_s.median < 1e12
    assert 1e5 < measured.disk_write_bytes_per_s.median < 1e12
    assert 1e-7 < measured.process_link.law.alpha_s < 1e-2
    assert measured.process_link.law.time_s(1 << 20) < 1.0
    assert measured.ray is not None
    assert 1e-5 < measured.ray.task_s.median < 1.0
    assert 1e-5 < measured.ray.task_alpha_s.median < 1.0
    assert 1e-5 < measured.ray.actor_alpha_s.median < 1.0
    assert said == ["disk", "python on every core", "floating point", "memory", "processes", "ray"]
    assert Profile.load(measured.save(tmp_path / "profile.json")) == measured
    assert list(tmp_path.iterdir()) == [tmp_path / "profile.json"], "the disk test left a file"


def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(ConfigError, match="name another directory"):
        probe(quick=True, with_ray=False, directory=in_the_way / "below")


@pytest.mark.parametrize(
    ("kernel", "argument", "work"), [("python", 0, 20_000), ("matmul", 8, 1024), ("copy", 64, 128)]
)
def test_kernels_count_their_work(kernel: str, argument: int, work: float) -> None:
    done, wall_s, cpu_s = run_for(KERNELS[kernel](argument), 0.0)
    assert done == work
    assert wall_s > 0
    assert cpu_s >= 0


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_process_counts_end_at_every_core(cores: int, counts: list[int]) -> None:
    assert _process_counts(cores) == counts
