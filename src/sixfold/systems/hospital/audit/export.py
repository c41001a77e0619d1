"""What the logs of a federation say for those who have to account for it: each hospital, and an impact assessment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sixfold.errors import InputError
from sixfold.files import read_json_lines

__all__ = ["assessment", "assessment_markdown", "contribution"]


def contribution(log: Path) -> dict[str, Any]:
    """What a hospital's data contributed, and what epsilon is spent, from its own log.

    jobs: of each job, what it was for, the rounds in which a vector left, the reports that left, the most records that
    one of them was computed over, numbers sent, whether all of that was masked, and the epsilon after the last vector;
    0 where no privacy was promised: none covers reports. refusals: how often, by reason. Raises InputError for a file
    that is missing or holds something else: nothing known is not nothing sent.
    """
    if not log.exists():
        raise InputError("no such file", path=log)
    jobs: dict[str, dict[str, Any]] = {}
    rounds: dict[str, set[int]] = {}
    refusals = Counter[str]()
    for line, entry in enumerate(read_json_lines(log), start=1):
        try:
            _count(entry["kind"], entry["facts"], jobs, rounds, refusals)
        except (KeyError, TypeError):
            raise InputError("not an entry of a log: verify it first", path=log, line=line) from None
    return {"jobs": jobs, "refusals": dict(refusals)}


def assessment(logs: Mapping[str, Path]) -> dict[str, Any]:
    """Facts for a data-protection impact assessment (Regulation (EU) 2016/679, article 35(7)(a) and (d)).

    What was computed for which purpose, what left each hospital and how it was protected, and what was refused. logs:
    of each hospital, its file. The judgement of necessity and risk, (b) and (c), is the controller's.
    """
    hospitals = {name: contribution(path) for name, path in sorted(logs.items())}
    purposes = {job["purpose"] for record in hospitals.values() for job in record["jobs"].values() if job["purpose"]}
    return {"purposes": sorted(purposes), "hospitals": hospitals}


def assessment_markdown(record: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = ["# Facts for a data-protection impact assessment", "", f"Purposes: {', '.join(record['purposes'])}.", ""]
    for name, said in record["hospitals"].items():
        lines += [f"## {name}", "", "| job | output | rounds | reports | records | numbers sent | masked | epsilon |"]
        lines.append("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |")
        for digest, job in said["jobs"].items():
            told = ("output", "rounds", "reports", "most_records", "numbers_sent")
            cells = [digest[:12], *(str(job[name]) for name in told), "yes" if job["masked"] else "no"]
            lines.append(f"| {' | '.join(cells)} | {job['epsilon']:.4g} |")
        lines += ["", *(f"- refused {count} times: {why}" for why, count in said["refusals"].items()), ""]
    return "\n".join(lines)


def _count(
    kind: str,
    facts: Mapping[str, Any],
    jobs: dict[str, dict[str, Any]],
    rounds: dict[str, set[int]],
    refusals: Counter[str],
) -> None:
    """Add one entry to what is known."""
    match kind:
        case "round_offered":
            _job(jobs, facts["job"]).update(purpose=facts["purpose"], output=facts["output"])
        case "contribution":
            job = _job(jobs, facts["job"])
            _sent(job, facts["records"], facts["vector_length"], masked=facts["protection"] == "masked")
            rounds.setdefault(facts["job"], set()).add(facts["round"])
            job["rounds"] = len(rounds[facts["job"]])
            job["epsilon"] = max(job["epsilon"], facts["epsilon_after"])
        case "report":
            job = _job(jobs, facts["job"])
            _sent(job, facts["records"], facts["numbers"], masked=False)
            job["reports"] += 1
        case "permit_decision" if not facts["allowed"]:
            refusals[facts["reasons"]] += 1
        case "refusal":
            refusals[facts["why"]] += 1


def _sent(job: dict[str, Any], records: int, numbers: int, *, masked: bool) -> None:
    job["masked"] = masked and (job["masked"] or job["numbers_sent"] == 0)  # not after one that left in the open
    job["most_records"] = max(job["most_records"], records)
    job["numbers_sent"] += numbers


def _job(jobs: dict[str, dict[str, Any]], digest: str) -> dict[str, Any]:
    counts = dict.fromkeys(("rounds", "reports", "most_records", "numbers_sent"), 0)
    return jobs.setdefault(digest, {"purpose": "", "output": "", **counts, "masked": False, "epsilon": 0.0})
