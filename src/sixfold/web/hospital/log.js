// The newest entries of the coordinator's own log.

import { count, h } from "./shared/dom.js";

const short = (value) => (typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value.slice(0, 12) : String(value));

export function log({ log: found }) {
  if (!found?.entries) return [h("p", { class: "none" }, "No entry yet.")];
  const rows = found.events.map((event) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, count(event.index)),
      h("td", {}, new Date(event.time * 1000).toLocaleTimeString()),
      h("td", {}, event.kind),
      h("td", { class: "words" }, Object.entries(event.facts).map(([name, value]) => `${name} ${short(value)}`).join(", ")),
    ),
  );
  const names = ["Entry", "Time", "Kind", "Facts"];
  return [
    h("p", { class: "foot" }, `${count(found.entries)} entries; the newest, without those that witness other parties' logs:`),
    h(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Log" },
      h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)),
    ),
  ];
}
