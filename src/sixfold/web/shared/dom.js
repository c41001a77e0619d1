// Elements from data. Text is only ever set as text: nothing here reads markup.

/** An element: attributes by name, functions as listeners; null, undefined and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

export function show(element, shown) {
  element.hidden = !shown;
}

const whole = new Intl.NumberFormat("en");
export const count = (n) => whole.format(n ?? 0);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Seconds as people read them. */
export function seconds(value_s) {
  return value_s < 0.0995
    ? `${Math.max(1, Math.round(value_s * 1000))} ms`
    : `${value_s.toFixed(value_s < 9.95 ? 2 : 1)} s`;
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) {
    n /= 1000;
    at += 1;
  }
  return `${n.toFixed(at && n < 100 ? 1 : 0)} ${units[at]}`;
}

/** A share rounded down to a tenth, so that something missing never reads as 100 %. */
export const percent = (value) => `${Math.floor(value * 10 + 1e-9) / 10} %`;

/** A share of a whole that is not nothing and never reads as nothing. */
export const share = (n, total) => (n > 0 && n / total < 0.001 ? "< 0.1 %" : percent((100 * n) / total));

/** A link if the address is one of the web, else its text: an index may hold any address. */
export function webLink(url, text = url) {
  if (!/^https?:\/\//i.test(url)) return h("span", {}, text);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

/** Positions in `text` by characters, as the service counts them, to those of a JavaScript string. */
export function unitsOf(text) {
  const units = [0];
  for (const character of text) units.push(units[units.length - 1] + character.length);
  return (at) => units[Math.max(0, Math.min(at, units.length - 1))];
}

/** The text as nodes with its spans (characters [start, end)) in marks; spans may overlap. */
export function withMarks(text, spans) {
  const at = unitsOf(text);
  const nodes = [];
  let written = 0;
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const from = Math.max(at(start), written);
    const to = at(end);
    if (to <= from) continue;
    nodes.push(text.slice(written, from), h("mark", {}, text.slice(from, to)));
    written = to;
  }
  nodes.push(text.slice(written));
  return nodes;
}
