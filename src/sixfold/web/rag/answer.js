// An answer as people see it: sentences with citations that are buttons, how it came about, what was withheld.

import { count, h, plural, seconds, unitsOf } from "./shared/dom.js";

const UNSUPPORTED = "(not supported by the sources)";
const MODES = {
  extractive: ["Quoted", "word for word from the passages"],
  generated: ["Written by the model, checked", "each sentence against the spans that it cites"],
  abstained: ["No answer", "the passages do not bear one out"],
};
const FALLBACKS = {
  late: "the model had no time to write",
  withheld: "what the model wrote was not borne out by the passages and was withheld",
  "prompt too long": "the question is too long for the model",
};

const STEPS = {
  statistics: "how often its words occur",
  embed: "the question as a vector",
  rank: "ranking in the shards",
  texts: "texts of the passages",
  retrieve: "retrieval as a whole",
  rerank: "second ranking",
  extract: "choice of sentences",
  answer: "writing and checking",
};

/** How the answer came about: a badge and a few words. */
export function modeView(sixfold) {
  const [name, words] = MODES[sixfold.mode] ?? [sixfold.mode, ""];
  const fallback = FALLBACKS[sixfold.fallback];
  return [h("b", { class: `badge ${sixfold.mode}` }, name), ` ${words}${fallback ? `; ${fallback}` : ""}`];
}

/** A piece of an answer that is still being written: its markers are the numbers at its end. */
export function pieceView(text, passages, open) {
  const tail = text.match(/((?:\[\d+\])+)(\s*\(not supported by the sources\))?\s*$/);
  if (!tail) return [text];
  const numbers = tail[1].match(/\d+/g).map(Number);
  if (numbers.some((n) => n < 1 || n > passages.length)) return [text];
  const buttons = numbers.map((n) => citation(n, passages[n - 1], [], open));
  return [text.slice(0, tail.index), ...buttons, tail[2] ?? ""];
}

/** The whole answer as elements: one for each sentence, and what follows the last. */
export function answerView(content, annotations, sixfold, open) {
  const at = unitsOf(content);
  const markers = markersOf(annotations, at);
  const passages = sixfold.passages ?? [];
  const elements = [];
  let cursor = 0;
  let next = 0;
  for (const sentence of sixfold.sentences ?? []) {
    const words = sentence.text.split(/\s+/).filter(Boolean).join(" ");
    const start = content.indexOf(words, cursor);
    if (start < 0) break;
    let end = start + words.length;
    const buttons = [];
    for (; next < markers.length && markers[next].start <= end + 1; next += 1) {
      const { number, spans } = markers[next];
      buttons.push(citation(number, passages[number - 1], spans, open));
      end = markers[next].end;
    }
    const unsupported = sentence.verdict === "unsupported";
    if (content.startsWith(` ${UNSUPPORTED}`, end)) end += UNSUPPORTED.length + 1;
    const mark = unsupported && h("span", { class: "doubt" }, "not supported by the sources");
    const quoted = sentence.verdict === "quoted";
    const text = h(quoted ? "q" : "span", { class: unsupported ? "unsupported" : "" }, words);
    elements.push(h(quoted ? "blockquote" : "span", { class: "sentence" }, text, " ", buttons, mark, " "));
    cursor = end;
  }
  const rest = content.slice(cursor).trim();
  if (rest) elements.push(h("p", { class: elements.length ? "note" : "sentence" }, rest));
  return elements;
}

/** The markers in their order; two spans of one passage share one. */
function markersOf(annotations, at) {
  const markers = new Map();
  for (const annotation of annotations) {
    const { start_index: start, end_index: end } = annotation.url_citation;
    const marker = markers.get(start) ?? { start: at(start), end: at(end), number: annotation.number, spans: [] };
    marker.spans.push([annotation.passage_start, annotation.passage_end]);
    markers.set(start, marker);
  }
  return [...markers.values()].sort((a, b) => a.start - b.start);
}

function citation(number, passage, spans, open) {
  const label = `Source ${number}: ${passage?.title || passage?.url || "passage"}`;
  const act = (event) => open(number, spans, event.currentTarget);
  return h("button", { type: "button", class: "cite", "aria-label": label, title: label, click: act }, String(number));
}

/** Sentences of the model that nothing bore out, and how the answer was made: both folded. */
export function makingView(sixfold, usage, took_s) {
  const withheld = sixfold.withheld ?? [];
  const facts = [
    ["Time", `${seconds(took_s)}${sixfold.cached ? ", the passages from the cache" : ""}`],
    ...Object.entries(sixfold.timings_s ?? {}).map(([step, s]) => [`– ${STEPS[step] ?? step}`, seconds(s)]),
    ["Generation of the index", count(sixfold.generation)],
  ];
  if (sixfold.confidence !== undefined)
    facts.push(["Confidence that the passages answer", sixfold.confidence.toFixed(2)]);
  if (usage?.total_tokens) {
    facts.push(["Tokens", `${count(usage.prompt_tokens)} read, ${count(usage.completion_tokens)} written`]);
  }
  const checked = (sixfold.sentences ?? []).map((sentence, at) => [
    `Sentence ${at + 1}`,
    `${sentence.verdict}, ${Math.round(100 * sentence.support)} % borne out`,
  ]);
  return [
    withheld.length > 0 &&
      h(
        "details",
        {},
        h(
          "summary",
          {},
          `${plural(withheld.length, "sentence")} of the model withheld, borne out by nothing`,
        ),
        h(
          "ul",
          { class: "withheld" },
          withheld.map((sentence) => h("li", {}, sentence.text)),
        ),
      ),
    h(
      "details",
      {},
      h("summary", {}, "How this answer was made"),
      h(
        "dl",
        { class: "pairs" },
        [...facts, ...checked].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
    ),
  ];
}
