"""What `balance` turns of rag, what a run of it has to hold, and where the design would begin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sixfold.design.checklist import Design
from sixfold.study.balance import Balance, Goal, Knobs, Limit, Measure, settled

__all__ = ["BALANCE", "LOAD", "SPEC_PATH", "opened", "seeds"]

SPEC_PATH = Path(__file__).with_name("balance_spec.yaml")
# Of every run: pages of the embedded site, different questions (asked again by Zipf's law), known items to
# measure quality with, and how many a second of questions, of answers by the language model, and of new documents.
LOAD: Mapping[str, float] = {
    "pages": 1_600, "questions": 200, "items": 60, "rate_per_s": 15.0, "answers_per_s": 0.2,
    "documents_per_s": 1.5, "load_s": 15.0,
}  # fmt: skip
_DESIGN_LIST = 1000.0  # passages of a list in a design; here there are as many lists as a list has passages
_MOST_SEEDS = 3


@contextmanager
def opened(work: Path, seed: int, load: Mapping[str, float] = LOAD) -> Iterator[Measure]:
    """Build the index once and start a Ray; what comes back starts a fleet for every run."""
    from sixfold.lab.lab import Lab
    from sixfold.systems.rag.balance_source import build_site, open_source
    from sixfold.systems.rag.balance_trial import Trials

    site = build_site(work, int(load["pages"]), seed)
    source = open_source(site, int(load["questions"]), int(load["items"]), seed)
    with Lab.local(workers=2):
        yield Trials(work, source, seed, load)


def seeds(design: Design) -> Sequence[Knobs]:
    """The Pareto front that the design predicts for this load, as values of the knobs, the cheapest designs first.

    Where new documents are taken in on the nodes that answer, they may have twice the share of a core that they take.
    What the design leaves open, such as a share of questions that are cached, stays as it is.
    """
    from sixfold.design.answer import answer
    from sixfold.design.spec import load_spec

    spec = load_spec(SPEC_PATH)
    share = min(1.0, 2.0 * spec.workload.updates_per_s * spec.workload.update_cpu_s)
    found: list[Knobs] = []
    for one in sorted(answer(spec).front, key=lambda each: each["cost of a unit"]):
        shards, replicas, probes = (float(one.choices[name]) for name in ("shards", "replicas", "probes"))
        probes *= _DESIGN_LIST / math.sqrt(spec.workload.passages / shards)
        chosen = {"index_shards": shards, "shard_replicas": replicas, "probes": probes}
        knobs = {name: settled(name, design.knobs[name], value) for name, value in chosen.items()}
        if one.holds and knobs not in found:
            found.append(knobs)
    return [{**knobs, "ingest_share": share} for knobs in found[:_MOST_SEEDS]]


BALANCE = Balance(
    objective=Goal("p99_s", "s"),
    second=Goal("lag_s", "s"),
    limits=(Limit("lag_s", 2.0, "s"), Limit("quality", 0.98, "", at_least=True)),
    open=opened,
    seeds=seeds,
    about=LOAD,
    words={
        "p99_s": "99th percentile of questions",
        "lag_s": "median time until a document is found",
        "quality": "nDCG@10 over that of an exact search",
    },
)
