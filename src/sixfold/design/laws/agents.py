"""Laws of agentic work: calls and tokens of a task, how chains succeed, what coordination costs, how many run at once.

A task takes `steps` one after another; at each, `fan_out` calls work side by side. Every call reads the context so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "TaskTokens",
    "cascade_cost_usd",
    "cascade_success",
    "chain_success",
    "concurrent_tasks",
    "coordinated_success_per_token",
    "coordination_efficiency",
    "cost_per_success_usd",
    "error_amplification",
    "reasoning_turns",
    "retried_success",
    "retry_attempts",
    "task_cost_usd",
    "task_latency_s",
    "task_tokens",
    "token_overhead",
    "vote_success",
]


@dataclass(frozen=True, slots=True)
class TaskTokens:
    """Calls and tokens of one task, each an array: read fresh, read from the prefix cache, written."""

    calls: Floats
    fresh: Floats
    cached: Floats
    written: Floats


def task_tokens(
    steps: ArrayLike,
    prompt_tokens: ArrayLike,
    step_tokens: ArrayLike,
    written_tokens: ArrayLike,
    *,
    fan_out: ArrayLike = 1.0,
    cached_share: ArrayLike = 0.0,
) -> TaskTokens:
    """Return the calls and tokens of a task of s steps with f calls each.

    prompt_tokens: instructions and tools, read by every call. step_tokens: what a call's results add to the context,
    on top of `written_tokens`, its own. The context of step i is P + f (i - 1) (W + S), so tokens read are f (s P + f
    (W + S) s (s - 1) / 2): quadratic in the steps. cached_share: of what an earlier call of the task has read, how
    much the serving side still holds; at most all but the first prompt. Source: arithmetic of ReAct loops, Yao et
    al., ICLR 2023; prefix reuse in Zheng et al., "SGLang", NeurIPS 2024, section 3.
    """
    s, f = at_least("steps", steps, 1.0), at_least("fan_out", fan_out, 1.0)
    prompt, out = at_least("prompt_tokens", prompt_tokens, 0.0), at_least("written_tokens", written_tokens, 0.0)
    grown = f * (at_least("step_tokens", step_tokens, 0.0) + out)
    read = f * (s * prompt + grown * s * (s - 1.0) / 2.0)
    new = prompt + grown * (s - 1.0)  # what no call has read before: the prompt once, then each step's results
    cached = within("cached_share", cached_share, 0.0, 1.0) * np.maximum(0.0, read - new)
    return TaskTokens(*(np.asarray(each) for each in np.broadcast_arrays(s * f, read - cached, cached, s * f * out)))


def chain_success(step_success: ArrayLike, steps: ArrayLike) -> Floats:
    """Return the chance that all steps are right when each must be: r^s.

    Source: independence; Lusser's product law of reliability, in Barlow and Proschan, Mathematical Theory of
    Reliability, 1965, chapter 1.
    """
    return np.asarray(within("step_success", step_success, 0.0, 1.0) ** at_least("steps", steps, 0.0))


def retried_success(
    step_success: ArrayLike, retries: ArrayLike, *, caught: ArrayLike = 1.0, false_alarm: ArrayLike = 0.0
) -> Floats:
    """Return the chance that a verified step ends right after up to `retries` more attempts.

    caught: wrong results that the verifier rejects; false_alarm: right ones that it rejects. An accepted result ends
    the step, the last one rejected fails it. r a (1 - R^(k + 1)) / (1 - R) with a = 1 - false_alarm and R the chance
    of a rejection. Source: the geometric law of repeated trials (Feller I, section VI.8).
    """
    right = within("step_success", step_success, 0.0, 1.0) * (1.0 - within("false_alarm", false_alarm, 0.0, 1.0))
    return np.asarray(right * retry_attempts(step_success, retries, caught=caught, false_alarm=false_alarm))


def retry_attempts(
    step_success: ArrayLike, retries: ArrayLike, *, caught: ArrayLike = 1.0, false_alarm: ArrayLike = 0.0
) -> Floats:
    """Return the mean attempts of a verified step: (1 - R^(k + 1)) / (1 - R), R the chance that one is rejected.

    Source: the same as `retried_success`.
    """
    r, wrong_caught = within("step_success", step_success, 0.0, 1.0), within("caught", caught, 0.0, 1.0)
    rejected = (1.0 - r) * wrong_caught + r * within("false_alarm", false_alarm, 0.0, 1.0)
    attempts = at_least("retries", retries, 0.0) + 1.0
    sure = rejected >= 1.0 - 1e-12
    return np.asarray(np.where(sure, attempts, (1.0 - rejected**attempts) / np.where(sure, 1.0, 1.0 - rejected)))


def vote_success(success: ArrayLike, voters: ArrayLike) -> Floats:
    """Return the chance that a majority of an odd number of independent voters is right, answers being right or wrong.

    The binomial tail I_r((n + 1) / 2, (n + 1) / 2); voters who err alike gain less. Source: Condorcet 1785; with
    language models Wang et al., "Self-consistency", ICLR 2023.
    """
    from scipy.special import betainc

    half = (at_least("voters", voters, 1.0) + 1.0) / 2.0
    return np.asarray(betainc(half, half, within("success", success, 0.0, 1.0)))


def error_amplification(success: ArrayLike, agents: ArrayLike, *, caught: ArrayLike = 0.0) -> Floats:
    """Return the errors of a result that any of n agents can spoil over those of one agent.

    (1 - (1 - e (1 - c))^n) / e, e = 1 - success and c the share of errors that a check of all results catches; n for
    rare errors and no check. Errors that breed errors do worse: measured were 17.2 for agents that do not talk and
    4.4 under an orchestrator that checks. Source: the product law, as in `chain_success`; the measurements are of Kim
    et al., "Towards a science of scaling agent systems", arXiv 2512.08296, 2025, table 5.
    """
    error = 1.0 - within("success", success, 0.0, 1.0)
    reaching = error * (1.0 - within("caught", caught, 0.0, 1.0))
    n = at_least("agents", agents, 1.0)
    spoiled = -np.expm1(n * np.log1p(-np.minimum(reaching, 1.0 - 1e-15)))
    return np.asarray(
        np.where(
            error > 0.0, spoiled / np.where(error > 0.0, error, 1.0), n * (1.0 - np.asarray(caught, dtype=np.float64))
        )
    )


def reasoning_turns(agents: ArrayLike) -> Floats:
    """Return the mean turns of a task worked on by n agents: 2.72 (n + 0.5)^1.724.

    Its authors' fit over architectures and four benchmarks; a quarter below what they measured for one agent. Source:
    Kim et al. 2025, section 4.
    """
    return np.asarray(2.72 * (at_least("agents", agents, 1.0) + 0.5) ** 1.724)


def token_overhead(turns: ArrayLike, turns_of_one: ArrayLike) -> Floats:
    """Return the tokens of several agents over those of one, as a turn costs the same in both: turns / turns of one.

    Source: Kim et al. 2025, section 4, where overhead is that ratio less 1.
    """
    return np.asarray(positive("turns", turns) / positive("turns_of_one", turns_of_one))


def coordination_efficiency(success: ArrayLike, turns: ArrayLike, turns_of_one: ArrayLike) -> Floats:
    """Return the success of several agents over their token overhead, to be held against the success of one.

    Source: Kim et al. 2025, section 4.
    """
    return np.asarray(within("success", success, 0.0, 1.0) / token_overhead(turns, turns_of_one))


def coordinated_success_per_token(
    per_token_of_one: ArrayLike,
    success_of_one: ArrayLike,
    success: ArrayLike,
    turns: ArrayLike,
    turns_of_one: ArrayLike,
) -> Floats:
    """Return the tasks solved a token by several agents, from those of one: by the ratio of their efficiencies.

    Source: Kim et al. 2025, section 4.
    """
    ratio = coordination_efficiency(success, turns, turns_of_one) / within("success_of_one", success_of_one, 1e-12, 1.0)
    return np.asarray(at_least("per_token_of_one", per_token_of_one, 0.0) * ratio)


def task_cost_usd(
    tokens: TaskTokens, fresh_usd: ArrayLike, written_usd: ArrayLike, *, cached_usd: ArrayLike | None = None
) -> Floats:
    """Return the price of a task at prices a token; cached ones at the price of fresh ones if None.

    Source: the price lists of the catalogue.
    """
    fresh = at_least("fresh_usd", fresh_usd, 0.0)
    cached = fresh if cached_usd is None else at_least("cached_usd", cached_usd, 0.0)
    written = at_least("written_usd", written_usd, 0.0)
    return np.asarray(tokens.fresh * fresh + tokens.cached * cached + tokens.written * written)


def task_latency_s(
    steps: ArrayLike,
    first_token_s: ArrayLike,
    token_s: ArrayLike,
    written_tokens: ArrayLike,
    *,
    tool_s: ArrayLike = 0.0,
    fan_out: ArrayLike = 1.0,
    spread: ArrayLike = 0.0,
) -> Floats:
    """Return the mean time of a task: steps x (first token + tokens x time a token + tool), its calls side by side.

    A step waits for the slowest of `fan_out` calls, log-normal with the coefficient of variation `spread`: about the
    quantile n / (n + 1) of one. Source: Dean and Barroso, "The tail at scale", CACM 56(2), 2013; Blom, Statistical
    Estimates and Transformed Beta-Variables, 1958.
    """
    from scipy.special import ndtri

    call_s = at_least("first_token_s", first_token_s, 0.0) + at_least("tool_s", tool_s, 0.0)
    call_s = call_s + at_least("token_s", token_s, 0.0) * at_least("written_tokens", written_tokens, 0.0)
    f, sigma = at_least("fan_out", fan_out, 1.0), np.sqrt(np.log1p(at_least("spread", spread, 0.0) ** 2))
    slowest = np.exp(sigma * ndtri((f - 0.375) / (f + 0.25)) - sigma**2 / 2.0)
    return np.asarray(at_least("steps", steps, 1.0) * call_s * np.where(f > 1.0, slowest, 1.0))


def cascade_cost_usd(
    small_usd: ArrayLike, large_usd: ArrayLike, escalated: ArrayLike, check_usd: ArrayLike = 0.0
) -> Floats:
    """Return the cost of a task tried by a small model first: small + check + escalated share x large.

    Source: Chen, Zaharia and Zou, "FrugalGPT", TMLR 2024, section 3.
    """
    first = at_least("small_usd", small_usd, 0.0) + at_least("check_usd", check_usd, 0.0)
    return np.asarray(first + within("escalated", escalated, 0.0, 1.0) * at_least("large_usd", large_usd, 0.0))


def cascade_success(
    small: ArrayLike, large: ArrayLike, *, caught: ArrayLike = 1.0, false_alarm: ArrayLike = 0.0
) -> tuple[Floats, Floats]:
    """Return the success of a cascade, and the share of its tasks that are escalated.

    caught: of the small model's errors that its check escalates; false_alarm: of its successes. The large model is
    taken to be as good on those as on all, which hard tasks belie. Source: Chen et al. 2024, section 3.
    """
    s, alarm = within("small", small, 0.0, 1.0), within("false_alarm", false_alarm, 0.0, 1.0)
    escalated = (1.0 - s) * within("caught", caught, 0.0, 1.0) + s * alarm
    return np.asarray(s * (1.0 - alarm) + escalated * within("large", large, 0.0, 1.0)), np.asarray(escalated)


def cost_per_success_usd(cost_usd: ArrayLike, success: ArrayLike) -> Floats:
    """Return the money spent for each task that succeeds; infinite where none does.

    Source: the mean of the geometric law (Feller I, section VI.8).
    """
    share = within("success", success, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(share > 0.0, at_least("cost_usd", cost_usd, 0.0) / share, np.inf))


def concurrent_tasks(
    daily_users: ArrayLike, tasks_a_day: ArrayLike, task_s: ArrayLike, *, peak_factor: ArrayLike = 3.0
) -> Floats:
    """Return the tasks under way at the peak of the day: users x tasks / 86400 x peak factor x time of a task.

    peak_factor: the busiest hour's rate over the day's mean, 2 to 4 where most users share a time zone. Source: Little,
    "A proof for the queuing formula L = lambda W", Operations Research 9(3), 1961.
    """
    rate_per_s = at_least("daily_users", daily_users, 0.0) * at_least("tasks_a_day", tasks_a_day, 0.0) / 86_400.0
    return np.asarray(rate_per_s * at_least("peak_factor", peak_factor, 1.0) * at_least("task_s", task_s, 0.0))
