"""Serving laws held against measured times of tokens, on line, and against published tokens/s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.validation.rows import read_rows
from sixfold.design.validation.score import Case, Family, score
from sixfold.design.validation.serving_predict import Predicted, constant_use, predict, utilisations
from sixfold.design.validation.serving_rows import ServingRow, offline_rows, online_rows

__all__ = ["families"]

_TIMES = (
    ("dense TPOT", False, "silicon_tpot_ms", 0.15, "MAPE <= 15 %, half of the constant's (best public tool: 17.9 %)"),
    ("dense TTFT", False, "silicon_ttft_ms", 0.35, "MAPE <= 35 %, half of the constant's (best public tool: 48.1 %)"),
    ("MoE TPOT", True, "silicon_tpot_ms", np.inf, "half of the constant's MAPE (best public tool: 34.3 %)"),
    ("MoE TTFT", True, "silicon_ttft_ms", np.inf, "half of the constant's MAPE (best public tool: 68.4 %)"),
)


def families(data: Path | None = None) -> list[Family]:
    """Return the families of the serving files, shipped and of `data`, that have rows to predict.

    Raises InputError for a file or field that cannot be read.
    """
    online, left_out = online_rows(read_rows("serving_silicon_sample", data))
    offline, not_said = offline_rows(read_rows("serving", data))
    scored = [row for row in online if row.row.use == "score"]
    constant = constant_use([row for row in online if row.row.use == "calibrate"])
    made: list[Family] = []
    if scored:
        said, ideal = predict(scored), utilisations(scored)
        for name, sparse, field, most, target in _TIMES:
            members = [at for at, row in enumerate(scored) if (float(row.model.experts) > 0) == sparse]
            token = "tpot" in field
            predicted = said.token_s if token else said.first_token_s
            baseline = (
                ideal.ideal_token_s / constant.decoding if token else ideal.ideal_first_token_s / constant.first_token
            )
            cases = [_case(scored[at], field, predicted[at], baseline[at], token) for at in members]
            if cases:
                passes = lambda family, most=most: family.mape <= min(most, family.baseline_mape / 2.0)  # noqa: E731
                note = _note(left_out, [scored[at] for at in members], said, members)
                made.append(score(name, cases, target=target, passes=passes, note=note))
    offline = [row for row in offline if row.row.use == "score"]
    if offline:
        made.append(_throughput(offline, constant.cycle, not_said))
    return made


def _case(row: ServingRow, field: str, predicted_s: float, baseline_s: float, token: bool) -> Case:
    measured = row.row.number(field)
    source = f"{row.row.text('source')}, {row.row.text('backend')} {row.row.text('backend_version')}".strip()
    group = _group(row) if token else None
    return Case(row.row.id, source, measured or np.nan, float(predicted_s) * 1e3, float(baseline_s) * 1e3, group)


def _group(row: ServingRow) -> Hashable:
    """What a user would choose among: layouts of one model, framework, precision, machine and load."""
    asked = (row.prompt, row.answer, row.clients, row.reader is None)
    version = (row.row.text("backend"), row.row.text("backend_version"))
    return (row.model_name, row.device.id, row.precision, version, asked)


def _throughput(rows: Sequence[ServingRow], constant: float, left_out: Counter[str]) -> Family:
    said, ideal = predict(rows), utilisations(rows)
    measured = [row.row.number("output_tokens_per_s_total") or np.nan for row in rows]
    cases = [
        Case(
            row.row.id,
            f"{row.row.text('source')}, {row.row.text('locator')}",
            value,
            float(said.output_tokens_per_s[at]),
            float(ideal.ideal_output_tokens_per_s[at] * constant),
            (row.model_name, row.device.id, row.precision, row.prompt, row.answer, row.writer.tensor * row.stages),
        )
        for at, (row, value) in enumerate(zip(rows, measured, strict=True))
    ]
    skipped = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    note = (
        "as many requests at once as fit; no calibration rows of this file: constants, and the baseline, are those of "
        f"the on-line rows; left out: {skipped or 'none'}"
    )
    target = "none stated; half of the constant's MAPE"
    return score(
        "published throughput",
        cases,
        lower_is_better=False,
        target=target,
        passes=lambda family: family.mape <= family.baseline_mape / 2.0,
        note=note,
    )


def _note(left_out: Counter[str], rows: Sequence[ServingRow], said: Predicted, members: Sequence[int]) -> str:
    fits: Floats = said.fits[members]
    fitted = sum(1 for row in rows if row.framework.fitted)
    unstated = sum(1 for row in rows if not row.workers_stated)
    skipped = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    return (
        f"calibrated on one dense model, one device and one version; {fitted} of these rows are of that version; "
        "constants saw no scored row (the rate of products with experts is one published figure of another system); "
        "nine choices of structure were made after scored errors had been seen: what experts add to a layer, that "
        "their products are slower, what fits, layouts that cannot be, benchmarks' lengths with steps in lockstep, "
        "latents over more than 8 devices as ranks of their own, more devices where weights do not fit, prompts held "
        f"until each rank has one, and, of {unstated} rows where nobody says how many replicas there are, the fewest "
        "that hold the requests and keep up with them; the baseline is of the same layouts; "
        f"{int(np.sum(fits < 1.0))} configurations that ran predicted not to fit; left out of all: {skipped or 'none'}"
    )
