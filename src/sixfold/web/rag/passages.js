// The passages that were found, in the order of their ranking.

import { h, unitsOf, webLink, withMarks } from "./shared/dom.js";

const BEFORE_CHARS = 90; // shown ahead of a citation that stands deep in a passage
const SHOWN_CHARS = 420;

/** The list's items. cited: number -> spans that the answer rests on. */
export function passageItems(passages, cited, open) {
  const best = Math.max(...passages.map((passage) => passage.score), 1e-9);
  return passages.map((passage) => {
    const spans = cited.get(passage.number) ?? [];
    const act = (event) => open(passage.number, spans, event.currentTarget);
    const bar = h("span", { class: "score-bar", "aria-hidden": "true" }, h("span"));
    bar.firstChild.style.width = `${Math.max(2, (100 * Math.max(0, passage.score)) / best)}%`;
    return h(
      "li",
      { class: spans.length ? "passage cited" : "passage" },
      h("span", { class: "number", "aria-hidden": "true" }, String(passage.number)),
      h(
        "div",
        {},
        h(
          "h3",
          {},
          h("button", { type: "button", class: "title", click: act }, passage.title || passage.url),
          spans.length > 0 && h("span", { class: "label" }, "cited"),
        ),
        h("p", { class: "url" }, webLink(passage.url)),
        h("p", { class: "excerpt" }, excerpt(passage.text, spans)),
      ),
      h(
        "p",
        { class: "score" },
        bar,
        h("span", { title: "score after fusion of both searches" }, `score ${passage.score.toFixed(2)}`),
      ),
    );
  });
}

/** The part of a passage around its first citation, or its beginning. */
function excerpt(text, spans) {
  const first = spans.length ? Math.min(...spans.map(([start]) => start)) : 0;
  const characters = [...text];
  const length = characters.length;
  // What is cited has to be within the few lines that are shown.
  const line = characters.lastIndexOf("\n", first) + 1;
  const start = first > BEFORE_CHARS || line > 0 ? Math.max(line, first - BEFORE_CHARS) : 0;
  const end = Math.min(length, start + SHOWN_CHARS);
  const at = unitsOf(text);
  const within = spans
    .map(([from, to]) => [Math.max(from, start) - start, Math.min(to, end) - start])
    .filter(([from, to]) => from < to);
  return [start > 0 && "… ", ...withMarks(text.slice(at(start), at(end)), within), end < length && " …"];
}
