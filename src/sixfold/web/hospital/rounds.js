// The rounds of each training, newest training first.

import { attempts } from "./charts.js";
import { bytes, h, plural, seconds } from "./shared/dom.js";

function row(each) {
  const missing = each.asked.filter((site) => !each.counted.includes(site));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, `${each.round}.${each.attempt}`),
    h("td", { class: "number" }, `${each.counted.length} of ${each.asked.length}`),
    h("td", { class: missing.length ? "words missing" : "words" }, missing.join(", ") || "–"),
    h("td", { class: "number" }, bytes(each.bytes)),
    h("td", { class: "number" }, seconds(each.wall_s)),
    h("td", { class: "words" }, each.why || ""),
  );
}

function table(list) {
  const names = ["Round.attempt", "Counted", "Missing", "Bytes", "Time", "Why not"];
  const numeric = new Set([1, 3, 4]);
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "Every attempt" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, names.map((name, at) => h("th", { scope: "col", class: numeric.has(at) ? "number" : null }, name)))),
      h("tbody", {}, [...list].reverse().map(row)),
    ),
  );
}

function training(each) {
  const head = `${each.federation}${each.replaces ? `, to replace ${each.replaces.slice(0, 12)}` : ""}`;
  const moved = each.attempts.reduce((sum, one) => sum + one.bytes, 0);
  const total_s = each.attempts.reduce((sum, one) => sum + one.wall_s, 0);
  return h(
    "div",
    {},
    h("h3", {}, head),
    h("p", { class: "foot" }, `${each.done} of ${plural(each.rounds, "round")} in ${plural(each.attempts.length, "attempt")}, ${bytes(moved)}, ${seconds(total_s)}`),
    each.attempts.length ? attempts(each.attempts) : h("p", { class: "none" }, "No round yet."),
    each.attempts.length ? h("details", {}, h("summary", {}, "Every attempt"), table(each.attempts)) : null,
  );
}

export function rounds({ trainings }) {
  if (!trainings?.length) return [h("p", { class: "none" }, "No training yet.")];
  const keys = h(
    "p",
    { class: "keys" },
    h("span", {}, h("i", {}), "hospitals in the sum"),
    h("span", {}, h("i", { class: "absent" }), "asked, and missing"),
    h("span", {}, h("i", { class: "failed" }), "no sum: fewer than the least"),
  );
  const [now, ...before] = trainings;
  const older = before.length ? h("details", {}, h("summary", {}, plural(before.length, "earlier training")), before.map(training)) : null;
  return [training(now), keys, older].filter(Boolean);
}
