"""Stage "evaluate": quality is measured and not assumed, in the same run as latency, cost and freshness."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from statistics import median

from sixfold.axes import Axis
from sixfold.design.catalog import price
from sixfold.files import replace_json
from sixfold.parts.http_load import HttpLoad, http_load
from sixfold.parts.ranking import evaluate
from sixfold.study import (
    BASELINE,
    Check,
    Context,
    Forecast,
    Measurement,
    Outcome,
    Part,
    Prediction,
    Reading,
    Row,
    Trial,
)
from sixfold.systems.rag.evaluate_answers import Answered, AnswerRow, evaluate_answers, is_correct
from sixfold.systems.rag.fleet_trial import ask_all, fleet_of, index_of, processes_s, questions, readings_of
from sixfold.systems.rag.known_items import known_item_qrels
from sixfold.systems.rag.ladder_index import queries
from sixfold.systems.rag.ladder_serve import answer_in_one_process
from sixfold.systems.rag.ladder_serve import predict as predict_serving
from sixfold.systems.rag.serve.fleet import Fleet

__all__ = ["checks", "measured_quality", "predict", "predicted_quality", "run"]

_FRESH = 5  # documents that are added one after the other
_VISIBLE_S = 1.0
_SENTENCES = (  # ordinary prose: what is added has to pass the rules of quality that everything else passed
    "Nothing has to be configured before it is imported, and no thread is started.",
    "Values are returned in the order in which the caller handed them over.",
    "When the clock of the machine is set back, the longest of two readings counts.",
    "An empty list is allowed here and means that there is no limit at all.",
    "Older versions wrote the same numbers with fewer digits after the point.",
    "Whoever wants the raw samples can ask for them by name.",
    "Errors of the network are not hidden but handed on with the address removed.",
    "The summary shows a median because a mean would be drawn away by a single slow answer.",
    "It was written for people who would rather see a picture than a table.",
    "Both ends of an interval belong to it, unless the documentation of a function says otherwise.",
)
_MEASURES = ("correctness", "faithfulness", "abstention precision", "abstention recall")


def run(trial: Trial) -> Measurement:
    """Answer every question by quotation; at the most workers also in the model's words, rank, and add documents.

    Quality is the share of questions answered rightly. Everything else that answers are judged by is beside it.
    """
    items = questions(trial.context)
    extra: dict[str, float] = {}
    rows: list[AnswerRow] = []
    if trial.workers == BASELINE:
        answered, wall_s = answer_in_one_process(index_of(trial), items)
        readings = [Reading(wall_s, {(Axis.INFERENCE, Part.COMPUTE): wall_s})]
    else:
        last = trial.workers == max(trial.context.workers)
        with fleet_of(trial, cached_questions=0, generate=last, writes=last, ingest_share=1.0) as fleet:
            began, began_s = processes_s(), time.perf_counter()
            asked = asyncio.run(ask_all(fleet, items, trial.workers, mode="extractive"))
            wall_s = time.perf_counter() - began_s
            readings = readings_of(wall_s, trial.workers, began, processes_s())
            answered = [Answered(one.item, one.answer, one.seconds) for one in asked]
            if last:
                rows, extra = _more(trial, fleet)
    rows = evaluate_answers(answered, "extractive", trial.context.seed) + rows
    replace_json(trial.folder / "rows.json", [_told(row) for row in rows])
    latencies = sorted(one.seconds for one in answered)
    return Measurement(
        wall_s=wall_s,
        readings=readings,
        work=len(items),
        work_unit="questions",
        quality=sum(is_correct(one.item, one.answer) for one in answered) / len(answered),
        quality_metric="share of questions answered rightly, or rightly not",
        extra={
            "p50_s": median(latencies),
            "p99_s": latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
            "questions_per_s": len(items) / wall_s,
            "usd_per_1000_questions": _usd_per_thousand(trial, wall_s, len(items)),
            **{f"{row.mode}: {row.metric}{bound}": value for row in rows for bound, value in _bounds(row)},
            **extra,
        },
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """As of stage "serve": the work is the same."""
    return predict_serving(context, baseline, workers)


def predicted_quality(forecast: Forecast) -> float:
    """Sharded statistics and rankings are those of one index, so its answers are, too: the ratio is 1."""
    return 1.0


def measured_quality(outcome: Outcome) -> float:
    """Questions that the fleet answers rightly over those that one process does."""
    return outcome.last.quality / outcome.baseline.quality


def checks(outcome: Outcome) -> Iterable[Check]:
    """Quotations are what they cite; quality and cost are of the same run; new documents are seen in time."""
    row = outcome.last
    told = row.extra
    written = told.get("generated: correctness", 0.0)
    yield Check(
        f"{row.who}: every quotation is its span",
        told["extractive: faithfulness"] == 1.0,
        f"faithfulness {told['extractive: faithfulness']:.3f}, decided anew from the spans",
    )
    yield Check(
        f"{row.who}: quality and cost of the same answers",
        row.quality >= outcome.baseline.quality - 0.01,
        f"by quotation {row.quality:.3f} right at {told['usd_per_1000_questions']:.5f} USD for 1,000 questions; in the "
        f"model's words {written:.3f} of those with an answer at {told['generated: usd_per_1000']:.5f} USD",
    )
    yield Check(
        f"{row.who}: a new document is found within {_VISIBLE_S:g} s",
        told["freshness_median_s"] <= _VISIBLE_S,
        f"median {told['freshness_median_s']:.3f} s, longest {told['freshness_longest_s']:.3f} s of {_FRESH}: from the "
        "request that adds it to the answer that has it",
    )


def _more(trial: Trial, fleet: Fleet) -> tuple[list[AnswerRow], dict[str, float]]:
    """What is measured once, at the most workers: the model's answers, rankings, freshness."""
    context = trial.context
    some = questions(context)[: context.settings["generated"]]
    began_s = time.perf_counter()
    written = asyncio.run(ask_all(fleet, some, 1, mode="generated"))
    wall_s = time.perf_counter() - began_s
    rows = evaluate_answers([Answered(o.item, o.answer, o.seconds) for o in written], "generated", context.seed)
    extra = asyncio.run(_rankings_and_freshness(context, fleet))
    return rows, extra | {"generated: usd_per_1000": _usd_per_thousand(trial, wall_s, len(some))}


async def _rankings_and_freshness(context: Context, fleet: Fleet) -> dict[str, float]:
    async with http_load(fleet.address, lambda n: ("", None)) as http:
        runs: dict[str, list[tuple[str, float]]] = {}
        items = queries(context)
        for item in items:
            hits = (await http.ask("/v1/search", {"query": item.query, "k": 50})).body["data"]
            pages: dict[str, float] = {}
            for hit in hits:  # a page is as good as its best passage
                pages.setdefault(hit["url"], hit["score"])
            runs[item.query] = list(pages.items())
        ranked = evaluate(known_item_qrels(items), runs, ["nDCG@10"], context.seed)["nDCG@10"]
        lags = [await _fresh(http, number) for number in range(_FRESH + 1)][1:]  # the first loads what it needs
    return {
        "nDCG@10": ranked.value,
        "nDCG@10 low": ranked.low,
        "nDCG@10 high": ranked.high,
        "freshness_median_s": median(lags),
        "freshness_longest_s": max(lags),
    }


async def _fresh(http: HttpLoad, number: int) -> float:
    """Add a document and ask for it until it is found: seconds from the one request to the other's answer."""
    name = f"freshness{number}probe"
    told = random.Random(number).sample(_SENTENCES, 6)
    text = f"The module {name} measures how soon a document that was added is found. " + " ".join(told)
    url = f"http://fresh.example/{name}"
    began_s = time.perf_counter()
    receipt = await http.ask("/v1/documents", {"documents": [{"url": url, "text": text, "title": name}]})
    while time.perf_counter() - began_s < 30:
        found = (await http.ask("/v1/search", {"query": f"what does the module {name} measure", "k": 1})).body["data"]
        if found and found[0]["url"] == url:
            return time.perf_counter() - began_s
    raise TimeoutError(f"a document that was added was not found within 30 s: {receipt.body}")


def _usd_per_thousand(trial: Trial, wall_s: float, work: int) -> float:
    workers = max(1, trial.workers)
    worker_usd_per_hour = price(trial.context.design.worker_price).usd
    return 1_000 * workers * wall_s / 3_600 * worker_usd_per_hour / work


def _bounds(row: AnswerRow) -> list[tuple[str, float]]:
    return [("", row.value), (" low", row.low), (" high", row.high)] if row.metric in _MEASURES else []


def _told(row: AnswerRow) -> dict[str, object]:
    return {
        "mode": row.mode, "metric": row.metric, "value": row.value, "low": row.low, "high": row.high, "n": row.n,
    }  # fmt: skip
