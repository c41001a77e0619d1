"""Training laws held against published step times: dense and sparse transformers, from one node to thousands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np

from sixfold.design.catalog.efficiencies import calibrated
from sixfold.design.checks import Floats
from sixfold.design.laws.transformer import parameters
from sixfold.design.validation.rows import read_rows
from sixfold.design.validation.score import Case, Family, score
from sixfold.design.validation.training_predict import Predicted, predict
from sixfold.design.validation.training_rows import TrainingRow, training_rows

__all__ = ["families"]

_FILES = ("training", "training_vtrain")
_STATE_BYTES = 16.0  # a parameter of mixed-precision Adam, the rule of thumb that memory is held against
_Test = Callable[[TrainingRow], bool]
_Pass = Callable[[Family], bool]


def families(data: Path | None = None) -> list[Family]:
    """Return the families of the training files, shipped and of `data`, that have rows to predict.

    Raises InputError for a file or field that cannot be read.
    """
    rows, left_out = training_rows([row for name in _FILES for row in read_rows(name, data)])
    scored = [row for row in rows if row.row.use == "score"]
    if not scored:
        return []
    predicted = predict(scored)
    baseline = _baseline_s(scored, [row for row in rows if row.row.use == "calibrate"])
    groups = _groups(scored)
    made = []
    for name, test, target, passes, note in _FAMILIES:
        members = [at for at, row in enumerate(scored) if test(row)]
        if members:
            cases = [_case(scored[at], predicted.step_s[at], baseline[at], groups[at]) for at in members]
            made.append(score(name, cases, target=target, passes=passes, note=note or _skipped(left_out)))
    return made + _memory_family(scored, predicted)


def _accuracy(mape: float, median: float = 1.0) -> _Pass:
    return lambda family: family.mape <= mape and family.median <= median


def _decisions(family: Family) -> bool:
    regrets = family.regret_mean, family.regret_max
    return regrets[0] is not None and regrets[1] is not None and regrets[0] <= 0.01 and regrets[1] <= 0.04


def _main(row: TrainingRow) -> bool:
    return not row.sparse and row.shape_published and calibrated(row.device)


def _source(word: str) -> _Test:
    return lambda row: word in row.row.text("source").lower()


_FAMILIES: tuple[tuple[str, _Test, str, _Pass | None, str], ...] = (
    (
        "dense training multi-node",
        lambda row: _main(row) and row.nodes,
        "MAPE <= 8 %, median <= 6 % (best public analytic tool, out of sample: 15.3 % / 9.7 %)",
        _accuracy(0.08, 0.06),
        "",
    ),
    (
        "dense training single-node",
        lambda row: _main(row) and not row.nodes,
        "none stated (best public analytic tool, out of sample: 38.9 %)",
        None,
        "devices with calibration rows, published shapes",
    ),
    (
        "narayanan table 1",
        lambda row: _source("narayanan")(row) and row.row.text("locator").lower().startswith("table 1"),
        "MAPE <= 5 %",
        _accuracy(0.05),
        "micro-batches are not published: the fastest that fits; chunks neither: one",
    ),
    (
        "narayanan zero-3",
        lambda row: _source("narayanan")(row) and row.zero == 3,
        "MAPE <= 15 % (a constant: 49 %)",
        _accuracy(0.15),
        "no calibration rows for DeepSpeed's ZeRO-3: passes from its papers, kernels of Megatron-DeepSpeed",
    ),
    (
        "narayanan table 2, ptd",
        lambda row: (
            _source("narayanan")(row) and row.row.text("locator").lower().startswith("table 2") and row.zero != 3
        ),
        "none stated (best public analytic tool, out of sample: 10.3 %)",
        None,
        "",
    ),
    (
        "vtrain multi-node",
        lambda row: _source("vtrain")(row) and row.nodes,
        "regret mean <= 1 %, max <= 4 % (others: 1.3 % / 4.5 %)",
        _decisions,
        "fitted on single-node rows only; groups by model, GPUs and batch",
    ),
    (
        "vtrain single-node",
        lambda row: _source("vtrain")(row) and not row.nodes,
        "none stated (others: MAPE 38.9 %, regret mean 10.0 %, max 53.5 %)",
        None,
        "split by group from the calibration rows; groups by model, GPUs and batch",
    ),
    (
        "dense training, devices without calibration",
        lambda row: not row.sparse and row.shape_published and not calibrated(row.device),
        "none stated",
        None,
        "A100's shares carried over by published matmul and attention benchmarks (H100, Blackwell)",
    ),
    (
        "dense training, shape not published",
        lambda row: not row.sparse and not row.shape_published,
        "none stated",
        None,
        "layers and width guessed from the parameter count",
    ),
    (
        "moe training",
        lambda row: row.sparse,
        "none stated",
        None,
        "no calibration rows: physics and A100's shares alone; the constant is that of dense calibration rows",
    ),
)


def _case(row: TrainingRow, predicted_s: float, baseline_s: float, group: Hashable) -> Case:
    source = f"{row.row.text('source')}, {row.row.text('locator') or row.row.text('set')}"
    return Case(row.row.id, source, row.measured_s, float(predicted_s), float(baseline_s), group)


def _skipped(left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    chosen = "devices with calibration rows, published shapes; what a row leaves open is the fastest that fits"
    return f"{chosen}; left out of all families: {reasons}" if reasons else chosen


def _baseline_s(scored: Sequence[TrainingRow], calibration: Sequence[TrainingRow]) -> Floats:
    """Step times at one constant utilisation: of each source's calibration rows the median, and of these the mean.

    Sources weigh alike, as in the fit: a median over all rows would be that of the longest table, of tiny models.
    """
    of_source: dict[str, list[float]] = defaultdict(list)
    for row in calibration:
        of_source[row.row.text("source")].append(row.flops / (row.measured_s * row.gpus * row.peak_flops))
    if not of_source:
        return np.full(len(scored), np.nan)
    constant = float(np.mean([np.median(values) for values in of_source.values()]))
    return np.array([row.flops / (row.gpus * row.peak_flops * constant) for row in scored])


def _groups(rows: Sequence[TrainingRow]) -> list[Hashable]:
    """What a user would choose among: one model, device count and batch of one source. A configuration that was
    measured more than once stands in its group with the run nearest to its median."""
    runs: dict[Hashable, list[int]] = defaultdict(list)
    keys: list[Hashable] = []
    for at, row in enumerate(rows):
        text = row.row.text
        model = (text("model"), text("params_B"), float(row.model.layers), float(row.model.hidden))
        batch = (row.gpus, row.global_batch if row.batch_published else None, float(row.model.seq_len))
        key = (text("source"), row.software, row.precision, row.device.id, model, batch)
        keys.append(key if row.batch_published else None)
        degrees = (
            row.tensor,
            row.pipeline,
            row.context,
            row.expert,
            row.chunks,
            row.zero,
            row.micro_batch,
            row.recompute,
        )
        runs[(key, degrees)].append(at)
    for members in runs.values():
        middle = float(np.median([rows[at].measured_s for at in members]))
        kept = min(members, key=lambda at: abs(rows[at].measured_s - middle))
        for at in members:
            if at != kept:
                keys[at] = None
    return keys


def _memory_family(scored: Sequence[TrainingRow], predicted: Predicted) -> list[Family]:
    cases = []
    for at, row in enumerate(scored):
        if row.memory_bytes is None or not row.shape_published:
            continue
        rule = _STATE_BYTES * float(parameters(row.model)) / row.gpus
        source = f"{row.row.text('source')}, {row.row.text('locator')}"
        cases.append(Case(row.row.id, source, row.memory_bytes, float(predicted.memory_bytes[at]), rule))
    if not cases:
        return []
    refused = sum(
        1
        for at, row in enumerate(scored)
        if row.shape_published and predicted.memory_bytes[at] > row.device.memory_bytes
    )
    note = (
        f"bytes a device; baseline: 16 bytes a parameter; {refused} scored configurations that ran predicted not to fit"
    )
    return [score("training memory", cases, note=note)]
