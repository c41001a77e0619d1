// How much of the index an answer saw, and what was left out for want of time: a bar and words.

import { count, h, percent, plural } from "./shared/dom.js";

const STATES = { late: "was late", failed: "did not answer" };

/** A bar with one part for each shard, and sentences. */
export function coverageView(coverage) {
  const shards = coverage.shards ?? [];
  const lost = shards.filter((shard) => shard.state !== "answered");
  const bar = h("div", { class: "shards", "aria-hidden": "true" });
  for (const shard of shards) {
    const part = h("span", {
      class: shard.state === "answered" ? "answered" : shard.state === "late" ? "late" : "failed",
    });
    part.style.flexGrow = String(Math.max(shard.passages, 1));
    bar.append(part);
  }
  const searched = lost.length
    ? `${percent(coverage.percent)} of the index was searched: ${count(coverage.passages)} of ` +
      `${plural(coverage.passages_total, "passage")}.`
    : `The whole index was searched: ${plural(coverage.passages_total, "passage")} of ` +
      `${plural(coverage.documents_total, "document")} in ${plural(shards.length, "shard")}.`;
  const list = lost.map((shard) => {
    const why = shard.reason ? `: ${shard.reason}` : "";
    const state = STATES[shard.state] ?? shard.state;
    return h("li", {}, `Shard ${shard.shard} (${plural(shard.passages, "passage")}) `, h("b", {}, state), why);
  });
  return h(
    "div",
    { class: lost.length ? "coverage partial" : "coverage" },
    bar,
    h("p", {}, searched),
    list.length > 0 && h("ul", {}, list),
  );
}

const STEPS = {
  rerank: "the passages were not put in order by the second, slower judge",
  shards: "shards that were late were not waited for",
  context: "the model read less of the passages than usual",
  generation: "the model was left out, so the answer consists of quotations",
  vectors: "passages were found by their words only, not by their meaning",
};

/** What an answer went without, in one notice; null if nothing. */
export function degradedView(steps) {
  if (!steps?.length) return null;
  const said = steps.map((step) => STEPS[step] ?? `the step "${step}" was left out`);
  return h("p", { class: "notice warn" }, h("b", {}, "Time was short: "), `${said.join("; ")}.`);
}
