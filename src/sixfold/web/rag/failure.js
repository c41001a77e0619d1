// What is shown when a request fails: a sentence, and when and how to try again.

import { inWords } from "./api.js";
import { byId, h, show } from "./shared/dom.js";

const SOONEST_S = 1;
let clock = null;

export function clearFailure() {
  clearInterval(clock);
  const place = byId("failure");
  place.replaceChildren();
  show(place, false);
}

/** retry: what the button does; a service that named a time is not asked before it. */
export function showFailure(failure, retry) {
  clearFailure();
  const place = byId("failure");
  show(place, true);
  const busy = failure.status === 429 || failure.status === 503;
  const button = h("button", { type: "button", class: "main", click: retry }, "Try again");
  const wait = h("p", { class: "wait" });
  place.replaceChildren(
    h("div", { class: "notice bad", role: "alert" }, h("p", {}, inWords(failure))),
    h("div", { class: "retry" }, button, wait),
  );
  if (!busy) return;
  let left_s = Math.max(SOONEST_S, failure.retryAfter_s ?? SOONEST_S);
  button.disabled = true;
  const tick = () => {
    wait.textContent = left_s > 0 ? `in ${left_s} s` : "There may be room now.";
    if (left_s <= 0) {
      clearInterval(clock);
      button.disabled = false;
      if (document.activeElement === document.body) button.focus();
    }
    left_s -= 1;
  };
  tick();
  clock = setInterval(tick, 1000);
}
