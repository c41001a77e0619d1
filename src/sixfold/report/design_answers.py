"""The designed half of the page: the checklist, the slots with what was rejected, the workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sixfold.report.facts import Answer, Fact, answers, facts
from sixfold.report.record import Record, mapping

__all__ = ["Question", "Slot", "constraints", "questions", "slots", "workload"]


@dataclass(frozen=True, slots=True)
class Question:
    """One line of the checklist."""

    question: str
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Slot:
    """One decision of the design, with what was not chosen."""

    name: str
    choice: list[Answer]
    rejected: list[Answer]


def questions(record: Record) -> list[Question]:
    """The checklist of the design, in its order."""
    design = mapping(record.manifest.get("design"))

    def answered(question: str, *keys: str) -> Question:
        key = next((key for key in keys if design.get(key) not in (None, "", [], {})), keys[0])
        said = answers(design.get(key))
        reason = next((design[name] for name in (f"{key}_reason", f"{key}_why") if design.get(name)), "")
        if reason and len(said) == 1 and not said[0].reason:
            said = [Answer(said[0].value, str(reason), said[0].labels)]
        return Question(question, said)

    return [
        answered("Which ceiling binds?", "ceiling"),
        answered("Which axis relieves it?", "axes", "axis"),
        answered("Which topology?", "topology"),
        answered("Which mode?", "mode"),
        answered("Which metric is optimised?", "metric"),
        answered("Which taxes are paid?", "taxes", "tax"),
    ]


def constraints(record: Record) -> list[Answer]:
    """The metrics that are held while one is optimised."""
    return answers(mapping(record.manifest.get("design")).get("constraints"))


def slots(record: Record) -> list[Slot]:
    """The six decisions and what was rejected for each."""
    found = mapping(mapping(record.manifest.get("design")).get("slots"))
    result = []
    for name, slot in found.items():
        value = slot if isinstance(slot, Mapping) else {"choice": slot}
        reason = value.get("reason") or value.get("why") or ""
        choice = [Answer(a.value, a.reason or str(reason), a.labels) for a in answers(value.get("choice"))]
        rejected = value.get("rejected")
        listed = rejected if isinstance(rejected, (list, tuple)) else [rejected] if rejected else []
        renamed = [
            {"name": each["alternative"], **{k: v for k, v in each.items() if k != "alternative"}}
            if isinstance(each, Mapping) and "alternative" in each
            else each
            for each in listed
        ]
        result.append(Slot(str(name).replace("_", " "), choice, answers(renamed)))
    return result


def workload(record: Record) -> list[Fact]:
    """The numbers of the workload that the design rests on."""
    design = mapping(record.manifest.get("design"))
    return list(facts(mapping(design.get("workload") or design.get("numbers"))))
