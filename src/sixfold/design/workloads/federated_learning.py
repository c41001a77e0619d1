"""Learning from records that may not leave where they are: hospitals, banks, telephones of a company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.catalog.prices import rate
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.federated import (
    federated_bytes,
    local_updates,
    round_time_s,
    rounds_to_target,
    secure_aggregation,
)
from sixfold.design.laws.privacy import average_noise, dp_epsilon
from sixfold.design.machines import machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import available, counts, decision
from sixfold.units import byte_count, number

__all__ = ["FederatedLearning"]

_TRAINED = 3.0  # e-folds towards the best quality within the rounds that the law asks for
_UNREACHABLE_PER_HOUR = 0.02  # assumed: how often a site's network or gateway is down for an hour


class FederatedLearning(Workload):
    """One model from the records of many sites, of which only sums of updates leave.

    sites, records: how many there are, and of each. model_parameters: numbers in an update. rounds_of_one_update:
    rounds to the target if each site made one step a round, from a pilot; heterogeneity: the share of it that local
    steps do not replace (0 like sites, about 1 where they share nothing). epoch_s: a pass over a site's records on
    its machine; site_spread: standard deviation of the logarithm of the sites' speeds. epsilon, delta: of a record,
    over the whole training; 0: no differential privacy. noise_slope: quality lost for each unit of noise over signal
    in the average, from a pilot. pooled_quality: of training on all records in one place; worst_quality: of knowing
    nothing.
    """

    unit: ClassVar[str] = "record"
    node: ClassVar[str] = "site"
    quality: ClassVar[str] = "quality of the model"
    families: ClassVar[tuple[str, ...]] = ("privacy epsilon", "federated rounds to target")

    sites: Annotated[int, Field(ge=2, le=100_000)]
    records: Annotated[float, Field(ge=1, le=1e12)]
    model_parameters: Annotated[float, Field(ge=1, le=1e12)]
    rounds_of_one_update: Annotated[float, Field(ge=1, le=1e8)]
    heterogeneity: Annotated[float, Field(ge=0, le=2)] = 0.1
    epoch_s: Annotated[float, Field(gt=0, le=1e6)]
    site_spread: Annotated[float, Field(ge=0, le=3)] = 0.5
    epsilon: Annotated[float, Field(ge=0, le=1e3)] = 0.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    noise_slope: Annotated[float, Field(ge=0, le=10)] = 0.5
    pooled_quality: Annotated[float, Field(gt=0, le=1)]
    worst_quality: Annotated[float, Field(ge=0, lt=1)] = 0.5
    coordinator_trusted: bool = False
    site_usd_per_hour: Annotated[float, Field(gt=0, le=1e5)] = 1.0

    @property
    def mode(self) -> Mode:
        return Mode.BATCH

    @property
    def total_units(self) -> float:
        return self.sites * self.records

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        abroad = (self.sites - 1) * self.records
        port = machines_of(spec.platform).link_bytes_per_s
        limit_s = (spec.budget.days or 30.0) * 86_400.0
        once_s = 2.0 * 4.0 * self.model_parameters * self.rounds_of_one_update / port
        return [
            Resource(
                "records that would have to move",
                Ceiling.TRUST,
                Axis.TRAINING,
                abroad,
                0.0,
                "records",
                f"{abroad:,.0f} records of other sites would have to come to one; none may leave.",
            ),
            Resource(
                "records of one site",
                Ceiling.DATA,
                Axis.DATA,
                self.sites * self.records,
                self.records,
                "records",
                f"one site has {self.records:,.0f} of the {self.sites * self.records:,.0f} records that make the "
                "pooled quality.",
            ),
            Resource(
                "compute",
                Ceiling.THROUGHPUT,
                Axis.TRAINING,
                self.rounds_of_one_update * self.epoch_s,
                limit_s,
                "s",
                f"{self.rounds_of_one_update:,.0f} rounds of one pass of {self.epoch_s:g} s each.",
            ),
            Resource(
                "bandwidth",
                Ceiling.COORDINATION,
                Axis.CLUSTER,
                once_s,
                limit_s,
                "s",
                f"updates of {byte_count(4.0 * self.model_parameters)} there and back in every round over "
                f"{number(port * 8e-6)} Mbit/s.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        most = min(self.sites, spec.budget.nodes or self.sites)
        sites = counts(most, least=2, dense=32)
        noise = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 6.0, 8.0) if self.epsilon > 0 else (0.0,)
        return [
            Choice("sites", Axis.DATA, sites, sites[-1], "that take part"),
            Choice("local epochs", Axis.TRAINING, (1.0, 2.0, 4.0, 8.0, 16.0), 1.0, "between two exchanges"),
            Choice("batch", Axis.TRAINING, (64.0, 256.0, 1024.0), 256.0, "records of a step at a site"),
            Choice(
                "rounds", Axis.TRAINING, (1.0, 0.5, 0.75, 1.5, 2.0), 1.0, "times what the target is expected to take"
            ),
            Choice(
                "noise", Axis.INTELLIGENCE, noise, noise[len(noise) // 2], "multiplier of the clipping norm, in the sum"
            ),
            Choice("quorum", Axis.CLUSTER, (1.0, 0.8, 0.6), 1.0, "share of the sites that a round waits for"),
            Choice(
                "aggregation",
                Axis.INTELLIGENCE,
                (0.0, 1.0),
                1.0,
                "what the coordinator sees",
                labels=("each update", "only the sum"),
            ),
            Choice("compression", Axis.CLUSTER, (1.0, 4.0), 1.0, "times smaller updates, 8 bit for 32"),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        sites, epochs, secure = chosen["sites"], chosen["local epochs"], chosen["aggregation"]
        waited = np.maximum(2.0, np.ceil(chosen["quorum"] * sites))
        updates = local_updates(self.records, epochs, np.minimum(chosen["batch"], self.records))
        rounds = np.ceil(rounds_to_target(self.rounds_of_one_update, updates, self.heterogeneity) * chosen["rounds"])
        # The order statistics of site times depend on two choices only: each pair once.
        pairs, back = np.unique(np.stack([sites, waited], axis=1), axis=0, return_inverse=True)
        slowest = round_time_s(pairs[:, 0], 1.0, self.site_spread, quorum=pairs[:, 1])[np.ravel(back)]
        work_s = epochs * self.epoch_s
        wait_s = work_s * np.maximum(slowest - 1.0, 0.0)
        model_bytes = 4.0 * self.model_parameters
        masked = secure_aggregation(
            sites, self.model_parameters, value_bits=32.0 / chosen["compression"], dropped_share=1.0 - waited / sites
        )
        moved = federated_bytes(1.0, sites, model_bytes, up_share=1.0 / chosen["compression"])
        moved = moved + np.where(secure > 0, masked.server_bytes - sites * model_bytes / chosen["compression"], 0.0)
        moved = np.maximum(moved, 0.0)
        port = table.link_bytes_per_s
        exchange_s = 4.0 * table.alpha_s + moved / sites / port
        exchange_s = exchange_s + np.where(
            secure > 0, 3.0 * 2.0 * table.alpha_s + masked.client_s + masked.server_s, 0.0
        )
        one_round_s = work_s + wait_s + exchange_s
        down = _UNREACHABLE_PER_HOUR * spec.platform.failure_factor
        redone = 1.0 / np.maximum(available(sites, waited, down), 1e-9) - 1.0
        rework_s = np.minimum(redone, 1e6) * one_round_s
        total_s = rounds * (one_round_s + rework_s)
        records = sites * self.records
        epsilon, noise = self._privacy(chosen, rounds, updates, sites, secure)
        learned = 1.0 - np.exp(-_TRAINED * chosen["rounds"])
        data = np.sqrt(
            waited * self.records / self.total_units
        )  # assumed: the gap to pooled quality falls with the root of the records
        gain = (self.pooled_quality - self.worst_quality) * learned * (1.0 - 0.5 * (1.0 - data))
        quality = np.maximum(self.worst_quality + gain - self.noise_slope * noise, self.worst_quality)
        usd = self.site_usd_per_hour * spec.platform.price_factor
        egress = rate("egress-internet").base * spec.platform.price_factor
        uses = {
            "updates that others see": Use(
                np.where((secure > 0) | self.coordinator_trusted, 0.0, np.inf), np.ones_like(sites), "updates"
            ),
        }
        if self.epsilon > 0:
            uses["epsilon"] = Use(epsilon, np.full_like(sites, self.epsilon), "epsilon")
        return Estimates(
            nodes=sites,
            capacity_per_s=records / total_s,
            compute_s=rounds * work_s,
            communication_s=rounds * exchange_s,
            idle_s=rounds * wait_s,
            rework_s=rounds * rework_s,
            latency_s=np.zeros_like(sites),
            usd_per_hour=sites * usd,
            usd_per_unit=rounds * moved * egress / records,
            quality=np.minimum(quality, 1.0),
            availability=available(sites, waited, down),
            uses=uses,
        )

    def _privacy(
        self, chosen: Mapping[str, Floats], rounds: Floats, updates: Floats, sites: Floats, secure: Floats
    ) -> tuple[Floats, Floats]:
        """Epsilon of a record, and noise over signal in the average of a round.

        Every step is a sampled Gaussian mechanism over a site's records. With secure sums the sites share the noise,
        so that only the sum carries all of it; else each has to add it whole, and the average keeps the root of their
        number.
        """
        if self.epsilon <= 0:
            return np.zeros_like(sites), np.zeros_like(sites)
        batch = np.minimum(chosen["batch"], self.records)
        epsilon = dp_epsilon(chosen["noise"], rounds * updates, self.delta, sampling=batch / self.records)
        shared = np.where(secure > 0, sites, np.sqrt(sites))
        error = average_noise(chosen["noise"], 1.0, batch * shared) * np.sqrt(self.model_parameters)
        return epsilon, np.asarray(error)

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        secure = chosen["aggregation"] > 0
        return {
            Slot.PARTITION: decision("records stay at their sites, whole", "pooled records", "they may not leave"),
            Slot.COMMUNICATION: decision(
                f"one update a site and round, after {chosen['local epochs']:.0f} local "
                f"epoch{'s' if chosen['local epochs'] > 1 else ''}",
                "gradients of every step",
                "a wide-area round trip for each step",
            ),
            Slot.CONSISTENCY: decision(
                "synchronous rounds with a quorum",
                "asynchronous updates",
                "a sum that only a known set of sites can open",
            ),
            Slot.COORDINATION: decision(
                "a coordinator that sees only sums" if secure else "a coordinator that sees every update",
                "each update in clear" if secure else "secure sums",
                "an update can be inverted into records" if secure else "the coordinator is trusted, masks cost time",
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"a round ends with {chosen['quorum']:.0%} of the sites; secrets are shared so that others can open "
                "the sum",
                "wait for every site",
                "one gateway that is down would stop all",
            ),
            Slot.LOAD_BALANCING: decision(
                "equal epochs, weighted by records", "equal steps", "small sites would count as much as large ones"
            ),
        }
