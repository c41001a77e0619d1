// What somebody has to do something about: alarms with the decision that is due, and what could not be read.

import { h } from "./shared/dom.js";

export function errors({ errors: found }) {
  return found.map((text) => h("p", { class: "notice bad" }, h("b", {}, "Cannot be read: "), text));
}

export function alarms({ monitor, release, folder }) {
  return Object.entries(monitor?.sites ?? {})
    .filter(([, state]) => state.phase === "alarmed")
    .map(([site, state]) =>
      h(
        "div",
        { class: "notice bad alarm" },
        h("h2", {}, `Alarm at ${site}, period ${state.period}`),
        h("ul", { class: "reasons" }, state.reasons.map((reason) => h("li", {}, reason))),
        h("p", {}, "A named person decides: keep the model, have it retrained, or withdraw it. Nothing is retrained before."),
        h(
          "pre",
          {},
          `sixfold hospital sign --release ${release.digest} --site ${quoted(site)} --period ${state.period} \\\n` +
            `  --action keep|retrain|withdraw --person NAME --reason WHY --key KEY > decision.json\n` +
            `sixfold hospital decide ${quoted(folder)} decision.json`,
        ),
      ),
    );
}

/** As a shell takes it for one word. */
function quoted(text) {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
