// The rooms of the page, which of them is shown, the theme, and the keys that work everywhere.

import * as ask from "./ask.js";
import { byId, show } from "./shared/dom.js";
import * as drops from "./drops.js";
import * as index from "./index_room.js";
import { closePanel, isOpen, startPanel } from "./panel.js";
import { startTheme } from "./shared/theme_switch.js";

const ROOMS = {
  ask: { room: ask, title: "Ask" },
  why: { room: drops, title: "Dropped pages" },
  index: { room: index, title: "Index" },
};
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
