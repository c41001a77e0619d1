// One row for each hospital: whether it takes part, what it has spent, how the model serves it, what its monitor says.

import { count, h } from "./shared/dom.js";
import { interval } from "./charts.js";

export const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits));

function takesPart(training, site) {
  if (training?.refused[site]) return h("td", { class: "words" }, h("span", { class: "missing" }, "refused: "), training.refused[site]);
  const last = training?.attempts.at(-1);
  if (!last) return h("td", {}, "–");
  if (last.counted.includes(site)) return h("td", {}, `counted in round ${last.round}`);
  if (!last.asked.includes(site)) return h("td", {}, `not asked in round ${last.round}`);
  return h("td", { class: "missing" }, `missing in round ${last.round}`);
}

function spent(training, site) {
  const both = training?.epsilon[site];
  return h("td", { class: "number" }, both ? `${number(both.spent, 2)} / ${number(both.spent + both.left, 2)}` : "–");
}

function watched(monitor, site) {
  const state = monitor?.sites[site];
  if (state) return h("td", {}, h("span", { class: `phase ${state.phase}` }, state.phase));
  const why = monitor?.unwatched.includes(site) ? "too few to watch" : "–";
  return h("td", {}, h("span", { class: "phase none" }, why));
}

export function hospitals({ federation, trainings, release, blocked, monitor }) {
  const judged = release ?? blocked;
  const metric = federation.gate.metric;
  const names = ["Hospital", "Last round", "ε spent", "Test patients", metric === "auroc" ? "AUROC" : "Accuracy", "", "ECE", "Answered", "Monitor"];
  const rows = federation.sites.map((site) => {
    const metrics = judged?.sites[site];
    const known = metrics?.patients ? metrics : null;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, site),
      takesPart(trainings?.[0], site),
      spent(trainings?.[0], site),
      h("td", { class: "number" }, known ? count(known.patients) : "–"),
      h("td", { class: "number" }, number(known?.[metric].value)),
      h("td", {}, known ? interval(known[metric], federation.gate.floor) : ""),
      h("td", { class: "number" }, number(known?.ece)),
      h("td", { class: "number" }, known?.coverage === null || !known ? "–" : `${Math.round(100 * known.coverage)} %`),
      watched(monitor, site),
    );
  });
  const numeric = new Set([2, 3, 4, 6, 7]);
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, names.map((name, at) => h("th", { scope: "col", class: numeric.has(at) ? "number" : null }, name)))),
    h("tbody", {}, rows),
  );
}
