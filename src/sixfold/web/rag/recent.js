// Questions asked before, in this tab only: sessionStorage is gone with it, and nothing is sent anywhere.

import { byId, h, show } from "./shared/dom.js";

const KEY = "sixfold-questions";
const MOST = 8;

function read() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept)
      ? kept.filter((entry) => typeof entry?.q === "string" && typeof entry?.link === "string")
      : [];
  } catch {
    return [];
  }
}

function write(entries) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Storage may be full or forbidden: then nothing is remembered.
  }
}

export function remember(question, link) {
  write([{ q: question, link }, ...read().filter((entry) => entry.link !== link)].slice(0, MOST));
}

/** Show what was asked before the present question. */
export function showRecent(link = "") {
  const entries = read().filter((entry) => entry.link !== link && entry.link.startsWith("#"));
  byId("recent")
    .querySelector("ul")
    .replaceChildren(...entries.map((entry) => h("li", {}, h("a", { href: entry.link }, entry.q))));
  show(byId("recent"), entries.length > 0);
}

export function startRecent() {
  byId("forget").addEventListener("click", () => {
    write([]);
    showRecent();
    byId("question").focus();
  });
}
