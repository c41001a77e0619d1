"""Robots over an area that decide for themselves, with a radio that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.catalog.links import link
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.swarm import (
    airtime_share,
    clearance_m,
    connected_probability,
    csma_efficiency,
    endurance_s,
    gossip_rounds,
    message_airtime_s,
    second_eigenvalue_of,
)
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import available, counts, decision
from sixfold.units import number, seconds

__all__ = ["Swarm"]

_OVERLAP = 0.1  # of neighbouring lanes
_AGREED = 0.05  # what may be left of a disagreement before robots act on it
_SWAP_S = 180.0  # assumed: to land, get a fresh battery and come back
_LOST_PER_HOUR = 0.01  # assumed: robots that drop out


class Swarm(Workload):
    """Robots that sweep an area, keep clear of each other and share what they have seen.

    robots: at most. speed_m_per_s, braking_m_per_s2, sensing_width_m: of one. control_hz: how often each decides.
    state_bytes: what a robot tells its neighbours. battery_wh, hover_w: of one. plan_s: to plan on board; for one robot
    at a station, which can plan for all in turn. robot_usd_per_hour: bought, worn and watched.
    """

    unit: ClassVar[str] = "square metre"
    node: ClassVar[str] = "robot"
    latency: ClassVar[str] = "age of what a robot knows of its neighbours"
    quality: ClassVar[str] = "chance that all are one network"
    families: ClassVar[tuple[str, ...]] = ()

    area_m2: Annotated[float, Field(gt=0, le=1e12)]
    robots: Annotated[int, Field(ge=1, le=1_000_000)]
    speed_m_per_s: Annotated[float, Field(gt=0, le=200)]
    braking_m_per_s2: Annotated[float, Field(gt=0, le=200)]
    sensing_width_m: Annotated[float, Field(gt=0, le=1e4)]
    control_hz: Annotated[float, Field(gt=0, le=1e4)] = 20.0
    state_bytes: Annotated[float, Field(ge=1, le=1e6)] = 64.0
    plan_s: Annotated[float, Field(gt=0, le=100)] = 0.01
    battery_wh: Annotated[float, Field(gt=0, le=1e6)]
    hover_w: Annotated[float, Field(gt=0, le=1e6)]
    robot_usd_per_hour: Annotated[float, Field(gt=0, le=1e6)]

    @property
    def mode(self) -> Mode:
        return Mode.STREAMING

    @property
    def total_units(self) -> float:
        return self.area_m2

    def _message_s(self, spec: Spec[Any]) -> float:
        """Airtime of one state on the platform's radio."""
        radio = link(spec.platform.link)
        start_s = radio.alpha_s * spec.platform.alpha_factor
        return float(
            message_airtime_s(self.state_bytes, 8.0 * radio.bytes_per_s, preamble_s=start_s / 2, gap_s=start_s / 2)
        )

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        message_s = self._message_s(spec)
        central = float(airtime_share(self.robots, self.control_hz, message_s, receivers=2.0))
        radio = link(spec.platform.link)
        planning = self.robots * self.control_hz * self.plan_s
        sweep = self.sensing_width_m * self.speed_m_per_s
        limit_s = (spec.budget.days or 1.0 / 24.0) * 86_400.0
        alone_s = self.area_m2 / sweep
        return [
            Resource(
                "airtime of one coordinator",
                Ceiling.COORDINATION,
                Axis.INTELLIGENCE,
                central,
                1.0,
                "channels",
                f"{self.robots:,} robots that report and are told {self.control_hz:g} times a second take "
                f"{number(central)} times "
                f"the airtime of a {radio.name}.",
            ),
            Resource(
                "rate of decisions",
                Ceiling.COORDINATION,
                Axis.INTELLIGENCE,
                planning,
                1.0,
                "planners",
                f"plans of {seconds(self.plan_s)} for {self.robots:,} robots at {self.control_hz:g} Hz keep "
                f"{number(planning)} planners busy.",
            ),
            Resource(
                "area",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                alone_s,
                limit_s,
                "s",
                f"one robot sweeps it in {number(alone_s / 3600.0)} hours; {number(limit_s / 3600.0)} are allowed.",
            ),
            Resource(
                "battery",
                Ceiling.THROUGHPUT,
                Axis.CLUSTER,
                alone_s,
                float(endurance_s(self.battery_wh, self.hover_w)),
                "s",
                f"a charge lasts {number(float(endurance_s(self.battery_wh, self.hover_w)) / 60.0)} minutes.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        side = float(np.sqrt(self.area_m2))
        most = min(self.robots, spec.budget.nodes or self.robots)
        robots = counts(most, per_octave=8)
        ranges = tuple(float(round(side * share)) for share in (0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.75, 1.5))
        rates = tuple(sorted({1.0, 2.0, 5.0, 10.0, self.control_hz}))
        speeds = tuple(self.speed_m_per_s * share for share in (1.0, 0.75, 0.5, 0.35, 0.25, 0.15))
        return [
            Choice("robots", Axis.CLUSTER, robots, robots[-1], "in the air"),
            Choice("range", Axis.INTELLIGENCE, ranges, ranges[3], "of the radio, by its power", "m"),
            Choice("rate", Axis.DATA, rates, rates[len(rates) // 2], "states that each robot sends", "Hz"),
            Choice("speed", Axis.INFERENCE, speeds, speeds[2], "of flight", "m/s"),
            Choice("decides", Axis.INTELLIGENCE, (0.0, 1.0), 0.0, "who plans", labels=("each robot", "one station")),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        n, reach, rate, speed = (chosen[name] for name in ("robots", "range", "rate", "speed"))
        central = chosen["decides"] > 0
        message_s = self._message_s(spec)
        side = np.sqrt(self.area_m2)
        heard = np.where(central, n, np.minimum(n, np.pi * reach**2 * n / self.area_m2 + 1.0))
        asked = airtime_share(heard, rate, message_s, receivers=np.where(central, 2.0, 1.0))
        carries = csma_efficiency(np.maximum(heard, 1.0), message_s)
        busy = np.minimum(asked / np.maximum(carries, 1e-6), 0.99)
        sent_s = message_s / (1.0 - busy)
        plan_s = np.where(central, self.plan_s * n, self.plan_s)
        age_s = 1.0 / rate + sent_s * np.where(central, 2.0, 1.0) + plan_s + 1.0 / self.control_hz
        age_s = np.where(asked > carries, np.inf, age_s)
        free_m = np.maximum(side / np.sqrt(n) / 2.0, 1e-6)
        needed_m = 2.0 * clearance_m(speed, np.minimum(age_s, 1e6), self.braking_m_per_s2)
        needed_m = np.where(np.isfinite(age_s), needed_m, np.inf)
        connected = np.where(central, 1.0, connected_probability(n, self.area_m2, reach))
        eigen = second_eigenvalue_of("geometric", n, range_share=np.minimum(reach / side, 1.5))
        agree_s = np.where(central, 0.0, gossip_rounds(np.minimum(eigen, 1.0 - 1e-9), _AGREED) / rate)
        lane_s = side / speed
        # While news of what was swept travels, others sweep it again: at most half of the time.
        stale = np.where(n > 1, np.minimum(0.5, agree_s / lane_s), 0.0)
        flight_s = endurance_s(self.battery_wh, self.hover_w)
        swaps = _SWAP_S / (flight_s + _SWAP_S)
        work_s = 1.0 / (self.sensing_width_m * speed)
        idle_s = work_s * (_OVERLAP * (n > 1) + swaps / (1.0 - swaps))
        talk_s = work_s * stale / (1.0 - stale)
        lost = _LOST_PER_HOUR * spec.platform.failure_factor
        rework_s = work_s * lost * np.minimum(flight_s / 3600.0, 1.0)
        ones = np.ones_like(n)
        return Estimates(
            nodes=n,
            capacity_per_s=n / (work_s + idle_s + talk_s + rework_s),
            compute_s=work_s,
            communication_s=talk_s,
            idle_s=idle_s,
            rework_s=rework_s,
            latency_s=age_s,
            usd_per_hour=n * self.robot_usd_per_hour * spec.platform.price_factor,
            usd_per_unit=np.zeros_like(n),
            quality=np.clip(connected, 1e-9, 1.0),
            availability=np.where(central, 1.0 / (1.0 + lost), available(n, np.ceil(0.9 * n), lost)),
            uses={
                "airtime": Use(asked, np.maximum(carries, 1e-6), "of the channel"),
                "clearance": Use(np.where(n > 1, needed_m, 0.0), free_m, "m"),
                "planning period": Use(plan_s, ones / self.control_hz, "s"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        central = chosen["decides"] > 0
        return {
            Slot.PARTITION: decision(
                "the area by nearest robot, renegotiated as they move",
                "fixed cells",
                "a robot that is lost leaves a hole",
            ),
            Slot.COMMUNICATION: decision(
                f"each robot's state to those within {chosen['range']:.0f} m, {chosen['rate']:g} times a second, "
                "not repeated",
                "acknowledged messages",
                "airtime grows with the neighbours, and old states are worthless",
            ),
            Slot.CONSISTENCY: decision(
                "beliefs that converge, each with its age", "one agreed map", "agreement waits for the slowest link"
            ),
            Slot.COORDINATION: decision(
                "one station plans for all" if central else "each robot decides with those it hears",
                "each robot decides" if central else "one station",
                "they are few enough for one radio" if central else "its radio, and its planner, are full",
            ),
            Slot.FAULT_TOLERANCE: decision(
                "neighbours take over what a lost robot would have swept; stale neighbours are kept clear of",
                "spare robots in the air",
                "they would stand in the way and use the same radio",
            ),
            Slot.LOAD_BALANCING: decision(
                "auctions of cells among neighbours",
                "equal areas",
                "wind, batteries and finds differ from cell to cell",
            ),
        }
