// What the gate said, what is in force, and who answers for it.

import { count, h } from "./shared/dom.js";

const date = (seconds) => new Date(seconds * 1000).toLocaleString();

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function limits(gate) {
  const floor = `${gate.metric} at least ${gate.floor} at the worst-served hospital${gate.floor_at === "low" ? ", at the near end of its interval" : ""}`;
  const gap = `true and false positive rates at most ${gate.most_gap} apart${gate.gap_at === "certain" ? ", beyond doubt" : ""}`;
  return `${floor}; ${gap}; ECE at most ${gate.most_ece}; at least ${Math.round(100 * gate.least_coverage)} % answered at accuracy ${gate.target_accuracy}; ${gate.least_patients} test patients or more`;
}

function reasons(list) {
  return h("ul", { class: "reasons" }, list.map((reason) => h("li", {}, reason)));
}

export function gate({ release, blocked, earlier, federation }) {
  const nodes = [];
  if (release) {
    const told = Object.entries(release.facts).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "number" ? count(Math.round(value * 1000) / 1000) : value}`);
    nodes.push(
      h("h3", {}, "In force"),
      facts([
        ["release", h("code", {}, release.digest)],
        ["since", date(release.at)],
        ["answers for it", release.person],
        ["signed by", release.signers.join(", ")],
        ["replaces", release.replaces ? h("code", {}, release.replaces.slice(0, 16)) : "none"],
        ["training", told.join(", ") || "–"],
        ["limits", limits(release.gate)],
        ["verdict", release.reasons.length ? reasons(release.reasons) : "passes every limit, computed anew from the signed evidence"],
      ]),
    );
  } else {
    nodes.push(h("p", { class: "none" }, `No release is in force. A model passes with ${limits(federation.gate)}.`));
  }
  if (blocked) {
    nodes.push(h("div", { class: "notice warn" }, h("b", {}, `Blocked on ${date(blocked.at)}: ${blocked.digest.slice(0, 12)}`), reasons(blocked.reasons)));
  }
  if (earlier?.length) {
    nodes.push(
      h("details", {}, h("summary", {}, "Earlier releases"), h("ul", { class: "reasons" }, earlier.map((one) => h("li", {}, h("code", {}, one.digest.slice(0, 16)), ` of ${date(one.at)}, ${one.person}`)))),
    );
  }
  return nodes;
}
