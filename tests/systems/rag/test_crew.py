"""Both crews do the same; a task's own error reaches the caller after the tasks beside it have ended."""

import time
from pathlib import Path

import pytest

from sixfold.axes import Axis
from sixfold.errors import CapacityError
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
