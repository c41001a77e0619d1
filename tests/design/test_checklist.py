from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from sixfold.axes import Axis, Mode, Slot
from sixfold.design.checklist import Design, load_design
from sixfold.errors import InputError

SLOT = {"choice": "by hash", "rejected": [{"alternative": "by range", "why": "hot ranges"}]}
GOOD: dict[str, Any] = {
    "system": "tiny",
    "title": "A tiny system",
    "problem": "It is too large for one machine.",
    "ceiling": "data",
    "ceiling_reason": "10 TB against 1 TB of disk.",
    "axes": [{"axis": "data", "role": "leading"}, {"axis": "cluster", "role": "schedules"}],
    "topology": "centralized",
    "topology_reason": "one driver",
    "mode": [{"mode": "batch", "role": "all of it"}],
    "metric": "throughput",
    "metric_reason": "it is a batch",
    "constraints": [{"metric": name, "detail": "held"} for name in ("latency", "cost", "reliability", "quality")],
    "taxes": [{"tax": "communication", "where": "the shuffle"}, {"tax": "failure", "where": "retries"}],
    "slots": {slot.value: SLOT for slot in Slot},
    "workload": {"items": {"value": 1e9, "unit": "items", "source": "assumption: round"}},
    "worker_price": "lambda-cpu-4x",
}


def write(path: Path, content: object) -> Path:
    text = content if isinstance(content, str) else yaml.dump(content, Dumper=Plain, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def test_a_whole_design_is_read(tmp_path: Path) -> None:
    design = load_design(write(tmp_path / "design.yaml", GOOD))
    assert [entry.axis for entry in design.axes] == [Axis.DATA, Axis.CLUSTER]
    assert design.mode[0].mode is Mode.BATCH
    assert list(design.slots) == list(Slot)
    assert design.workload["items"].assumed
    assert Design.model_validate(design.to_json()) == design


def test_the_designs_of_the_systems_are_whole() -> None:
    paths = sorted((Path(__file__).parents[2] / "src" / "sixfold" / "systems").glob("*/design.yaml"))
    assert paths
    for path in paths:
        design = load_design(path)
        assert design.system == path.parent.name
        assert all(quantity.source for quantity in design.workload.values())


def drop(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for name in names[:-1]:
            content = content[name]
        del content[names[-1]]

    return change


def put(value: object, *names: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for name in names[:-1]:
            content = content[name]
        content[names[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "field", "near", "message"),
    [
        (drop("title"), "title", "system:", "missing, expected a value"),
        (put("x", "titel"), "titel", "titel:", "unknown field, expected none of this name"),
        (
            put("speed", "ceiling"),
            "ceiling",
            "ceiling:",
            "got 'speed', expected input should be 'data', 'model'",
        ),
        (put("", "problem"), "problem", "problem:", "at least 1 character"),
        (put("Tiny!", "system"), "system", "system:", "got 'Tiny!'"),
        (put([], "axes"), "axes", "axes:", "at least 1 item"),
        (put("warp", "axes", 1, "axis"), "axes.1.axis", "axis: warp", "got 'warp', expected"),
        (put("data", "axes", 1, "axis"), "axes", "axes:", "data is given twice"),
        (drop("slots", "consistency"), "slots", "slots:", "consistency missing"),
        (put(SLOT, "slots", "colour"), "slots.colour", "colour:", "got 'colour', expected"),
        (
            put([], "slots", "partition", "rejected"),
            "slots.partition.rejected",
            "rejected: []",
            "at least 1 item",
        ),
        (drop("slots", "partition", "choice"), "slots.partition.choice", "partition:", "missing"),
        (
            put("x", "slots", "partition", "rejected", 0, "y"),
            "slots.partition.rejected.0.y",
            "y: x",
            "unknown field",
        ),
        (put("throughput", "constraints", 0, "metric"), None, "system:", "constraints: latency missing"),
        (
            put("many", "workload", "items", "value"),
            "workload.items.value",
            "value: many",
            "got 'many', expected",
        ),
        (put(float("nan"), "workload", "items", "value"), "workload.items.value", "value: .nan", "finite"),
        (drop("workload", "items", "source"), "workload.items.source", "items:", "missing"),
        (put([{"tax": "failure", "where": "x"}], "taxes"), "taxes", "taxes:", "communication missing"),
        (
            put("free", "worker_price"),
            "worker_price",
            "worker_price:",
            "got price 'free', expected one of lambda",
        ),
    ],
)
def test_a_wrong_design_names_its_line_and_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], field: str | None, near: str, message: str
) -> None:
    content = deepcopy(GOOD)
    content["slots"] = {name: deepcopy(slot) for name, slot in content["slots"].items()}
    change(content)
    path = write(tmp_path / "design.yaml", content)
    with pytest.raises(InputError) as caught:
        load_design(path)
    assert message.lower() in str(caught.value).lower()
    assert caught.value.field == field
    assert caught.value.path == path
    assert caught.value.line is not None
    assert near in path.read_text().splitlines()[caught.value.line - 1]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "got no fields"),
        ("- a\n- b\n", 1, "got no fields"),
        ("system: a\ntitle: [b\n", 3, "not YAML"),
        ("system: a\n\tb: c\n", 2, "not YAML"),
        ("system: a\nsystem: b\n", 2, "given twice"),
        ("system: !!python/object:os.system a\n", 1, "not a plain value"),
        ("a: &x [1, 2]\nb: *x\n", 1, "alias"),
        ("? [a, b]\n: c\n", 1, "a structure as a key"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested deeper"),
        ("a: " + "[" * 5000, 1, "nested deeper"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_design(write(tmp_path / "design.yaml", text))
    assert caught.value.line in (line, None)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_design(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_design(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_design(tmp_path / "binary.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"# \n" * (1 << 19))
    with pytest.raises(InputError, match="larger than"):
        load_design(tmp_path / "huge.yaml")


KNOB = {"axis": "data", "low": 0.1, "high": 1.0, "default": 0.5, "unit": "of a core", "effect": "more of it"}


def test_knobs_are_optional_and_their_default_lies_in_their_range(tmp_path: Path) -> None:
    assert load_design(write(tmp_path / "none.yaml", GOOD)).knobs == {}
    design = load_design(write(tmp_path / "one.yaml", {**GOOD, "knobs": {"share": KNOB}}))
    assert design.knobs["share"].axis is Axis.DATA
    wrong = {**GOOD, "knobs": {"share": {**KNOB, "default": 2.0}}}
    with pytest.raises(InputError, match=r"expected 0.1 to 1"):
        load_design(write(tmp_path / "wrong.yaml", wrong))
