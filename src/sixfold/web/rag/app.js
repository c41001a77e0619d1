// The rooms of the page, which of them is shown, the theme, and the keys that work everywhere.

import * as ask from "./ask.js";
import { byId, show } from "./dom.js";
import * as drops from "./drops.js";
import * as index from "./index_room.js";
import { closePanel, isOpen, startPanel } from "./panel.js";

const ROOMS = {
  ask: { room: ask, title: "Ask" },
  why: { room: drops, title: "Dropped pages" },
  index: { room: index, title: "Index" },
};
const THEMES = ["system", "light", "dark"];
let present = null;

/** The room of the fragment: `#ask`, `#q=...`, `#why`, `#why=...`, `#index`. */
function go() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const name = parameters.has("why") ? "why" : parameters.has("index") ? "index" : "ask";
  if (location.hash === "#question") {
    byId("question").focus();
    return;
  }
  if (present !== name) {
    if (isOpen()) closePanel();
    ROOMS[present]?.room.leave();
    for (const other of Object.keys(ROOMS)) show(byId(`room-${other}`), other === name);
    for (const link of document.querySelectorAll("[data-room]")) {
      if (link.dataset.room === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${ROOMS[name].title} · Sixfold rag`;
    scrollTo(0, 0);
  }
  present = name;
  ROOMS[name].room.enter(parameters);
}

function themed(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

function startTheme() {
  themed(document.documentElement.dataset.theme ?? "system");
  byId("theme").addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % THEMES.length];
    themed(theme);
    try {
      localStorage.setItem("sixfold-theme", theme);
    } catch {
      // It then lasts as long as the page.
    }
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=radio]), textarea, select");
  if (event.key === "Escape" && isOpen()) {
    event.preventDefault();
    closePanel();
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    if (present !== "ask") location.hash = "#ask";
    if (isOpen()) closePanel();
    byId("question").focus();
    byId("question").select();
  }
});

startTheme();
startPanel();
ask.startAsking();
drops.startDrops();
addEventListener("hashchange", go);
go();
