"""Laws of coordination held against publications: privacy spent, federated rounds, exchanges put off, agents in a team.

Few numbers are published with all that a law needs; what is missing is left out and counted, not guessed. Where a file
has no calibration rows, the constant beside a law is "no effect": nothing saved, and no tax.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sixfold.design.laws.agents import coordinated_success_per_token, coordination_efficiency, token_overhead
from sixfold.design.laws.federated import (
    heterogeneity_floor,
    local_updates,
    rounds_to_target,
    utilisation_between_rounds,
)
from sixfold.design.laws.privacy import dp_epsilon
from sixfold.design.validation.rows import Row, read_rows
from sixfold.design.validation.score import Case, Family, score

__all__ = ["families"]

_EXAMPLES = {"mnist": 60_000, "cifar": 50_000}  # training sets, from their papers
_FLOORS = {False: 0.0, True: 1.0}  # where nothing is calibrated: like data, and clients that share nothing


def families(data: Path | None = None) -> list[Family]:
    """Return the families of the coordination file, shipped and of `data`, that have rows to predict.

    Raises InputError for a file that cannot be read.
    """
    rows = [row for row in read_rows("coordination_federated", data) if row.use != "context"]
    made = [_privacy(rows), _rounds(rows), _exchanges(rows), _agents(rows)]
    return [family for family in made if family is not None]


def _value(row: Row) -> float | None:
    """The number published, also one that is given as a bound; None for ranges and words."""
    found = re.fullmatch(r"[<>~]?\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)", row.text("value"))
    value = float(found.group(1)) if found else math.nan
    return value if math.isfinite(value) else None


def _named(row: Row, field: str) -> dict[str, float]:
    """`name=number` pairs of a text, lower case; "inf" is a number."""
    pairs = re.findall(r"([A-Za-z]+)\s*=\s*([0-9][0-9.]*(?:e[-+]?[0-9]+)?|inf)", row.text(field), re.IGNORECASE)
    named = {}
    for name, text in pairs:
        try:
            named[name.lower()] = float(text)
        except ValueError:
            continue
    return named


def _source(row: Row) -> str:
    return f"{row.text('source')}, {row.text('locator')}"


def _note(text: str, left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    return f"{text}; left out: {reasons}" if reasons else text


def _privacy(rows: Sequence[Row]) -> Family | None:
    """Epsilon from noise, sampling, rounds and delta. Baseline: q sqrt(T log(1 / delta)) / sigma times a constant."""
    left_out: Counter[str] = Counter()
    told: dict[str, list[tuple[Row, float, float, float]]] = {"score": [], "calibrate": []}
    for row in rows:
        if not row.text("topic").startswith("differential privacy") or row.text("metric") != "epsilon":
            continue
        given, measured = _named(row, "setting"), _value(row)
        examples, batch = given.get("examples", 0.0), given.get("batch", 0.0)
        q = given.get("sampling", batch / examples if examples else 0.0)
        steps = given.get("rounds", given["epochs"] / q if "epochs" in given and q else 0.0)
        sigma, delta = given.get("noise", 0.0), given.get("delta", 0.0)
        possible = 0 < q <= 1 and 0 < steps < math.inf and 0 < sigma < math.inf and 1e-300 < delta < 1
        if not (possible and measured and measured > 0):
            left_out["without noise, sampling, rounds or delta"] += 1
            continue
        classic = "moments" in row.text("architecture_or_method")
        predicted = float(dp_epsilon(sigma, steps, delta, sampling=q, classic=classic))
        told[row.use].append((row, measured, predicted, q * math.sqrt(-steps * math.log(delta)) / sigma))
    if not told["score"]:
        return None
    fitted = told["calibrate"]
    constant = float(np.median([measured / order for _, measured, _, order in fitted])) if fitted else 1.0
    cases = [
        Case(row.id, _source(row), measured, predicted, constant * order)
        for row, measured, predicted, order in told["score"]
    ]
    note = "nothing fitted; baseline: the order of Abadi et al. 2016, theorem 1, with a constant from calibration rows"
    return score("privacy epsilon", cases, note=_note(note, left_out))


def _rounds(rows: Sequence[Row]) -> Family | None:
    """Rounds of a setting from its rounds with one update a client: that row is an input and not scored."""
    left_out: Counter[str] = Counter()
    settings: dict[tuple[str, str], list[tuple[Row, float, float]]] = defaultdict(list)
    for row in rows:
        if row.text("topic") != "federated" or not row.text("metric").startswith("rounds to"):
            continue
        updates, measured = _updates(row), _value(row)
        if updates is None or not measured or measured <= 0:
            left_out["whose local work is not told"] += 1
        else:
            settings[(row.text("source"), row.text("setting"))].append((row, updates, measured))
    told: list[tuple[Row, float, float, float]] = []  # with updates, rounds, and the rounds of one update
    for members in settings.values():
        one = [measured for _, updates, measured in members if updates == 1.0]
        if one:
            told += [(row, updates, measured, one[0]) for row, updates, measured in members if updates > 1.0]
            left_out["as input"] += 1
        else:
            left_out["without a row of one update a round"] += len(members)
    fitted = [each for each in told if each[0].use == "calibrate"]
    floors = dict(_FLOORS)
    for apart in floors:
        like = [(u, measured / one) for row, u, measured, one in fitted if _apart(row) == apart]
        if like:
            floors[apart] = heterogeneity_floor([u for u, _ in like], [ratio for _, ratio in like])
    constant = float(np.exp(np.mean([np.log(measured / one) for _, _, measured, one in fitted]))) if fitted else 1.0
    cases = [
        Case(
            row.id,
            _source(row),
            measured,
            float(rounds_to_target(one, u, floors[_apart(row)])),
            one * constant,
            (row.text("source"), row.text("setting")),
        )
        for row, u, measured, one in told
        if row.use == "score"
    ]
    if not cases:
        return None
    note = "input: the rounds of FedSGD in the same setting; "
    if fitted:
        note += "floors and the constant saving of the baseline from calibration rows"
    else:
        note += "no calibration rows: like data saves all that local updates can, a lower bound; "
        note += "baseline: nothing saved, no yardstick"
    return score("federated rounds to target", cases, note=_note(note, left_out))


def _updates(row: Row) -> float | None:
    """Updates a client makes in a round; None where the row does not tell."""
    method = row.text("architecture_or_method")
    given = _named(row, "architecture_or_method")
    if "e" not in given and "b" not in given:
        return 1.0 if method.lower().startswith("fedsgd") else None
    epochs, batch = given.get("e", 1.0), given.get("b", math.inf)
    if math.isinf(batch):
        return epochs if 1.0 <= epochs < math.inf else None
    setting = row.text("setting").lower()
    clients = re.search(r"([0-9]+) clients", setting)
    examples = next((count for name, count in _EXAMPLES.items() if name in setting), None)
    if batch <= 0.0 or epochs <= 0.0 or clients is None or int(clients.group(1)) == 0 or examples is None:
        return None
    if not math.isfinite(epochs / batch):
        return None
    updates = float(local_updates(examples / int(clients.group(1)), epochs, batch))
    return updates if 1.0 <= updates < math.inf else None


def _apart(row: Row) -> bool:
    """Whether clients hold unlike data."""
    return "non-iid" in row.text("setting").lower()


def _exchanges(rows: Sequence[Row]) -> Family | None:
    """Utilisation over slow links with an exchange every H steps, from that with one at every step."""
    found: dict[str, list[tuple[Row, float, float]]] = defaultdict(list)
    for row in rows:
        value = _value(row)
        if row.text("topic") == "WAN training" and row.text("metric") == "utilisation" and value and 0 < value <= 1:
            every = row.text("architecture_or_method").lower().startswith("synchronous")
            steps = 1.0 if every else _named(row, "architecture_or_method").get("h", 0.0)
            found[f"{row.text('source')}|{row.text('setting')}"].append((row, steps, value))
    cases = []
    for members in found.values():
        one = [value for _, steps, value in members if steps == 1.0]
        for row, steps, value in members:
            if one and 1.0 < steps < math.inf and row.use == "score":
                predicted = float(utilisation_between_rounds(one[0], steps))
                cases.append(Case(row.id, _source(row), value, predicted, one[0]))
    if not cases:
        return None
    note = "input: utilisation with an exchange at every step, which is the baseline too; published as a lower bound"
    return score("utilisation between exchanges", cases, lower_is_better=False, note=note)


def _agents(rows: Sequence[Row]) -> Family | None:
    """Tokens and efficiency of a team from its turns and success, and from what one agent needs."""
    left_out: Counter[str] = Counter()
    tables: dict[tuple[str, str], dict[tuple[str, str], tuple[Row, float]]] = defaultdict(dict)
    for row in rows:
        if row.text("topic") != "multi-agent coordination":
            continue
        value, metric = _value(row), row.text("metric").split(" (")[0]
        if value is None or not row.text("architecture_or_method"):
            left_out["that are ranges or of no one architecture"] += 1
        else:
            key = (row.text("source"), row.text("setting"))
            tables[key][(row.text("architecture_or_method"), metric)] = (row, value)
    cases = []
    for table in tables.values():
        numbers = {key: value for key, (_, value) in table.items()}
        for (team, metric), (row, measured) in table.items():
            found = _team_case(numbers, team, metric) if team != "single" and row.use == "score" else None
            if found is None or _as_factor(metric, measured) <= 0.0:
                left_out["inputs, or without a law"] += 1
            else:
                cases.append(Case(row.id, _source(row), _as_factor(metric, measured), *found))
    if not cases:
        return None
    note = (
        "inputs: turns and success of the team and of one agent; its authors define overhead and efficiency so, which"
    )
    note += " makes this a check of our reading more than of foresight; baseline: no tax"
    return score("agent coordination from turns", cases, note=_note(note, left_out))


def _as_factor(metric: str, measured: float) -> float:
    return 1.0 + measured / 100.0 if metric.startswith("token overhead") else measured


def _team_case(numbers: dict[tuple[str, str], float], team: str, metric: str) -> tuple[float, float] | None:
    """Prediction and baseline, None where an input is missing or no law speaks of it."""
    turns, of_one = numbers.get((team, "turns"), 0.0), numbers.get(("single", "turns"), 0.0)
    success, success_of_one = numbers.get((team, "success rate")), numbers.get(("single", "success rate"), 0.0)
    if turns <= 0.0 or of_one <= 0.0:
        return None
    if metric.startswith("token overhead"):
        return float(token_overhead(turns, of_one)), 1.0
    if success is None or not 0.0 < success <= 1.0:
        return None
    if metric == "efficiency":
        return float(coordination_efficiency(success, turns, of_one)), success
    per_token = numbers.get(("single", "success per 1K tokens"), 0.0)
    if metric == "success per 1K tokens" and per_token > 0.0 and 0.0 < success_of_one <= 1.0:
        return float(coordinated_success_per_token(per_token, success_of_one, success, turns, of_one)), per_token
    return None
