// The room where questions are asked: one request at a time, shown while it streams.

import { answerView, makingView, modeView, pieceView } from "./answer.js";
import { Failure, getJson, post } from "./api.js";
import { coverageView, degradedView } from "./coverage.js";
import { byId, h, plural, show } from "./shared/dom.js";
import { clearFailure, showFailure } from "./failure.js";
import { linkOf, offer, want, wanted } from "./filters.js";
import { closePanel, openPanel } from "./panel.js";
import { passageItems } from "./passages.js";
import { remember, showRecent, startRecent } from "./recent.js";
import { beginSpeech, endSpeech, speak } from "./speech.js";
import { eventsOf } from "./sse.js";

let running = null; // the AbortController of the request under way
let passages = [];
let asked = ""; // the link of the question that is shown

/** Ask a question and show what comes, to its end. */
async function ask(question) {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  begin(question);
  const began_ms = performance.now();
  const answer = { content: "", usage: null, last: null, done: false };
  try {
    const body = {
      model: "sixfold-rag",
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: "user", content: question }],
      ...wanted(),
    };
    const response = await post("/v1/chat/completions", body, controller.signal);
    for await (const data of eventsOf(response.body)) {
      if (running !== controller) return;
      if (data === "[DONE]") answer.done = true;
      else take(JSON.parse(data), answer);
    }
    if (!answer.done || !answer.last) throw new Failure(599, "The answer broke off before its end; ask again.");
    finish(answer, (performance.now() - began_ms) / 1000);
  } catch (error) {
    if (running !== controller) return;
    if (error.name === "AbortError") stopped(answer);
    else
      failed(
        error instanceof Failure
          ? error
          : new Failure(answer.content ? 599 : 0, "The answer broke off before its end; ask again."),
        question,
      );
  } finally {
    if (running === controller) {
      running = null;
      busy(false);
    }
  }
}

/** One chunk of the stream. */
function take(chunk, answer) {
  if (chunk.error) throw new Failure(500, String(chunk.error.message ?? ""));
  if (chunk.usage) answer.usage = chunk.usage;
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) {
    answer.content += choice.delta.content;
    byId("answer").append(...pieceView(choice.delta.content, passages, open));
    speak(choice.delta.content);
  }
  if (choice?.finish_reason) {
    answer.last = { annotations: choice.delta?.annotations ?? [], sixfold: chunk.sixfold ?? {} };
  } else if (chunk.sixfold?.passages) {
    found(chunk.sixfold);
  }
}

function begin(question) {
  clearFailure();
  closePanelQuietly();
  beginSpeech();
  passages = [];
  document.body.classList.add("asked");
  document.title = `${question.slice(0, 60)} · Sixfold rag`;
  byId("asked").textContent = question;
  show(byId("asked"), false); // it stands in the box
  for (const id of ["answer", "mode", "degraded", "coverage", "making", "passages"]) byId(id).replaceChildren();
  show(byId("found"), false);
  show(byId("result"), true);
  busy(true, "Searching the index…");
}

/** The passages are there before the answer is. */
function found(sixfold) {
  passages = sixfold.passages;
  byId("coverage").replaceChildren(coverageView(sixfold.coverage));
  byId("passages").replaceChildren(...passageItems(passages, new Map(), open));
  show(byId("found"), passages.length > 0);
  byId("progress").textContent = `Reading ${plural(passages.length, "passage")}…`;
}

function finish(answer, took_s) {
  const { annotations, sixfold } = answer.last;
  passages = sixfold.passages ?? passages;
  const focused = [...byId("result").querySelectorAll("button")].indexOf(document.activeElement);
  byId("answer").replaceChildren(...answerView(answer.content, annotations, sixfold, open));
  byId("mode").replaceChildren(...modeView(sixfold));
  byId("degraded").replaceChildren(...[degradedView(sixfold.degraded)].filter(Boolean));
  byId("coverage").replaceChildren(coverageView(sixfold.coverage));
  byId("making").replaceChildren(...makingView(sixfold, answer.usage, took_s).filter(Boolean));
  const cited = new Map();
  for (const { number, passage_start: start, passage_end: end } of annotations) {
    cited.set(number, [...(cited.get(number) ?? []), [start, end]]);
  }
  byId("passages").replaceChildren(...passageItems(passages, cited, open));
  show(byId("found"), passages.length > 0);
  if (focused >= 0) byId("result").querySelectorAll("button")[focused]?.focus();
  endSpeech(`End of the answer. ${byId("mode").textContent}.`);
}

function stopped(answer) {
  byId("mode").textContent = "stopped before its end";
  if (!answer.content) byId("answer").replaceChildren(h("p", { class: "note" }, "You stopped this question."));
  endSpeech("Stopped.");
}

function failed(failure, question) {
  show(byId("result"), Boolean(byId("answer").textContent));
  byId("mode").textContent = "not whole";
  showFailure(failure, () => {
    byId("question").focus();
    ask(question);
  });
}

function busy(is, words = "") {
  const [shown, hidden] = is ? ["stop", "send"] : ["send", "stop"];
  const moves = document.activeElement === byId(hidden); // the focus must not fall to the page when a button goes
  show(byId(shown), true);
  if (moves) byId(shown).focus({ preventScroll: true });
  show(byId(hidden), false);
  byId("answer").setAttribute("aria-busy", String(is));
  byId("progress").textContent = words;
  show(byId("progress"), is);
}

function open(number, spans, from) {
  const passage = passages[number - 1];
  if (passage) openPanel({ ...passage, number }, spans, from);
}

function closePanelQuietly() {
  const focused = document.activeElement;
  closePanel();
  focused?.focus?.({ preventScroll: true });
}

function submit() {
  const question = byId("question").value.trim();
  if (!question) {
    byId("question").focus();
    return;
  }
  const link = linkOf(question);
  remember(question, link);
  if (location.hash === link) {
    enter(new URLSearchParams(link.slice(1)), true);
  } else {
    location.hash = link; // an entry of the history for each question; the room opens it
  }
}

/** Come to the room by a link: with a question in it, ask that. */
export function enter(parameters, again = false) {
  const question = parameters.get("q")?.trim().slice(0, 4000) ?? "";
  if (!question) {
    leave();
    asked = "";
    document.body.classList.remove("asked");
    for (const id of ["result", "failure"]) show(byId(id), false);
    showRecent();
    byId("question").focus({ preventScroll: true });
    return;
  }
  want(parameters);
  byId("question").value = question;
  const link = linkOf(question);
  remember(question, link);
  showRecent(link);
  if (link === asked && !again) return;
  asked = link;
  ask(question);
}

/** What is under way is given up. */
export function leave() {
  running?.abort();
}

/** Wire the room; the choices and the lede come from the index, as soon as it says. */
export function startAsking() {
  startRecent();
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  byId("question").addEventListener("input", () => {
    const other = byId("question").value.trim() !== byId("asked").textContent;
    show(byId("asked"), other); // what the answer below answers
  });
  byId("stop").addEventListener("click", () => {
    running?.abort();
    byId("question").focus();
  });
  getJson("/v1/index")
    .then((facts) => {
      offer(facts);
      byId("ask-lede").textContent =
        `${plural(facts.passages, "passage")} of ${plural(facts.documents, "document")}. ` +
        "Every sentence of an answer leads to its place in the original page.";
    })
    .catch(() => {}); // the first question will say what is wrong
}
