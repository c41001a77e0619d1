"""The serving families: what is promised, the fit, and rows that say less than we would like."""

from pathlib import Path

import numpy as np
import pytest

from sixfold.design.catalog.serving import model_named, serving_framework, serving_table, weight_bytes
from sixfold.design.validation.rows import Row, read_rows
from sixfold.design.validation.score import Family
from sixfold.design.validation.serving import families
from sixfold.design.validation.serving_fit import CONSTANTS, _with, current, fit
from sixfold.design.validation.serving_predict import constant_use, predict
from sixfold.design.validation.serving_rows import ServingRow, offline_rows, online_rows

SHARED = Path(__file__).parents[3].parent / "shared" / "published"
needs_rows = pytest.mark.skipif(not (SHARED / "serving_silicon_sample.csv").exists(), reason="no larger set here")


@pytest.fixture(scope="module")
def shared_rows() -> list[Row]:
    return read_rows("serving_silicon_sample", SHARED)


@pytest.fixture(scope="module")
def found() -> dict[str, Family]:
    return {family.name: family for family in families(SHARED)}


@pytest.fixture(scope="module")
def calibration(shared_rows: list[Row]) -> list[ServingRow]:
    return online_rows(row for row in shared_rows if row.use == "calibrate")[0]


def made_row(**fields: str) -> Row:
    given = {
        "id": "x",
        "use": "score",
        "model_path": "meta-llama/Llama-3.1-70B",
        "system": "h200_sxm",
        "backend": "vllm",
        "mode": "agg",
        "isl": "1024",
        "osl": "1024",
        "precision": "fp8",
        "batch_size": "16",
        "tp_size": "4",
        "silicon_data_source": "x.csv; silicon_concurrency=16",
        "silicon_ttft_ms": "100",
        "silicon_tpot_ms": "10",
    }
    return Row(given | fields, Path("rows.csv"), 2)


def one(**fields: str) -> ServingRow:
    rows, _ = online_rows([made_row(**fields)])
    return rows[0]


@needs_rows
def test_half_of_the_constants_error(found: dict[str, Family]) -> None:
    for name in ("dense TPOT", "dense TTFT", "published throughput"):
        assert found[name].mape <= found[name].baseline_mape / 2, name
    # The targets, 15 % and 35 %, are missed: these hold what is reached. See docs/accuracy.md.
    assert found["dense TPOT"].mape <= 0.20
    assert found["dense TTFT"].mape <= 0.46
    assert found["dense TPOT"].regret_mean is not None
    assert found["dense TPOT"].regret_mean <= 0.01
    # Half of the constant's error (28 % and 39 %) is missed as well.
    assert found["MoE TPOT"].mape <= 0.345
    assert found["MoE TPOT"].mape < found["MoE TPOT"].baseline_mape
    assert found["MoE TTFT"].mape <= 0.71
    assert found["MoE TTFT"].mape < found["MoE TTFT"].baseline_mape


@needs_rows
def test_no_dense_configuration_that_ran_is_refused(shared_rows: list[Row]) -> None:
    rows, left_out = online_rows(row for row in shared_rows if row.text("kind") == "dense")
    assert not left_out
    assert np.all(predict(rows).fits >= 1.0)


@needs_rows
def test_refitting_gives_the_constants_of_the_catalog(calibration: list[ServingRow]) -> None:
    found, known = fit(calibration), current()
    assert found == pytest.approx(known, rel=0.01)
    assert set(found) == {constant.field for constant in CONSTANTS}
    use, listed = constant_use(calibration), serving_table().constant
    assert use.model_dump() == pytest.approx(listed.model_dump(), rel=0.001)


@needs_rows
def test_scored_rows_are_never_fitted(calibration: list[ServingRow]) -> None:
    wrong = [one(backend="trtllm", backend_version="1.0.0", silicon_tpot_ms="99999")]
    assert fit([*calibration, *wrong]) == pytest.approx(fit(calibration))
    with pytest.raises(ValueError, match="no calibration rows"):
        fit(wrong)


@needs_rows
def test_layouts_left_out_of_the_fit_are_predicted(calibration: list[ServingRow]) -> None:
    # Measured: 10.9 % between tokens on 8 devices from fits to 1, 2 and 4, and 3.4 % on 1 from the others.
    for tensor, most in ((1, 0.06), (8, 0.13)):
        kept = fit([row for row in calibration if row.writer.tensor != tensor])
        out = [row for row in calibration if row.writer.tensor == tensor]
        said = predict(out, _with(serving_table(), np.array(list(kept.values()))))
        measured = np.array([row.row.number("silicon_tpot_ms") or np.nan for row in out])
        assert np.mean(np.abs(said.token_s * 1e3 / measured - 1)) <= most


def test_what_ships_gives_the_throughput_family() -> None:
    found = families()
    assert [family.name for family in found] == ["published throughput"]
    assert found[0].rows == 170
    assert found[0].mape <= 0.36
    assert found[0].mape <= found[0].baseline_mape / 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model_path": "nobody/Unheard-7T"}, "model"),
        ({"system": "abacus"}, "hardware"),
        ({"isl": ""}, "lengths"),
        ({"silicon_tpot_ms": ""}, "times"),
        ({"tp_size": ""}, "layout"),
        ({"silicon_data_source": "", "batch_size": ""}, "concurrency"),
        ({"mode": "disagg"}, "layout"),
    ],
)
def test_rows_that_cannot_be_predicted_are_counted(fields: dict[str, str], reason: str) -> None:
    rows, left_out = online_rows([made_row(**fields)])
    assert not rows
    assert len(left_out) == 1
    assert reason in next(iter(left_out))


def test_unknown_frameworks_and_missing_fields_have_a_fallback() -> None:
    plain = one(backend="brand-new", precision="", silicon_data_source="")
    assert plain.framework.id == "generic"
    assert plain.weight_bytes == 2.0
    assert plain.clients == 16.0
    assert np.all(np.isfinite(predict([plain]).first_token_s))
    assert serving_framework("TensorRT-LLM", "1.0.0rc3").fitted
    assert not serving_framework("trtllm", "1.2.0rc6").fitted


def test_precision_comes_from_the_row_then_the_name_then_the_publisher() -> None:
    assert one(model_path="nvidia/Llama-3.1-8B-Instruct-FP8", precision="").precision == "fp8"
    assert one(precision="", gemm_quant_mode="nvfp4").precision == "fp4"
    assert one(model_path="deepseek-ai/DeepSeek-R1", precision="").precision == "fp8"
    assert weight_bytes("nvfp4") == weight_bytes("int4_wo") == 0.5625
    assert model_named("openai/gpt-oss-120b") is not None


def test_layouts_that_cannot_be_are_read_as_what_they_mean() -> None:
    squared = one(tp_size="64", moe_tp_size="8", moe_ep_size="8")
    assert (squared.writer.tensor, squared.writer.data) == (8, 1)
    ranks = one(model_path="deepseek-ai/DeepSeek-R1", tp_size="72", moe_tp_size="72", moe_ep_size="1")
    assert (ranks.writer.tensor, ranks.writer.data) == (1, 72)  # 128 heads are not split over 72


def test_latents_over_many_devices_are_kept_by_ranks() -> None:
    latent = {"model_path": "deepseek-ai/DeepSeek-R1", "system": "gb200"}
    wide = one(**latent, tp_size="32", moe_tp_size="8", moe_ep_size="4")
    assert (wide.writer.tensor, wide.writer.data) == (1, 32)
    node = one(**latent, tp_size="8", moe_ep_size="8")
    assert (node.writer.tensor, node.writer.data) == (8, 1)
    small = one(model_path="Qwen/Qwen3-235B-A22B-FP8", tp_size="4", moe_tp_size="2", moe_ep_size="2")
    assert (small.writer.tensor, small.writer.data) == (4, 1)  # 2 x 2 devices are 4


def test_devices_that_cannot_hold_the_weights_are_not_all() -> None:
    alone = one(model_path="deepseek-ai/DeepSeek-R1", precision="fp8", tp_size="1")  # 671 GB on H200 of 141 GB
    assert alone.writer.devices == 8
    assert np.all(predict([alone]).fits >= 1.0)


def test_workers_that_nobody_counted_keep_up() -> None:
    split = {"model_path": "deepseek-ai/DeepSeek-R1", "system": "b200_sxm", "mode": "disagg", "osl": "64"}
    layout = {"isl": "8192", "prefill_tp_size": "8", "decode_tp_size": "8", "silicon_data_source": "concurrency=128"}
    counted = one(**split, **layout, prefill_num_workers="1", decode_num_workers="1")
    unknown = one(**split, **layout)
    assert counted.workers_stated
    assert not unknown.workers_stated
    first = [float(predict([row]).first_token_s[0]) for row in (unknown, counted)]
    assert first[0] < 0.5 * first[1]  # one reader has 128 prompts in line


def test_benchmarks_with_random_lengths_are_recognised() -> None:
    drawn = one(silicon_data_source="2026-04-06.csv; silicon_concurrency=16; wip=False")
    assert (drawn.prompt, drawn.alike) == (pytest.approx(921.6), False)
    assert (one().prompt, one().alike) == (1024.0, True)


def test_a_published_row_without_a_batch_takes_as_many_as_fit() -> None:
    fields = {"model": "Llama-3.1-8B", "hardware": "H100", "precision": "FP8", "engine": "TensorRT-LLM", "tp": "1"}
    rows, _ = offline_rows([Row(fields | {"id": "x", "use": "score", "isl": "128", "osl": "2048",
                                          "output_tokens_per_s_total": "20000"}, Path("x.csv"), 2)])  # fmt: skip
    assert 5_000 < float(predict(rows).output_tokens_per_s[0]) < 60_000
