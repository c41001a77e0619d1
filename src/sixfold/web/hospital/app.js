// Asks for the state of the federation every two seconds, and has it drawn when it is another one.

import { alarms, errors } from "./alarms.js";
import { gate } from "./gate.js";
import { hospitals } from "./hospitals.js";
import { log } from "./log.js";
import { monitoring } from "./monitoring.js";
import { rounds } from "./rounds.js";
import { byId } from "./shared/dom.js";
import { startTheme } from "./shared/theme_switch.js";
import { tiles } from "./tiles.js";

const EVERY_MS = 2000;
let tag = null;
let changed_ms = null;

function draw(state) {
  const { federation } = state;
  document.title = `${federation.federation} · Sixfold hospital`;
  byId("name").textContent = federation.federation;
  byId("about").textContent =
    `${federation.sites.length} hospitals, at least ${federation.minimum_sites} in every sum, ${federation.protection}; ` +
    `${federation.purpose.replaceAll("-", " ")} on ${federation.dataset} under permit ${federation.permit}.`;
  byId("errors").replaceChildren(...errors(state));
  byId("alarms").replaceChildren(...alarms(state));
  byId("tiles").replaceChildren(...tiles(state));
  byId("hospitals-table").replaceChildren(hospitals(state));
  byId("hospitals-foot").textContent = federation.gate
    ? `Whiskers: 95 % intervals of ${federation.gate.metric} on test patients; the dashed line is the floor.`
    : "";
  for (const [id, part] of Object.entries({ rounds, gate, watch: monitoring, log })) keepOpen(id, part(state));
}

/** Replace a section's content; details that were open stay so. */
function keepOpen(id, nodes) {
  const open = [...byId(id).querySelectorAll("details")].map((element) => element.open);
  byId(id).replaceChildren(...nodes);
  [...byId(id).querySelectorAll("details")].forEach((element, at) => {
    element.open = open[at] ?? false;
  });
}

function age() {
  return changed_ms === null ? "" : `, last change ${Math.round((Date.now() - changed_ms) / 1000)} s ago`;
}

function say(text, lost = false) {
  const fresh = byId("fresh");
  // a region that says the same again would be read out again
  if (fresh.textContent !== text) fresh.textContent = text;
  fresh.classList.toggle("lost", lost);
}

async function look() {
  try {
    const answer = await fetch("api/state", { headers: tag ? { "if-none-match": tag } : {}, cache: "no-store" });
    if (answer.status === 304) {
      say("live");
    } else {
      const state = await answer.json();
      if (!answer.ok) throw new Error(state.error);
      tag = answer.headers.get("etag");
      changed_ms = Date.now();
      draw(state);
      say("live");
    }
  } catch (error) {
    const reason = error instanceof TypeError ? "the page's server does not answer" : error.message;
    say(`not live: ${reason}${age()}`, true);
  }
  setTimeout(look, EVERY_MS);
}

startTheme();
look();
