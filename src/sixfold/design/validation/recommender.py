"""Laws of recommenders held against published training and inference rates, stated memory, and what they say binds."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from sixfold.design.catalog.recommenders import ranker, recommender_named
from sixfold.design.laws.recommender import StepTime
from sixfold.design.laws.tables import table_bytes
from sixfold.design.validation.recommender_predict import Step, constant_per_s, predict, steps
from sixfold.design.validation.rows import Row, read_rows
from sixfold.design.validation.score import Case, Family, score

__all__ = ["families"]

_UNITS = {"gib": 2.0**30, "tib": 2.0**40, "gb": 1e9, "tb": 1e12}


def families(data: Path | None = None) -> list[Family]:
    """Return the families of `recsys.csv`, shipped and of `data`, that have rows to predict.

    Raises InputError for a file or field that cannot be read.
    """
    rows = read_rows("recsys", data)
    found, left = steps(rows)
    scored = [step for step in found if step.row.use == "score"]
    said = predict(scored)
    pairs = list(zip(scored, said, strict=True))
    made: list[Family] = []
    for name, training in (("recommender training", True), ("recommender inference", False)):
        cases = [_rate(step, parts) for step, parts in pairs if step.training is training]
        if cases:
            made.append(score(name, cases, lower_is_better=False, note=_note(left, training)))
    if cases := _halved(pairs):
        note = (
            "samples/s in 16 bit over those in 32 bit of the same model, devices and batch: the ratio of peaks where "
            "arithmetic binds, near 1 where links or launches do; the constant takes the ratio of peaks"
        )
        target = "none stated; half of the constant's MAPE"
        halves = lambda family: family.mape <= family.baseline_mape / 2.0  # noqa: E731
        made.append(score("recommender ceiling: gain of 16 bit", cases, target=target, passes=halves, note=note))
    if cases := _moved(pairs):
        note = (
            "samples/s of the placement with most devices over those of another, same model and tables; binding, as "
            f"predicted: {_ceilings(pairs)}"
        )
        made.append(score("recommender ceiling: gain of placement", cases, note=note))
    if cases := _memory(rows):
        made.append(score("recommender memory", cases, note="tables with the state of their optimiser, all devices"))
    return made


def _rate(step: Step, parts: StepTime) -> Case:
    group = (step.row.text("model"), step.row.text("hardware"), step.row.text("mode"), step.devices)
    return Case(
        step.row.id,
        step.row.text("source"),
        step.measured_per_s,
        step.batch / float(parts.total_s),
        constant_per_s(step),
        group if step.training else None,
    )


def _halved(pairs: Sequence[tuple[Step, StepTime]]) -> list[Case]:
    """Rows that differ in precision alone, the narrow one over the wide one."""
    groups: dict[Hashable, dict[bool, tuple[Step, StepTime]]] = defaultdict(dict)
    for step, parts in pairs:
        named = [step.row.text(name) for name in ("source", "model", "hardware", "gpus", "embedding_placement")]
        mode = re.sub(r"\W+", " ", step.row.text("mode").lower())
        groups[(*named, mode, step.batch)].setdefault(step.precision == "amp", (step, parts))
    cases = []
    for both in groups.values():
        if len(both) < 2:
            continue
        (narrow, fast), (wide, slow) = both[True], both[False]
        cases.append(
            Case(
                f"{narrow.row.id} / {wide.row.id}",
                narrow.row.text("source"),
                narrow.measured_per_s / wide.measured_per_s,
                float(slow.total_s) / float(fast.total_s),
                constant_per_s(narrow) / constant_per_s(wide),
            )
        )
    return cases


def _moved(pairs: Sequence[tuple[Step, StepTime]]) -> list[Case]:
    """Placements of the same tables: most devices over each other one."""
    groups: dict[Hashable, list[tuple[Step, StepTime]]] = defaultdict(list)
    for step, parts in pairs:
        if step.training and step.row.number("params_B"):
            groups[(step.row.text("source"), step.row.text("model"))].append((step, parts))
    cases = []
    for of in groups.values():
        kinds = {(step.device.kind, step.devices) for step, _ in of}
        if len(kinds) < 2:
            continue
        best, said = max(of, key=lambda each: (each[0].device.kind != "cpu", each[0].devices, each[0].measured_per_s))
        for step, parts in of:
            if (step.device.kind, step.devices) == (best.device.kind, best.devices):
                continue
            cases.append(
                Case(
                    f"{best.row.id} / {step.row.id}",
                    step.row.text("source"),
                    best.measured_per_s / step.measured_per_s,
                    (best.batch / float(said.total_s)) / (step.batch / float(parts.total_s)),
                    constant_per_s(best) / constant_per_s(step),
                )
            )
    return cases


def _ceilings(pairs: Sequence[tuple[Step, StepTime]]) -> str:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for step, parts in pairs:
        if step.training:
            where = "host" if step.device.kind == "cpu" else "one device" if step.devices == 1 else "several devices"
            counted[where][str(parts.ceiling)] += 1
    return "; ".join(
        f"{where}: {', '.join(f'{what} {times}' for what, times in of.most_common())}" for where, of in counted.items()
    )


def _memory(rows: Sequence[Row]) -> list[Case]:
    """What sources say that training needs; only where they say it of a model whose parameters are known."""
    cases = []
    for row in rows:
        stated = re.search(r"need\w* to train\D*([\d.]+)\s*(\w+)", row.text("other_metric").lower())
        model, parameters = recommender_named(row.text("model")), row.number("params_B")
        if row.use != "score" or row.text("mode") != "memory" or not stated or model is None or not parameters:
            continue
        unit = _UNITS.get(stated[2])
        if unit is None:
            continue
        shape = ranker(model, parameters * 1e9)
        width = model.tables[0][0]
        held = float(table_bytes(shape.table_parameters, width, optimiser=model.optimiser))
        plain = float(table_bytes(shape.table_parameters, width))
        cases.append(Case(row.id, row.text("source"), float(stated[1]) * unit, held, plain))
    return cases


def _note(left: Counter[str], training: bool) -> str:
    skipped = ", ".join(f"{count} {reason}" for reason, count in left.most_common())
    lone = "four rows, one model on A100" if training else "one model on A100"
    return (
        f"calibrated on {lone}; what frameworks add to a step is that model's; constants saw no scored row, but two "
        "choices of structure were made after scored errors had been seen (how many results fill a device at another "
        f"precision, how gradients of weights are divided); left out: {skipped or 'none'}"
    )
