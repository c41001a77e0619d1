// Each hospital's monitor over the periods since the release.

import { drift } from "./charts.js";
import { h, plural } from "./shared/dom.js";

function answers(list) {
  return list.map((one) => h("p", {}, `Period ${one.period}, ${one.person} decided: ${one.action} (${one.reason})`));
}

function panel(site, state) {
  const drifts = state.drifts.map((one) => `${one.name} ${one.index.toFixed(2)} of ${one.limit.toFixed(2)}`).join(", ");
  const chart = `outcomes: CUSUM ${state.cusum.height.toFixed(1)} of ${state.cusum.limit.toFixed(1)}${state.cusum.as_of === null ? "" : `, up to period ${state.cusum.as_of}`}`;
  return h(
    "div",
    {},
    h("h3", {}, site, h("span", { class: `phase ${state.phase}` }, state.phase)),
    drift(state.history),
    h("p", {}, drifts ? `PSI in period ${state.period}: ${drifts}` : "no period was reported yet"),
    h("p", {}, chart),
    state.reasons.length ? h("p", { class: state.phase === "alarmed" ? "alarmed" : null }, state.reasons.join("; ")) : null,
    answers(state.answers),
  );
}

function gaps(found) {
  if (!found) return "How differently hospitals are served is not known yet: no outcomes of one period at two hospitals.";
  const said = (name, gap) =>
    gap.size === null
      ? `${name} rates are not known at all hospitals`
      : `${name} rates differ by ${gap.size.toFixed(2)} (certainly ${gap.certain.toFixed(2)}) between ${gap.lower} and ${gap.higher}`;
  return `Of period ${found.as_of}: ${said("true positive", found.tpr)}; ${said("false positive", found.fpr)}.`;
}

export function monitoring({ monitor }) {
  if (!monitor || !Object.keys(monitor.sites).length) return [h("p", { class: "none" }, "Nothing is watched: there is no release in force.")];
  const nodes = [
    h("p", { class: "foot" }, `The largest drift of each period as a share of its limit; outcomes are known ${plural(monitor.delay, "period")} later.`),
    h("div", { class: "panels" }, Object.entries(monitor.sites).map(([site, state]) => panel(site, state))),
    h("p", { class: "foot" }, gaps(monitor.disparity)),
  ];
  if (monitor.unwatched.length) nodes.push(h("p", { class: "foot" }, `Not watched, as their reference has too few patients or they did not sign: ${monitor.unwatched.join(", ")}.`));
  return nodes;
}
