"""One search over some of the knobs: ask for values, tell what they came to. The search has no clock and no I/O.

The proposals follow from the seed and from what was told, in order: told the same again, it asks the same again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sixfold.design.checklist import Knob
from sixfold.errors import InvariantError
from sixfold.study.balance import Balance, BalanceTrial, Knobs, settled

__all__ = ["KnobSearch"]

_RANDOM_FIRST = 5  # told runs before the sampler models them: seeds and the start count among them


class KnobSearch:
    """A seeded tree-structured Parzen estimator under constraints; knobs that it may not move stay at `start`.

    Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011, section 4; Optuna's sampler.
    """

    def __init__(
        self, moved: Mapping[str, Knob], start: Knobs, balance: Balance, seeds: Sequence[Knobs], seed: int
    ) -> None:
        import optuna
        from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._balance, self._start = balance, dict(start)
        self._distributions: dict[str, BaseDistribution] = {
            name: IntDistribution(int(knob.low), int(knob.high), log=knob.log)
            if knob.whole
            else FloatDistribution(knob.low, knob.high, log=knob.log)
            for name, knob in moved.items()
        }
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_FIRST))
        self._asked: optuna.trial.Trial | None = None
        tried = [self._moved(moved, start)]
        self._study.enqueue_trial(tried[0])  # the start: it is measured once and told to every search
        for one in seeds:
            values = self._moved(moved, {**start, **one})
            if values not in tried:
                tried.append(values)
                self._study.enqueue_trial(values)

    def ask(self) -> dict[str, float]:
        """The values of all knobs to measure next."""
        if self._asked is not None:
            raise InvariantError("asked again before it was told")
        self._asked = self._study.ask(self._distributions)
        return {**self._start, **{name: float(value) for name, value in self._asked.params.items()}}

    def tell(self, trial: BalanceTrial) -> None:
        """What the values that were asked for came to."""
        from optuna.trial import TrialState

        if self._asked is None:
            raise InvariantError("told before it was asked")
        asked, self._asked = self._asked, None
        if trial.error is not None:
            self._study.tell(asked, state=TrialState.FAIL)
            return
        for limit in self._balance.limits:
            asked.set_constraint(str(limit), limit.excess(trial.metrics))
        self._study.tell(asked, trial.metrics[self._balance.objective.metric])

    @staticmethod
    def _moved(moved: Mapping[str, Knob], values: Knobs) -> dict[str, int | float]:
        found = {name: settled(name, knob, values[name]) for name, knob in moved.items()}
        return {name: int(value) if moved[name].whole else value for name, value in found.items()}
