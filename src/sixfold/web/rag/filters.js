// What a question is restricted to, and how it is to be answered.

import { byId, count, h } from "./shared/dom.js";

const names = new Intl.DisplayNames(["en"], { type: "language" });

/** Fill the choices with what the index has. */
export function offer(facts) {
  fill(
    byId("language"),
    (facts.languages ?? []).map(({ language, passages }) => [language, nameOf(language), passages]),
  );
  fill(
    byId("host"),
    (facts.hosts ?? []).map(({ host, passages }) => [host, host, passages]),
  );
}

function fill(select, choices) {
  const chosen = select.value;
  const options = choices.map(([value, name, n]) => h("option", { value }, `${name} (${count(n)})`));
  select.replaceChildren(h("option", { value: "" }, "all"), ...options);
  choose(select, chosen);
}

/** A value that the index does not list (of a link, or beyond the most frequent) is offered all the same. */
function choose(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.append(h("option", { value }, value));
  }
  select.value = value;
}

function nameOf(language) {
  try {
    return names.of(language) ?? language;
  } catch {
    return language;
  }
}

/** The fields of a request that say what is wanted. */
export function wanted() {
  const filters = {};
  if (byId("language").value) filters.language = byId("language").value;
  if (byId("host").value) filters.host = byId("host").value;
  return { mode: document.querySelector('input[name="mode"]:checked').value, filters };
}

/** Set them as a link says. */
export function want(parameters) {
  choose(byId("language"), parameters.get("language") ?? "");
  choose(byId("host"), parameters.get("host") ?? "");
  const mode = parameters.get("mode") === "extractive" ? "extractive" : "auto";
  document.querySelector(`input[name="mode"][value="${mode}"]`).checked = true;
}

/** The question and what it is restricted to, as the fragment of a link. */
export function linkOf(question) {
  const { mode, filters } = wanted();
  const parameters = new URLSearchParams({ q: question, ...filters });
  if (mode !== "auto") parameters.set("mode", mode);
  return `#${parameters}`;
}
