// Why a page is not in the index: what became of every record of an address.

import { getJson, inWords } from "./api.js";
import { byId, count, h, plural } from "./shared/dom.js";

// What the stages look at. The rule that decided and what it measured are shown as they were recorded.
const STAGES = {
  read: "Reading the record",
  size: "Size of the page",
  charset: "Decoding of its characters",
  extract: "Search for the main text",
  language: "Language of the text",
  "c4-quality": "Quality of the text, by the rules of C4",
  "gopher-quality": "Quality of the text, by the rules of Gopher",
  "gopher-repetition": "Repetition in the text, by the rules of Gopher",
  "fineweb-quality": "Quality of the text, by the rules of FineWeb",
  "exact-duplicate": "Comparison with other pages: the same text is there already",
  "near-duplicate": "Comparison with other pages: almost the same text is there already",
  "duplicate-url": "Comparison of addresses: the same one was read again",
  takedown: "Removal on request",
};
let running = new AbortController();

async function lookUp(url) {
  running.abort();
  running = new AbortController();
  const place = byId("fates");
  place.replaceChildren(h("p", { class: "progress" }, "Looking…"));
  try {
    const { records } = await getJson(`/v1/why?url=${encodeURIComponent(url)}`, running.signal);
    const kept = records.filter((record) => record.fate === "kept").length;
    place.replaceChildren(
      h("p", { class: "asked" }, url),
      h("p", {}, `${plural(records.length, "record")}: ${count(kept)} kept, ${count(records.length - kept)} dropped.`),
      h("ol", { class: "fates" }, records.map(fate)),
    );
  } catch (error) {
    if (error.name === "AbortError") return;
    const words =
      error.status === 404 ? `No record of it: ${error.message.replace(/^.*?no record of /, "")}.` : inWords(error);
    place.replaceChildren(h("p", { class: "asked" }, url), h("p", { class: "notice" }, words));
  }
}

function fate(record) {
  const kept = record.fate === "kept";
  const rows = kept
    ? [
        ["Language", record.language],
        ["Words", record.words === undefined ? null : count(record.words)],
      ]
    : [
        ["Rule", `${record.stage}: ${record.reason}`],
        ["Measured", record.detail],
      ];
  rows.push(["Build", record.build], ["Record", record.source]);
  const pairs = rows.filter(([, value]) => value);
  return h(
    "li",
    { class: kept ? "kept" : "dropped" },
    h(
      "h2",
      {},
      h("span", { class: "state" }, kept ? "✓ kept" : "✗ dropped"),
      kept ? "It is in the index" : inTitle(record.reason ?? ""),
    ),
    !kept && h("p", {}, STAGES[record.stage] ?? `Stage ${record.stage}`),
    h(
      "dl",
      { class: "pairs" },
      pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "mono" }, String(value)))),
    ),
  );
}

/** The name of a rule as words. */
function inTitle(reason) {
  const words = reason.replaceAll("-", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Come to the room by a link: with an address in it, look that up. */
export function enter(parameters) {
  const url = parameters.get("why")?.trim() ?? "";
  byId("address").value = url;
  if (url) lookUp(url);
  else byId("fates").replaceChildren();
  byId("address").focus({ preventScroll: true });
}

export function leave() {
  running.abort();
}

export function startDrops() {
  byId("why").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = byId("address").value.trim();
    const link = `#${new URLSearchParams({ why: url })}`;
    if (!url) byId("address").focus();
    else if (location.hash === link) lookUp(url);
    else location.hash = link;
  });
}
