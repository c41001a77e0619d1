// The index: what it consists of, and its builds while they run.

import { getJson, inWords } from "./api.js";
import { byId, bytes, count, h, plural, share } from "./shared/dom.js";

const STATES = {
  running: "running",
  done: "done",
  interrupted: "interrupted: `sixfold rag build` with the same arguments goes on with it",
};
let events = null;
let generation = null;

/** Come to the room: facts once, builds as they change for as long as somebody looks. */
export function enter() {
  facts();
  if (events) return;
  events = new EventSource("/v1/builds/events");
  events.onopen = () => follow("live");
  events.onerror = () =>
    follow(
      events?.readyState === EventSource.CLOSED
        ? "not followed: the service refused"
        : "connection lost, trying again…",
    );
  events.onmessage = (event) => builds(JSON.parse(event.data).builds);
}

export function leave() {
  events?.close();
  events = null;
}

function follow(words) {
  byId("following").replaceChildren(
    h("span", { class: words === "live" ? "dot on" : "dot", "aria-hidden": "true" }),
    words,
  );
}

function builds(list) {
  const place = byId("builds");
  place.replaceChildren(
    ...(list.length ? list.map(build) : [h("p", { class: "none" }, "No build has written to this index.")]),
  );
  if (list[0]?.state === "done" && generation !== null) facts(); // what it published may be new
}

function build(one) {
  const dropped = Object.entries(one.dropped ?? {}).sort((a, b) => b[1] - a[1]);
  const total = dropped.reduce((sum, [, n]) => sum + n, 0);
  const said = [
    plural(one.records, "record"),
    `${count(one.documents)} kept`,
    total > 0 && `${count(total)} dropped`,
  ].filter(Boolean);
  return h(
    "article",
    { class: "build" },
    h("h3", {}, `Build ${one.build} `, h("span", { class: `state ${one.state}` }, STATES[one.state] ?? one.state)),
    h("p", { class: "foot" }, said.join(", ")),
    one.steps.length > 0 && h("div", { class: "steps" }, one.steps.map(step)),
    dropped.length > 0 &&
      h("details", {}, h("summary", {}, `What was dropped, by rule`), bars(dropped, ["Rule", "Records"])),
  );
}

function step({ step: name, done, total }) {
  const value = total > 0 ? done / total : 0;
  return h(
    "div",
    { class: "step" },
    h("span", {}, name),
    h("progress", { max: 1, value, "aria-label": `${name}: ${count(done)} of ${count(total)}` }),
    h("span", { class: "of" }, `${count(done)} of ${count(total)}`),
  );
}

async function facts() {
  try {
    const about = await getJson("/v1/index");
    generation = about.generation;
    const tiles = [
      [count(about.passages), "passages"],
      [count(about.documents), "documents"],
      [count(about.shards.length), "shards"],
      [bytes(about.shards.reduce((sum, shard) => sum + shard.bytes, 0)), "on disk"],
      [count(about.generation), "generation"],
    ];
    byId("facts").replaceChildren(
      h(
        "dl",
        { class: "tiles" },
        tiles.map(([value, name]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
    );
    byId("tables").replaceChildren(
      h("h2", {}, "Shards"),
      table(
        ["Shard", "Passages", "Documents", "Segments", "Size", "State"].slice(0, about.shards[0]?.state ? 6 : 5),
        about.shards.map((s) =>
          [s.shard, count(s.passages), count(s.documents), count(s.segments), bytes(s.bytes), s.state].slice(
            0,
            s.state ? 6 : 5,
          ),
        ),
      ),
      h(
        "div",
        { class: "pair" },
        h(
          "div",
          {},
          h("h2", {}, "Hosts"),
          bars(
            about.hosts.map(({ host, passages }) => [host, passages]),
            ["Host", "Passages"],
            about.passages,
          ),
        ),
        h(
          "div",
          {},
          h("h2", {}, "Languages"),
          bars(
            about.languages.map(({ language, passages }) => [language, passages]),
            ["Language", "Passages"],
            about.passages,
          ),
        ),
      ),
    );
  } catch (error) {
    byId("facts").replaceChildren(h("p", { class: "notice bad" }, inWords(error)));
  }
}

function table(heads, rows) {
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "numbers" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, String(first)),
            rest.map((cell) => h("td", {}, String(cell ?? ""))),
          ),
        ),
      ),
    ),
  );
}

/** A table of counts with a bar beside each. */
function bars(entries, heads, total = entries.reduce((sum, [, n]) => sum + n, 0)) {
  const most = Math.max(...entries.map(([, n]) => n), 1);
  const row = ([name, n]) => {
    const bar = h("span", { class: "count-bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * n) / most}%`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, name, bar),
      h("td", {}, count(n)),
      h("td", {}, total ? share(n, total) : ""),
    );
  };
  return h(
    "table",
    { class: "numbers bars" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, heads[0]),
        h("th", { scope: "col" }, heads[1]),
        h("th", { scope: "col" }, "Share"),
      ),
    ),
    h("tbody", {}, entries.map(row)),
  );
}
