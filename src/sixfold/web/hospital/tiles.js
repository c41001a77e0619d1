// The four things to know first: training, budget, gate, alarms.

import { h, plural } from "./shared/dom.js";

const STILL_S = 300; // without a round for so long, training is not called running

function tile(name, value, kind, more, meter = null) {
  const bar = meter === null ? null : h("span", { class: "meter" }, h("span", { "data-share": meter }));
  if (bar) bar.firstChild.style.width = `${100 * Math.max(0, Math.min(1, meter))}%`;
  return h("div", {}, h("dt", {}, name), h("dd", { class: kind }, value), h("dd", {}, more, bar));
}

function training({ trainings, federation }) {
  const now = trainings?.[0];
  if (!now) return tile("Training", "not begun", "", `${federation.algorithm}`);
  const last = now.attempts.at(-1);
  const share = now.done / now.rounds;
  if (now.done >= now.rounds) return tile("Training", "done", "good", `${plural(now.done, "round")}`, share);
  const running = now.quiet_s < STILL_S;
  const missing = last ? last.asked.filter((site) => !last.counted.includes(site)) : [];
  const more = missing.length ? `last without ${missing.join(", ")}` : running ? "all that were asked are counted" : "run train to go on";
  return tile("Training", `${running ? "" : "stopped: "}${now.done} of ${now.rounds} rounds`, running ? "" : "warn", more, share);
}

function budget({ trainings, federation }) {
  const now = trainings?.[0];
  const spent = Object.entries(now?.epsilon ?? {});
  if (!federation.epsilon) return tile("Privacy budget", "none", "warn", "no noise is added; sums are exact");
  if (!spent.length) return tile("Privacy budget", `ε ${federation.epsilon}`, "", "nothing spent yet", 0);
  const [site, most] = spent.reduce((a, b) => (b[1].left < a[1].left ? b : a));
  const share = most.spent / (most.spent + most.left);
  const kind = share > 0.9 ? "warn" : "";
  return tile("Privacy budget", `ε ${most.left.toFixed(2)} left`, kind, `at ${site}; ${most.spent.toFixed(2)} spent`, share);
}

function released({ release, blocked }) {
  if (release) {
    const newer = blocked && blocked.at > release.at;
    return tile("Gate", "passed", newer ? "warn" : "good", newer ? "in force; a newer model was blocked" : `in force: ${release.digest.slice(0, 12)}`);
  }
  if (blocked) return tile("Gate", "blocked", "bad", plural(blocked.reasons.length, "reason"));
  return tile("Gate", "no release", "", "nothing was judged yet");
}

function alarmed({ monitor }) {
  const states = Object.values(monitor?.sites ?? {});
  if (!states.length) return tile("Alarms", "–", "", "nothing is watched yet");
  const of = (phase) => states.filter((state) => state.phase === phase).length;
  const more = `period ${Math.max(...states.map((state) => state.period))}, ${plural(of("warned"), "warning")}`;
  return tile("Alarms", String(of("alarmed")), of("alarmed") ? "bad" : "good", more);
}

export function tiles(state) {
  return [training(state), budget(state), released(state), alarmed(state)];
}
