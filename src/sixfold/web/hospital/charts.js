// Small charts in SVG, each with a text that says the same.

const SPACE = "http://www.w3.org/2000/svg";

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

function chart(kind, width, height, label, ...parts) {
  return s("svg", { class: kind, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts);
}

/** An estimate from 0 to 1 with its interval, and the floor that it has to reach. */
export function interval({ value, low, high }, floor) {
  if (value === null) return "";
  const x = (share) => 4 + 132 * share;
  const label = `${value.toFixed(3)}, 95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}, floor ${floor}`;
  return chart(
    "interval", 140, 18, label,
    s("line", { class: "axis", x1: 4, x2: 136, y1: 9, y2: 9 }),
    s("line", { class: "limit", x1: x(floor), x2: x(floor), y1: 0, y2: 18 }),
    s("line", { class: "range", x1: x(low), x2: x(high), y1: 9, y2: 9 }),
    s("circle", { class: "dot", cx: x(value), cy: 9, r: 4 }),
  );
}

/** For each attempt a bar of hospitals: counted from below, missing above. */
export function attempts(list) {
  const step = Math.min(60, 860 / list.length);
  const width = Math.max(300, 34 + step * list.length);
  const height = 130;
  const most = Math.max(...list.map((each) => each.asked.length));
  const y = (n) => 104 - (94 * n) / most;
  const parts = [
    s("line", { class: "axis", x1: 30, x2: width, y1: 104, y2: 104 }),
    s("text", { x: 22, y: 16, "text-anchor": "end" }, String(most)),
    s("text", { x: 22, y: 107, "text-anchor": "end" }, "0"),
  ];
  const every = Math.ceil(list.length / 30);
  list.forEach((each, at) => {
    const box = { x: 34 + at * step, width: Math.max(2, step - 6) };
    const title = s("title", {}, `round ${each.round}, attempt ${each.attempt}: ${each.counted.length} of ${each.asked.length} counted`);
    const [asked, counted] = [y(each.asked.length), y(each.counted.length)];
    if (counted > asked) {
      const kind = each.counted.length ? "absent" : "failed";
      parts.push(s("rect", { ...box, class: kind, y: asked, height: counted - asked }));
    }
    parts.push(s("rect", { ...box, class: "counted", y: counted, height: 104 - counted }, title));
    if (at % every === 0) parts.push(s("text", { x: box.x + box.width / 2, y: 122, "text-anchor": "middle" }, String(each.round)));
  });
  const whole = list.filter((each) => each.counted.length === each.asked.length).length;
  const label = `${list.length} attempts, in ${whole} of them everybody who was asked was counted`;
  const drawn = chart("chart", width, height, label, ...parts);
  drawn.style.maxWidth = `${width}px`;
  return drawn;
}

/** Drift by period as a share of its limit, on a line where 1 is the limit. */
export function drift(history) {
  const width = 300;
  const height = 110;
  const known = history.filter((each) => each.drift !== null);
  const top = Math.max(1.25, ...known.map((each) => Math.min(each.drift, 5)));
  const first = history[0].period;
  const last = Math.max(first + 4, history.at(-1).period);
  const x = (period) => 26 + ((width - 36) * (period - first)) / (last - first);
  const y = (value) => 90 - (82 * Math.min(value, top)) / top;
  const parts = [
    s("line", { class: "axis", x1: 22, x2: width, y1: 90, y2: 90 }),
    s("line", { class: "limit", x1: 22, x2: width, y1: y(1), y2: y(1) }),
    s("text", { x: 18, y: y(1) + 4, "text-anchor": "end" }, "1"),
    s("polyline", { class: "line", points: known.map((each) => `${x(each.period)},${y(each.drift)}`).join(" ") }),
  ];
  for (const each of known) {
    const title = s("title", {}, `period ${each.period}: ${each.drift.toFixed(2)} of the limit, ${each.phase}`);
    parts.push(s("circle", { class: `dot ${each.phase}`, cx: x(each.period), cy: y(each.drift), r: 4 }, title));
  }
  const every = Math.ceil((last - first) / 8);
  for (let period = first; period <= last; period += every) parts.push(s("text", { x: x(period), y: 106, "text-anchor": "middle" }, String(period)));
  const now = known.at(-1);
  const label = now ? `largest drift of period ${now.period}: ${now.drift.toFixed(2)} of its limit` : "no period yet";
  return chart("chart", width, height, label, ...parts);
}
