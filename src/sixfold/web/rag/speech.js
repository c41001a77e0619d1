// What a screen reader says of an answer while it is written: whole sentences, each once.

import { byId, h } from "./shared/dom.js";

let waiting = "";

export function beginSpeech() {
  waiting = "";
  byId("spoken").replaceChildren();
}

/** More of the answer; what is a whole sentence by now is said. */
export function speak(text) {
  waiting += text;
  const pieces = waiting.match(/[^]*?(?:[.!?…]["'”)]*(?:\s*\[\d+\])*\s+|\n)/g) ?? [];
  let end = pieces.join("").length;
  // The service sends whole sentences: the end of one such piece is the end of a sentence.
  if (/\S\s+\S+\s+\S/.test(text) && /[.!?…\])]\s*$/.test(waiting)) end = waiting.length;
  if (end > 0) say(waiting.slice(0, end));
  waiting = waiting.slice(end);
}

/** The rest, and a last remark. */
export function endSpeech(remark) {
  say(waiting);
  say(remark);
  waiting = "";
}

function say(text) {
  const words = text.replace(/(?:\s*\[\d+\])+/g, (marks) => `, source ${marks.match(/\d+/g).join(" and ")}`).trim();
  if (/[\p{L}\p{N}]/u.test(words)) byId("spoken").append(h("p", {}, words));
}
