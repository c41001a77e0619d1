// The side panel: one passage with the exact spans that were cited, and the original page beside it.

import { getJson, inWords, request } from "./api.js";
import { byId, h, show, webLink, withMarks } from "./shared/dom.js";

const FRAME = "allow-popups allow-popups-to-escape-sandbox"; // no scripts, no forms, no origin
const narrow = matchMedia("(max-width: 1000px)");

let opener = null;
let loading = new AbortController();

export const isOpen = () => !byId("panel").hidden;

/** Show a passage. spans: characters [start, end) of its text; from: what the focus returns to. */
export function openPanel(passage, spans, from) {
  opener = from;
  loading.abort();
  loading = new AbortController();
  byId("panel-number").textContent = spans.length
    ? `Source ${passage.number}, cited span marked`
    : `Passage ${passage.number}`;
  byId("panel-title").textContent = passage.title || passage.url;
  byId("panel-url").replaceChildren(webLink(passage.url));
  const text = byId("panel-passage");
  text.lang = passage.language ?? "";
  text.replaceChildren(...withMarks(passage.text, spans));
  byId("panel-source").textContent = "";
  byId("panel-original").replaceChildren(h("p", { class: "progress" }, "Reading the stored page…"));
  show(byId("panel"), true);
  arrange();
  const mark = text.querySelector("mark");
  text.scrollTop = mark ? mark.offsetTop - text.clientHeight / 3 : 0;
  byId("panel-title").focus({ preventScroll: true });
  const { signal } = loading;
  original(passage, spans[0], signal);
  source(passage, signal);
}

/** Close it and give the focus back. */
export function closePanel() {
  if (!isOpen()) return;
  loading.abort();
  show(byId("panel"), false);
  byId("panel-original").replaceChildren();
  arrange();
  if (opener?.isConnected) opener.focus();
  else byId("question").focus();
  opener = null;
}

/** The stored page, scrolled to the passage by its fragment; what is wrong with it is said in words. */
async function original(passage, cited, signal) {
  const { theme } = document.documentElement.dataset; // a frame knows the system's only
  const wanted = new URLSearchParams({ ...(cited && { start: cited[0], end: cited[1] }), ...(theme && { theme }) });
  const path = `/v1/passages/${encodeURIComponent(passage.chunk_id)}/original${wanted.size ? `?${wanted}` : ""}`;
  const place = byId("panel-original");
  try {
    const response = await request(path, { signal }); // a frame cannot tell that it shows an error
    await response.body?.cancel();
  } catch (error) {
    if (error.name !== "AbortError") place.replaceChildren(h("p", { class: "notice bad" }, inWords(error)));
    return;
  }
  if (signal.aborted) return;
  const title = `Original page of source ${passage.number}, the passage marked`;
  place.replaceChildren(h("iframe", { src: `${path}#passage`, sandbox: FRAME, referrerpolicy: "no-referrer", title }));
}

/** Where the record of the passage lies. */
async function source(passage, signal) {
  try {
    const { source: from, shard } = await getJson(`/v1/passages/${encodeURIComponent(passage.chunk_id)}`, signal);
    const file = from.file.split("/").pop();
    byId("panel-source").textContent =
      `Characters ${passage.start} to ${passage.end} of the document · ` +
      `${file} at byte ${from.offset} · shard ${shard}`;
  } catch (error) {
    if (error.name !== "AbortError") byId("panel-source").textContent = "";
  }
}

/** On a narrow screen the panel covers the page, which then takes no part. */
function arrange() {
  document.body.classList.toggle("with-panel", isOpen());
  for (const element of document.querySelectorAll("main, header.top")) element.inert = isOpen() && narrow.matches;
}

export function startPanel() {
  byId("panel-close").addEventListener("click", closePanel);
  narrow.addEventListener("change", arrange);
}
