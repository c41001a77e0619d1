"""The families of searches: what two pilot settings tell, rows that say less than we would like, and no leaks."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sixfold.design.validation.retrieval import families
from sixfold.design.validation.retrieval_fit import fit
from sixfold.design.validation.retrieval_rows import ALL, FIRST, MET, SearchRow, search_rows
from sixfold.design.validation.rows import PUBLISHED, Row, read_rows
from sixfold.errors import InputError

SHARED = Path(__file__).parents[3].parent / "shared" / "published"


@pytest.fixture(scope="module")
def shipped() -> list[SearchRow]:
    return search_rows(read_rows("ann_bigann"))[0]


def made_row(**fields: str) -> Row:
    given = {
        "id": "x",
        "use": "score",
        "source": "A paper of 2027",
        "locator": "table 1",
        "track": "in memory",
        "hardware": "a machine, 32 threads",
        "dataset": "deep-1B",
        "algorithm": "ivf",
        "parameters": "IVF1048576,PQ32 nprobe=16, efSearch=64",
        "recall_or_ap": "0.6",
        "qps": "10000",
        "mean_ssd_ios": "",
        "distcomps": "",
        "index_size_KB": "",
    }
    return Row(given | fields, Path("rows.csv"), 2)


def table(folder: Path, rows: list[Row]) -> Path:
    with (PUBLISHED / "ann_bigann.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    with (folder / "ann_bigann.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: row.fields.get(name, "") for name in columns} for row in rows)
    return folder


def sweep(recall: dict[int, float], **fields: str) -> list[Row]:
    return [
        made_row(id=f"s{n}", parameters=f"IVF1048576,PQ32 nprobe={n}", recall_or_ap=repr(value), **fields)
        for n, value in recall.items()
    ]


def test_a_pilot_of_two_settings_tells_the_others_within_one_step() -> None:
    (pilot,) = families()
    assert pilot.name == "ann effort for a recall, from a pilot of two"
    assert pilot.passed
    assert pilot.rows >= 60
    assert pilot.mape < 0.1 < pilot.baseline_mape


def test_the_laws_follow_the_rows_they_are_fitted_to(shipped: list[SearchRow]) -> None:
    rows = [row for row in shipped if row.kind == "ivf"]
    off = np.abs(fit(shipped).recall(rows) - [row.recall for row in rows])
    assert off.mean() < 0.015
    assert off.max() < 0.08
    assert {row.counts for row in rows} == {FIRST, MET}


def test_the_fit_never_sees_a_row_for_scoring(shipped: list[SearchRow]) -> None:
    other, _ = search_rows(sweep({1: 0.9, 4: 0.95, 16: 0.99}))
    assert len(other) == 3
    before, after = fit(shipped), fit([*shipped, *other])
    assert np.array_equal(before.shared, after.shared)
    assert before.graph == after.graph
    assert not after.piloted


def test_effort_is_the_inverse_of_recall(shipped: list[SearchRow]) -> None:
    known = fit(shipped)
    rows, _ = search_rows(sweep({2: 0.25, 16: 0.5, 64: 0.6}))
    reached = [replace(row, effort=float(effort)) for row, effort in zip(rows, known.effort(rows), strict=True)]
    assert known.recall(reached) == pytest.approx([0.25, 0.5, 0.6], abs=1e-6)
    (beyond,), _ = search_rows(sweep({2: 0.999}))
    assert known.effort([beyond])[0] == np.inf  # codes of 32 bytes do not allow it


def test_calibration_rows_of_a_sweep_predict_its_others(tmp_path: Path, shipped: list[SearchRow]) -> None:
    """Another set of vectors, far harder than those that are known: its own pilot has to be believed."""
    from sixfold.design.laws.retrieval import SearchCurve

    hard = SearchCurve(60.0, 1.4, 0.5)
    grid = {n: float(hard.recall(n)) for n in (4, 8, 16, 32, 64, 128, 256)}
    rows = [
        Row(row.fields | {"use": "calibrate"} if row.id in {"s8", "s128"} else row.fields, row.path, row.line)
        for row in sweep(grid, dataset="newset-1B", dim="64", items="1e9")
    ]
    blind = {"dataset": "text2image-1B"}
    known = [Row(row.fields | blind, row.path, row.line) for row in rows]
    named = {family.name: family for family in families(table(tmp_path, known))}
    assert named["probes for a recall"].rows == 5
    assert named["probes for a recall"].passed
    unpiloted = [Row(row.fields | {"use": "score"}, row.path, row.line) for row in known]
    named = {family.name: family for family in families(table(tmp_path, unpiloted))}
    assert not named["probes for a recall, sets without calibration"].passed


def test_the_baseline_is_beside_every_family_of_the_larger_sets() -> None:
    if not SHARED.exists():
        pytest.skip("the larger sets are not here")
    named = {family.name: family for family in families(SHARED)}
    assert named["probes for a recall"].mape < 0.2 * named["probes for a recall"].baseline_mape
    assert named["ann distances scanned"].mape < 0.1
    assert named["ann queries/s of a scan"].mape < 0.25
    assert named["ann on disk: queries/s from reads"].mape < 0.22
    assert named["ann graph memory"].mape < 0.1
    assert all(np.isfinite(family.baseline_mape) for family in named.values())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"recall_or_ap": ""}, "no recall"),
        ({"recall_or_ap": "1.2"}, "no recall"),
        ({"track": "filter"}, "filtered, sparse or streamed"),
        ({"dataset": "sparse-full"}, "filtered, sparse or streamed"),
        ({"parameters": ""}, "no parameters"),
        ({"parameters": "Puck(10,30,13000,200)"}, "no effort that laws know"),
        ({"parameters": "nprobe=0"}, "no effort that laws know"),
        ({"dataset": "something else"}, "unknown set of vectors"),
    ],
)
def test_a_row_that_cannot_be_compared_says_why(fields: dict[str, str], reason: str) -> None:
    assert search_rows([made_row(**fields)]) == ([], {reason: 1})


def test_a_number_that_is_none_names_its_line() -> None:
    with pytest.raises(InputError, match=r"rows.csv:2 \[recall_or_ap\]"):
        search_rows([made_row(recall_or_ap="high")])


@pytest.mark.parametrize(
    ("parameters", "kind", "effort", "coarse", "lists", "bits"),
    [
        ("FaissIVFPQ(nprobe=8,quantizer_efSearch=16)", "ivf", 8, 16, 2**20, None),
        ("FaissIVFPQ(nprobe=2, efSearch=512)", "ivf", 2, 512, 2**20, None),
        ("OPQ64_128,IVF4194304_HNSW32,PQ64x4fsr nprobe=4,quantizer_efSearch=8", "ivf", 4, 8, 2**22, 8 * 32 / 96),
        ("OPQ32_128,IVF1048576_HNSW32,PQ32 nprobe=64,quantizer_efSearch=64,ht=118", "ivf", 64, 64, 2**20, 8 * 32 / 96),
        ("Faiss(('IVF16384,SQ8', {'nprobe': 30}))", "ivf", 30, 0, 16384, 8.0),
        ("IVF16384,Flat nprobe=2", "ivf", 2, 0, 16384, 0.0),
        ("diskann(('R64_L500', {'Ls': 30, 'T': 8}))", "graph", 30, 0, 2**20, 0.0),
        ("pyanns(R48_L500)_ef90", "graph", 90, 0, 2**20, 0.0),
        ("mystery(('M_bp35_L_pq500_NoT5_ord', {'L_pq': 100, 'T': 8}))", "graph", 100, 0, 2**20, 0.0),
        ("rubignn(('R10_L70', {'search_list': L80 }))", "graph", 80, 0, 2**20, 0.0),
    ],
)
def test_parameters_are_read_as_systems_write_them(
    parameters: str, kind: str, effort: float, coarse: float, lists: float, bits: float | None
) -> None:
    (row,), _ = search_rows([made_row(parameters=parameters)])
    assert (row.kind, row.effort, row.coarse, row.lists, row.counts) == (kind, effort, coarse, lists, ALL)
    assert row.bits == (pytest.approx(bits) if bits is not None else None)


def test_codes_that_are_not_told_are_as_large_as_the_index_leaves_room_for() -> None:
    size = (1e9 * (32 + 8) + 2**20 * (4 * 96 + 256)) / 1024
    (row,), _ = search_rows([made_row(parameters="FaissIVFPQ(nprobe=8)", index_size_KB=repr(size))])
    assert row.code_bytes == pytest.approx(32.0)
    bare = made_row(parameters="FaissIVFPQ(nprobe=8)")
    (unknown,), _ = search_rows([bare])
    assert unknown.bits is None
    assert unknown.code_bytes == 4 * 96


def test_of_two_lists_of_a_graph_the_one_that_varies_is_the_effort() -> None:
    rows, _ = search_rows([made_row(id=str(ef), parameters=f"{{'ef': {ef}, 'nprobe': 30}}") for ef in (95, 115)])
    assert [(row.kind, row.effort) for row in rows] == [("graph", 95), ("graph", 115)]
