"""Promises of the data at the sites: the same patients whatever the storage, wrong units named, nothing invented."""

import csv
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.data import heart, tcga_brca
from sixfold.systems.hospital.data.features import MATRICES, featurise
from sixfold.systems.hospital.data.harmonise import Cause, Source, harmonise, load_mapping
from sixfold.systems.hospital.data.storage import read_columns, write_table

SHARED = Path(os.environ.get("SIXFOLD_SHARED", Path(__file__).parents[5] / "shared"))
COLUMNS = {"patient": ["a", "b", "c"], "chol": [200.0, None, 310.5], 'odd "name"': ["x", "", "z"]}


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".sqlite"])
def test_a_table_is_read_as_it_was_written_in_any_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"patients{ending}"
    write_table(path, COLUMNS)
    read = read_columns(path, ["chol", "patient", 'odd "name"'])
    assert [None if cell is None else float(cell) for cell in read["chol"]] == COLUMNS["chol"]
    assert read["patient"] == COLUMNS["patient"]
    assert [cell or "" for cell in read['odd "name"']] == COLUMNS['odd "name"']


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".sqlite"])
def test_a_missing_column_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"patients{ending}"
    write_table(path, COLUMNS)
    with pytest.raises(InputError, match=rf"patients\{ending}: no column age; there are: patient"):
        read_columns(path, ["patient", "age"])


def test_a_torn_row_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("patient,chol\na,200\nb\n")
    with pytest.raises(InputError, match=r"patients\.csv:3: got 1 cells, expected 2"):
        read_columns(tmp_path / "patients.csv", ["chol"])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"patient,chol\na,200\nM\xfcller,1\n", r"patients\.csv:3: not UTF-8"),
        (b'patient,chol\na,200\n"b"x,1\n', r"patients\.csv:3: cannot be read"),
        (b"patient,chol,chol\na,200,5.2\n", r"patients\.csv: two columns are named chol"),
    ],
)
def test_an_unclear_csv_is_refused_and_names_the_place(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(InputError, match=match):
        read_columns(tmp_path / "patients.csv", ["chol"])


def test_a_database_without_the_table_says_so_and_a_view_will_do(tmp_path: Path) -> None:
    path = tmp_path / "patients.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE everything (patient, chol, address)")
        connection.execute("INSERT INTO everything VALUES ('a', 200.0, 'somewhere')")
    with pytest.raises(InputError, match="no table or view named patients"):
        read_columns(path, ["chol"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIEW patients AS SELECT patient, chol FROM everything")
    assert read_columns(path, ["chol"]) == {"chol": [200.0]}
    with pytest.raises(InputError, match="no column address"):
        read_columns(path, ["address"])


@pytest.mark.parametrize("name", ["none.csv", "table.xls", "broken.parquet", "broken.sqlite"])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"not a table at all")
    with pytest.raises(InputError, match=name.split(".")[0]):
        read_columns(tmp_path / name, ["a"])


def raw(**columns: list[object]) -> dict[str, list[object]]:
    n = len(next(iter(columns.values())))
    return {"id": [f"p{at}" for at in range(n)], "ill": [float(at % 2) for at in range(n)], **columns}


def test_units_are_converted_and_missing_stays_missing() -> None:
    table = raw(cholesterol=[5.2, 6.0, "", 4.1, 7.3, 5.5, 6.6])
    cohort, findings = harmonise(table, {"chol": Source(column="cholesterol", unit="mmol/L")}, "north", "id", "ill")
    assert cohort.X_ND[0, 0] == pytest.approx(5.2 * 38.665)
    assert np.isnan(cohort.X_ND[2, 0])
    assert findings == ()


@pytest.mark.parametrize(
    ("variable", "values", "declared", "likely"),
    [
        ("glucose", [5.1, 6.2, 4.9, 7.0, 5.5, 6.1], "mg/dL", "mmol/L"),
        ("glucose", [98.0, 110.0, 87.0, 140.0, 95.0], "mmol/L", "mg/dL"),
        ("creatinine", [80.0, 95.0, 110.0, 70.0, 88.0], "mg/dL", "umol/L"),
        ("height", [1.7, 1.8, 1.65, 1.9, 1.55], "cm", "m"),
    ],
)
def test_a_wrong_unit_is_found_and_named(variable: str, values: list[object], declared: str, likely: str) -> None:
    mapping = {variable: Source(column="lab", unit=declared)}
    with pytest.raises(InputError, match=rf"\[lab\]: north: {variable} is said to be in {declared}.*{likely}"):
        harmonise(raw(lab=values), mapping, "north", "id", "ill")


@pytest.mark.parametrize(
    ("variable", "values", "declared", "likely"),
    [
        ("glucose", [5.1, 6.2], "mg/dL", "mmol/L"),
        ("creatinine", [80.0, 95.0, None, 70.0], "mg/dL", "umol/L"),
        ("height", [1.7, 1.8, 1.65], "cm", "m"),
    ],
)
def test_a_few_values_that_nobody_has_in_their_unit_tell_the_other_one(
    variable: str, values: list[object], declared: str, likely: str
) -> None:
    mapping = {variable: Source(column="lab", unit=declared)}
    with pytest.raises(InputError, match=rf"none of its \d values is possible in it, and all are usual in {likely}"):
        harmonise(raw(lab=values), mapping, "north", "id", "ill")


@pytest.mark.parametrize(
    ("variable", "values", "set_aside"),
    [
        ("weight", [180.0, 175.0], 0),  # kg of a heavy patient, or lb
        ("glucose", [5.5], 1),  # a slip of the pen, or mmol/L
        ("glucose", [5.5, 25.0, 4.9], 2),  # 25 mg/dL has been seen
        ("glucose", [5.5, 13.0], 2),  # both impossible, one not usual in mmol/L either
    ],
)
def test_a_unit_that_a_few_values_leave_open_is_said_and_nothing_is_guessed(
    variable: str, values: list[object], set_aside: int
) -> None:
    cohort, findings = harmonise(raw(lab=values), {variable: Source(column="lab")}, "north", "id", "ill")
    (untold,) = [finding for finding in findings if finding.cause is Cause.UNTOLD]
    assert (untold.count, untold.to_mend) == (len(values), False)
    assert untold.why.endswith("too few values to tell")
    assert np.isnan(cohort.X_ND).sum() == set_aside == sum(f.count for f in findings if f.to_mend)
    kept = cohort.X_ND[~np.isnan(cohort.X_ND)]
    assert set(kept) <= set(values)


def test_a_few_values_that_are_usual_in_their_unit_raise_no_doubt() -> None:
    table = raw(lab=[95.0, 101.0], mass=[80.0, None])
    mapping = {"glucose": Source(column="lab"), "weight": Source(column="mass", unit="kg")}
    assert harmonise(table, mapping, "north", "id", "ill")[1] == ()


def test_values_in_another_unit_than_the_others_are_set_aside_and_the_unit_named() -> None:
    table = raw(lab=[100.0, 110.0, 95.0, 88.0, 130.0, 99.0, 105.0, 5.1, 6.2, 2000.0])
    cohort, findings = harmonise(table, {"glucose": Source(column="lab", unit="mg/dL")}, "north", "id", "ill")
    assert {(f.why, f.count) for f in findings} == {
        ("not within 20 to 900 mg/dL, usual in mmol/L", 2),
        ("not within 20 to 900 mg/dL", 1),
    }
    assert np.isnan(cohort.X_ND[:, 0]).sum() == 3


@pytest.mark.parametrize("names", [[None, "b"], ["  ", "b"], [7.0, 8.0], [b"a", b"b"]])
def test_a_pseudonym_that_an_opt_out_could_miss_is_refused(names: list[object]) -> None:
    table = raw(age=[50.0, 60.0]) | {"id": names}
    with pytest.raises(InputError, match=r"\[id\]: north: a row without a pseudonym"):
        harmonise(table, {"age": Source(column="age")}, "north", "id", "ill")


def test_a_patient_is_one_however_the_pseudonym_is_padded() -> None:
    mapping = {"age": Source(column="age")}
    with pytest.raises(InputError, match="a pseudonym stands for two rows"):
        harmonise(raw(age=[50.0, 60.0]) | {"id": ["p7", "p7 "]}, mapping, "north", "id", "ill")
    cohort, _ = harmonise(raw(age=[50.0, 60.0]) | {"id": [7, " 8"]}, mapping, "north", "id", "ill")
    assert cohort.patients.tolist() == ["7", "8"]


def test_zero_as_missing_odd_codes_and_impossible_values_are_counted_not_hidden() -> None:
    table = raw(chol=[0, 210, 0, 190, 5000, 230, 240], cp=["1", "9", "x", "4", "2", "3", "1"])
    mapping = {"chol": Source(column="chol"), "cp": Source(column="cp")}
    cohort, findings = harmonise(table, mapping, "swiss", "id", "ill")
    assert {(f.variable, f.count) for f in findings} == {("chol", 2), ("chol", 1), ("cp", 1)}
    assert any("0 stands for missing" in f.why for f in findings)
    assert np.isnan(cohort.X_ND).sum() == 5


ONE = ["1", " 1 ", "1.0", "01", 1, 1.0, True, "TRUE", "true"]
ZERO = ["0", "0.0", 0, 0.0, -0.0, False, "False", "FALSE"]


@given(st.lists(st.tuples(st.sampled_from(ONE), st.sampled_from(ZERO)), min_size=1, max_size=8))
def test_a_code_is_the_same_however_it_is_written(pairs: list[tuple[object, object]]) -> None:
    cells = [cell for pair in pairs for cell in pair]
    table = raw(smoker=cells) | {"ill": cells}
    own = Source(column="smoker", codes={"1.0": 0, "false": 1})  # a hospital that counts the other way round
    for source, expected in ((Source(column="smoker"), [1.0, 0.0]), (own, [0.0, 1.0])):
        cohort, findings = harmonise(table, {"fbs": source}, "north", "id", "ill")
        assert findings == ()
        assert cohort.X_ND[:, 0].tolist() == expected * len(pairs)
        assert cohort.y_N.tolist() == [1.0, 0.0] * len(pairs)


def test_what_stands_for_missing_does_so_as_a_float_too() -> None:
    mapping = {"age": Source(column="age", missing=("-9",)), "cp": Source(column="cp", missing=("9.0", "none"))}
    table = raw(age=[-9.0, "-9", 50.0], cp=[9, "none", 2])
    cohort, findings = harmonise(table, mapping, "north", "id", "ill")
    assert findings == ()
    assert np.isnan(cohort.X_ND).tolist() == [[True, True], [True, True], [False, False]]


def test_a_truth_value_is_no_measurement_and_no_pseudonym() -> None:
    cohort, findings = harmonise(raw(st=[True, 0.5]), {"oldpeak": Source(column="st")}, "north", "id", "ill")
    assert [(f.cause, f.why, f.count) for f in findings] == [(Cause.UNKNOWN, "unknown value 'True'", 1)]
    assert np.isnan(cohort.X_ND[0, 0])
    with pytest.raises(InputError, match="a row without a pseudonym"):
        harmonise({"id": [True], "ill": [0]}, {}, "north", "id", "ill")


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".sqlite"])
def test_truth_values_mean_the_same_from_any_storage(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"patients{ending}"
    ill, angina = [True, False, True], [False, None, True]
    write_table(path, {"id": ["a", "b", "c"], "ill": ill, "angina": angina})
    table = read_columns(path, ["id", "ill", "angina"])
    cohort, findings = harmonise(table, {"exang": Source(column="angina")}, "north", "id", "ill")
    assert findings == ()
    assert cohort.y_N.tolist() == [1.0, 0.0, 1.0]
    np.testing.assert_array_equal(cohort.X_ND[:, 0], [0.0, np.nan, 1.0])


def test_days_until_the_outcome_are_read_and_each_patient_must_have_them() -> None:
    table = raw(age=[50.0, 60.0, 70.0], days=["0", 365.25, 43830])
    mapping = {"age": Source(column="age")}
    cohort, _ = harmonise(table, mapping, "north", "id", "ill", "days")
    assert cohort.time_N is not None
    assert cohort.time_N.tolist() == [0.0, 365.25, 43830.0]
    assert harmonise(table, mapping, "north", "id", "ill")[0].time_N is None
    for wrong in (None, "", "soon", -1.0, 43831, float("nan"), float("inf"), True):
        with pytest.raises(InputError, match=r"\[days\]: north: got time .*expected days, 0 to 43830"):
            harmonise(table | {"days": [1.0, wrong, 2.0]}, mapping, "north", "id", "ill", "days")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sex: {column: s, codes: {'1': 1, '1.0': 0}}", r"mapping\.yaml:1 \[sex\.codes\].*1 stands for two codes"),
        ("cp: {column: s, codes: {typical: 7}}", r"\[cp\.codes\]: got 7, expected codes of the schema: 1, 2, 3, 4"),
    ],
)
def test_codes_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(InputError, match=match):
        load_mapping(tmp_path / "mapping.yaml")


@pytest.mark.parametrize(
    ("text", "field"), [("weight_of_soul: {column: x}", "weight_of_soul"), ("chol: {column: x, unit: stone}", "chol")]
)
def test_a_mapping_to_nothing_is_named(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(InputError, match=field):
        load_mapping(tmp_path / "mapping.yaml")


def test_the_embedded_hospitals_are_those_of_the_published_benchmark() -> None:
    cohorts = heart.complete_cases(heart.read_embedded())
    tests = [heart.held_out(cohort) for cohort in cohorts]
    assert [len(cohort) for cohort in cohorts] == [303, 261, 46, 130]
    assert [(int((~t).sum()), int(t.sum())) for t in tests] == [(199, 104), (172, 89), (30, 16), (85, 45)]
    # which patients, not only how many: positions that the published code gives on the original files
    assert np.nonzero(tests[2])[0].tolist() == [5, 6, 7, 8, 13, 14, 18, 19, 20, 22, 24, 28, 29, 32, 40, 41]
    assert [int(np.nonzero(test)[0].sum()) for test in tests] == [16832, 11704, 326, 3089]


@pytest.mark.skipif(not (SHARED / "data" / "heart").exists(), reason="the original files are not here")
def test_the_embedded_table_is_the_original_one() -> None:
    for ours, theirs in zip(heart.read_embedded(), heart.read_folder(SHARED / "data" / "heart"), strict=True):
        assert np.array_equal(ours.X_ND, theirs.X_ND, equal_nan=True)
        assert np.array_equal(ours.y_N, theirs.y_N)


def test_a_folder_without_the_files_and_a_short_row_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"processed\.cleveland\.data: no such file"):
        heart.read_folder(tmp_path)
    for site in heart.HOSPITALS:
        (tmp_path / f"processed.{site}.data").write_text("63,1,1\n")
    with pytest.raises(InputError, match=r"cleveland\.data:1: got 3 columns, expected 14"):
        heart.read_folder(tmp_path)


@given(st.integers(0, 2**31))
def test_columns_are_complete_and_bounded_whatever_is_missing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cohort = heart.read_embedded()[seed % 4]
    X_ND = np.where(rng.random(cohort.X_ND.shape) < 0.3, np.nan, cohort.X_ND)
    made = featurise(type(cohort)(cohort.site, cohort.patients, cohort.features, X_ND, cohort.y_N), "heart")
    assert np.isfinite(made.X_ND).all()
    assert np.abs(made.X_ND).max() <= 3.0
    assert made.features == tuple(column.name for column in MATRICES["heart"])


def test_an_unknown_matrix_and_a_missing_variable_are_named() -> None:
    cohort = heart.read_embedded()[0]
    with pytest.raises(ConfigError, match="one of heart"):
        featurise(cohort, "lungs")
    short = type(cohort)(cohort.site, cohort.patients, ("age",), cohort.X_ND[:, :1], cohort.y_N)
    with pytest.raises(InputError, match="no variables chol, cp"):
        featurise(short, "heart")


@pytest.mark.skipif(not (SHARED / "data" / "tcga_brca").exists(), reason="the files of the regions are not here")
def test_the_regions_have_the_events_of_the_published_split() -> None:
    regions = tcga_brca.read_folder(SHARED / "data" / "tcga_brca")
    assert [int(cohort.y_N[test].sum()) for cohort, test in regions] == [14, 4, 8, 3, 2, 1]
    assert {cohort.X_ND.shape[1] for cohort, _ in regions} == {39}
    assert [(int((~test).sum()), int(test.sum())) for _, test in regions] == [
        (248, 63), (156, 40), (164, 42), (129, 33), (129, 33), (40, 11)
    ]  # fmt: skip
    with (SHARED / "data" / "tcga_brca" / "centers.csv").open(encoding="utf-8") as file:
        region_of = {row["TSS Code"]: row["Region"] for row in csv.DictReader(file)}
    names = [{region_of[patient.split("-")[1]] for patient in cohort.patients} for cohort, _ in regions]
    assert names == [{"Northeast"}, {"South"}, {"West"}, {"Midwest"}, {"Europe"}, {"Canada"}]


def test_regions_are_read_and_what_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "brca.csv").write_text("pid,age,E,T\na,50,1.0,100\nb,60,0.0,200\n")
    split = tmp_path / "train_test_split.csv"
    split.write_text("pid,fold,fold2\na,train,train_0\nb,test,test_0\n")
    ((cohort, test),) = tcga_brca.read_folder(tmp_path)
    assert cohort.features == ("age",)
    assert test.tolist() == [False, True]
    split.write_text("pid,fold,fold2\nc,train,train_0\n")
    with pytest.raises(InputError, match=r"train_test_split\.csv:2: not a part of a region: c in train_0"):
        tcga_brca.read_folder(tmp_path)
    (tmp_path / "brca.csv").write_text("pid,age,E,T\na,old,1.0,100\n")
    with pytest.raises(InputError, match=r"brca\.csv:2: not a patient"):
        tcga_brca.read_folder(tmp_path)
