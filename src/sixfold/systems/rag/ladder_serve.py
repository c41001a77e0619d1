"""Stage "serve": gateway, shards, encoder and language model are processes of their own, and questions come at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from sixfold.axes import Axis
from sixfold.design.laws.queueing import response_quantile_s
from sixfold.design.laws.scaling import amdahl_time_s
from sixfold.files import read_json, replace_json
from sixfold.parts.arrivals import poisson_arrivals
from sixfold.parts.http_load import Answer, http_load
from sixfold.parts.load import OK, LoadReport, open_loop
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
    output_folder,
)
from sixfold.systems.rag.evaluate_answers import Answered, is_correct
from sixfold.systems.rag.fleet_trial import (
    ask_all,
    body_of,
    fleet_of,
    index_of,
    processes_s,
    questions,
    readings_of,
    request_of,
)
from sixfold.systems.rag.qa_items import QaItem
from sixfold.systems.rag.serve.chat import Chat, chat
from sixfold.systems.rag.serve.fleet import Fleet
from sixfold.systems.rag.serve.service import Service
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import ready, single_process_service

__all__ = ["answer_in_one_process", "checks", "measured_tail", "predict", "predicted_tail", "run"]

STAGE = "serve"
# A call through Ray Serve asks a router, a queue length and an actor: about three calls of an actor.
_CALLS_OF_A_HOP = 3
_ROUNDS = 3  # to every group of shards, for each question
_DEADLINE_SHARE = 0.9  # of the objective: what a request may take by its own deadline


def run(trial: Trial) -> Measurement:
    """Answer every question by quotation, one after the other in one process, or p at a time over HTTP.

    At the most workers the open loop follows: answers as the service gives them by itself, at the target rate.
    """
    items = questions(trial.context)
    extra: dict[str, float] = {}
    if trial.workers == BASELINE:
        answered, wall_s = answer_in_one_process(index_of(trial), items)
        readings = [Reading(wall_s, {(Axis.INFERENCE, Part.COMPUTE): wall_s})]
    else:
        last = trial.workers == max(trial.context.workers)
        with fleet_of(trial, cached_questions=0, writes=False, generate=last) as fleet:
            began, began_s = processes_s(), time.perf_counter()
            asked = asyncio.run(ask_all(fleet, items, trial.workers, mode="extractive"))
            wall_s = time.perf_counter() - began_s
            readings = readings_of(wall_s, trial.workers, began, processes_s())
            answered = [Answered(one.item, one.answer, one.seconds) for one in asked]
            if last:
                extra = _open_loop(trial, fleet)
    replace_json(trial.folder / "answers.json", [_told(one) for one in answered])
    return Measurement(
        wall_s=wall_s,
        readings=readings,
        work=len(items),
        work_unit="questions",
        quality=sum(is_correct(one.item, one.answer) for one in answered) / len(answered),
        quality_metric="share of questions answered rightly, or rightly not",
        extra=extra,
    )


def answer_in_one_process(index: Path, items: list[QaItem]) -> tuple[list[Answered], float]:
    """Quotations for every question by a service without an engine, and the seconds of all of them."""

    async def answer() -> tuple[list[Answered], float]:
        settings = ServeSettings(index, cached_questions=0, generate=False)
        service = await ready(single_process_service(settings))
        for item in items[:2]:
            await _one(service, item)
        began_s = time.perf_counter()
        answered = [await _one(service, item) for item in items]
        return answered, time.perf_counter() - began_s

    return asyncio.run(answer())


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """The work of one process over p, and for each question one hop to the gateway, one to the encoder, and rounds."""
    compute_s = float(amdahl_time_s(baseline.wall_s, 0.0, workers)) / context.profile.ceiling(workers)
    hops = baseline.work * (2 + _ROUNDS * workers) * _hop_s(context)
    terms = {"compute": compute_s, "communication": hops / workers}
    return Prediction(workers, sum(terms.values()), "T(1) / (p ceiling(p)) + n (2 + 3 p) hop / p", terms)


def predicted_tail(forecast: Forecast) -> float:
    """p99 over the objective: of the line in front of the cores and of that in front of the model, one after the other.

    No request goes on beyond its own deadline: with more questions than the model can write answers to, p99 is there.
    """
    context = forecast.context
    objective_s, rate = _objective_s(context), _rate(context)
    service_s = forecast.last.wall_s * forecast.last.workers / forecast.baseline.work
    retrieval_s = response_quantile_s(0.99, rate, service_s, forecast.last.workers, slow_service_s=2 * service_s)
    known = {name: quantity.value for name, quantity in context.design.workload.items()}
    writing_s = (
        known["prompt_tokens"] / known["prompt_tokens_per_s"] + known["answer_tokens"] / known["decode_tokens_per_s"]
    )
    model_s = response_quantile_s(0.99, rate, writing_s, 1)  # one thread, whatever the slots that share it
    return min(_DEADLINE_SHARE * objective_s, float(retrieval_s + model_s)) / objective_s


def measured_tail(outcome: Outcome) -> float:
    """p99 of all answers of the open loop over the objective; refusals and errors count as beyond it."""
    return outcome.last.extra["p99_s"] / _objective_s(outcome.context)


def checks(outcome: Outcome) -> Iterable[Check]:
    """The fleet answers as one process does, and under load nobody waits for ever or gets a wrong answer."""
    context = outcome.context
    single = read_json(output_folder(context, STAGE, BASELINE) / "answers.json")
    for row in outcome.rows:
        fleet = read_json(output_folder(context, STAGE, row.workers, row.repeat) / "answers.json")
        alike = sum(one == other for one, other in zip(single, fleet, strict=True))
        yield Check(
            f"{row.who}: the fleet's answers are those of one process",
            alike == len(single),
            f"{alike} of {len(single)} answers alike: mode, sentences and the spans that they cite",
        )
    load = outcome.last.extra
    yield Check(
        "every request of the load was answered or refused in time",
        load["unanswered"] == 0,
        f"{load['offered']:.0f} offered at {load['rate_per_s']:g}/s, {load['good']:.0f} good, {load['refused']:.0f} "
        f"refused, {load['unanswered']:.0f} without an answer; {load['generated']:.0f} written by the model",
    )
    yield Check(
        "the load was not limited by its generator",
        load["generator_limited"] == 0,
        f"sends were late by {load['lag_p99_s'] * 1000:.1f} ms at p99",
    )


def _open_loop(trial: Trial, fleet: Fleet) -> dict[str, float]:
    """Questions at the target rate, whatever becomes of the answers."""
    context = trial.context
    objective_s, rate, seconds = _objective_s(context), _rate(context), float(context.settings["load_s"])
    items = questions(context)
    modes: list[str] = []

    def judge(_: int, answer: Answer) -> str:
        modes.append(answer.body["sixfold"]["mode"])
        return OK if answer.body["sixfold"]["coverage"]["percent"] == 100 else "partial"

    async def load() -> LoadReport:
        def request(number: int) -> tuple[str, object]:
            question = items[number % len(items)].question
            return "/v1/chat/completions", body_of(question, "auto", _DEADLINE_SHARE * objective_s)

        async with http_load(fleet.address, request, judge=judge, timeout_s=objective_s + 5) as http:
            arrivals = poisson_arrivals(rate, seconds, context.seed)
            return await open_loop(arrivals.tolist(), http.send, objective_s=objective_s)

    report = asyncio.run(load())
    replace_json(trial.folder / "load.json", report.to_json())
    outcomes = report.outcomes
    answered = report.latency[OK]
    refused = outcomes.get("refused", 0)
    in_time = answered.count + refused
    # The p99 is of everything that was offered: what was refused or failed is as late as can be.
    unlucky = report.offered - answered.count
    within = 0.99 * report.offered / answered.count if answered.count else 2.0
    p99_s = answered.quantile_s(min(1.0, within)) if unlucky <= 0.01 * report.offered else 2 * objective_s
    return {
        "rate_per_s": rate,
        "load_s": seconds,
        "offered": float(report.offered),
        "good": float(report.good),
        "refused": float(refused),
        "unanswered": float(report.offered - report.not_sent - in_time),
        "generated": float(modes.count("generated")),
        "abstained": float(modes.count("abstained")),
        "p50_s": answered.quantile_s(0.5),
        "p99_s": p99_s,
        "lag_p99_s": report.lag.quantile_s(0.99),
        "generator_limited": float(report.generator_limited),
    }


async def _one(service: Service, item: QaItem) -> Answered:
    began_s = time.perf_counter()
    state = None
    async for event in chat(service, request_of(item.question)):
        state = event if isinstance(event, Chat) else state
    assert state is not None
    assert state.answer is not None
    return Answered(item, state.answer, time.perf_counter() - began_s)


def _told(one: Answered) -> dict[str, object]:
    """What is compared between one process and the fleet."""
    by_number = {evidence.number: evidence.chunk_id for evidence in one.answer.evidence}
    return {
        "question": one.item.question,
        "mode": str(one.answer.mode),
        "sentences": [
            [sentence.text, [[by_number[span.number], span.start, span.end] for span in sentence.citations]]
            for sentence in one.answer.sentences
        ],
    }


def _hop_s(context: Context) -> float:
    ray = context.profile.ray
    return _CALLS_OF_A_HOP * ray.actor_alpha_s.median if ray is not None else 0.0


def _objective_s(context: Context) -> float:
    return context.design.workload["objective_p99_s"].value


def _rate(context: Context) -> float:
    return context.design.workload["lab_rate_hz"].value
