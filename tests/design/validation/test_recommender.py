"""Recommenders against published rates: the constants are those of the calibration rows, and beat what has no law."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sixfold.design.catalog.recommenders import recommender_named, recommender_table
from sixfold.design.validation.recommender import families
from sixfold.design.validation.recommender_fit import constants, fit
from sixfold.design.validation.recommender_predict import steps
from sixfold.design.validation.rows import read_rows
from sixfold.design.validation.score import Family


@pytest.fixture(scope="module")
def shipped() -> Mapping[str, Family]:
    return {family.name: family for family in families()}


def test_the_catalog_has_what_the_calibration_rows_say() -> None:
    found, _ = steps(read_rows("recsys"))
    table = recommender_table()
    for name, value in fit(found).items():
        assert getattr(table.fitted, name) == pytest.approx(value, rel=2e-3), name
    for name, value in constants(found).items():
        assert getattr(table.constant, name) == pytest.approx(value, rel=2e-3), name


def test_what_was_never_fitted_is_predicted_better_than_by_a_constant(shipped: Mapping[str, Family]) -> None:
    training = shipped["recommender training"]
    assert training.mape < training.baseline_mape
    assert training.median < 0.3
    assert shipped["recommender memory"].mape < 0.05
    halved = shipped["recommender ceiling: gain of 16 bit"]
    assert halved.mape < 0.5 * halved.baseline_mape
    assert halved.passed


def test_no_calibration_row_is_scored(shipped: Mapping[str, Family]) -> None:
    used = {row.id for row in read_rows("recsys") if row.use != "score"}
    for family in shipped.values():
        assert not used & {part for case in family.cases for part in case.id.split(" / ")}, family.name


def test_rows_that_say_little_are_left_out_and_counted(tmp_path: Path) -> None:
    columns = (
        "id,source,model,params_B,hardware,gpus,precision,mode,global_batch,embedding_placement,samples_per_s,"
        "other_metric,use"
    )
    rows = [
        "a,x,Unheard-of,1,H100,8,BF16,train,65536,,1e6,,score",
        "b,x,DLRM small,1,Abacus,8,BF16,train,65536,,1e6,,score",
        "c,x,DLRM-dcnv2,,H100,64,,train,,,3e7,,score",
        "d,x,DLRM small,,H100,1,FP16,train,65536,,,,score",
    ]
    (tmp_path / "recsys.csv").write_text("\n".join([columns, *rows]) + "\n")
    found = {family.name: family for family in families(tmp_path)}
    note = found["recommender training"].note
    assert "shape not in the catalog" in note
    assert "device not in the catalog" in note
    assert "c" in {case.id for case in found["recommender training"].cases}


def test_the_longest_name_counts() -> None:
    names = {"DLRM-dcnv2": "dlrm-dcnv2-mlperf", "DCNv2 small": "dcnv2-criteo", "PyTorch DLRM": "dlrm-criteo"}
    for text, expected in names.items():
        found = recommender_named(text)
        assert found is not None
        assert found.id == expected
