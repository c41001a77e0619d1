"""Both crews do the same; a task's own error reaches the caller after the tasks beside it have ended."""

import os
import signal
import time
from pathlib import Path

import pytest

from sixfold.axes import Axis
from sixfold.errors import CapacityError, PrerequisiteError
from sixfold.systems.rag.crew import RayCrew, SerialCrew


def square(number):
    return number * number


def fail_first(job):
    folder, number = job
    if number == 0:
        raise CapacityError("too much", path="shard")
    time.sleep(0.5)
    Path(folder, str(number)).touch()


def fill_the_disk(path):
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(path.encode())


@pytest.fixture(params=[0, pytest.param(2, marks=pytest.mark.ray)])
def crew(request):
    if request.param:
        request.getfixturevalue("ray_lab")
    crew = RayCrew(request.param, Axis.DATA) if request.param else SerialCrew(Axis.DATA)
    yield crew
    crew.close()


def test_every_item_once_with_its_place(crew):
    assert sorted(crew.map(square, [3, 1, 4, 1, 5])) == [(0, 9), (1, 1), (2, 16), (3, 1), (4, 25)]
    assert list(crew.map(square, [])) == []
    assert len(crew.readings()) == 5


def test_an_error_keeps_its_type_and_its_one_line(crew, tmp_path):
    with pytest.raises(CapacityError) as caught:
        list(crew.map(fail_first, [(str(tmp_path), n) for n in range(2)]))
    assert str(caught.value) == "shard: too much"
    there = sorted(tmp_path.iterdir())
    time.sleep(0.7)
    assert sorted(tmp_path.iterdir()) == there  # nobody works on behind the caller's back


def test_a_full_disk_keeps_its_number(crew):
    with pytest.raises(OSError, match="No space left") as caught:
        list(crew.map(fill_the_disk, ["x"]))
    assert caught.value.errno == 28


def end_the_process(folder):
    """Ends its process twice, then gives how often it did."""
    deaths = len(list(Path(folder).iterdir()))
    if deaths < 2:
        Path(folder, str(deaths)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return deaths


@pytest.mark.ray
def test_a_worker_that_dies_is_replaced_and_loses_no_item(ray_lab, tmp_path):
    crew = RayCrew(2, Axis.DATA)
    folders = [tmp_path / str(n) for n in range(3)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        if number != 1:
            for death in ("0", "1"):
                (folder / death).touch()
    assert sorted(crew.map(end_the_process, [str(f) for f in folders])) == [(0, 2), (1, 2), (2, 2)]
    (folders[0] / "1").unlink()
    with pytest.raises(PrerequisiteError, match=r"1 Ray workers died one after the other on .*/0"):
        list(crew.map(end_the_process, [str(folders[0])], most_deaths=1))
    crew.close()
