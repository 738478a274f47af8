/* Lines over the last five minutes, drawn by uPlot (a global: its file is a plain script), and the sparklines. */

import { draw } from "./dom.js";

const COLOURS = 8;
const DASHES = [undefined, [6, 3], [2, 2]];
const HEIGHT = 220;
const WINDOW_MIN_S = 60;

const style = getComputedStyle(document.documentElement);
const colour = name => style.getPropertyValue(name).trim();
const strokeOf = place => `--c${place % COLOURS}`;
const dashOf = place => DASHES[Math.floor(place / COLOURS) % DASHES.length];

/* The line of a series as its table shows it, so that the table is the legend. */
export function swatch(place) {
  const line = draw("line", { x1: 0, y1: 5, x2: 22, y2: 5, "stroke-width": 3 });
  line.style.stroke = `var(${strokeOf(place)})`;
  if (dashOf(place)) line.setAttribute("stroke-dasharray", dashOf(place).join(" "));
  return draw("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" }, line);
}

const all = new Set();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of all) chart.plot?.redraw(false, true);
});

export class Chart {
  /* `value` formats what the left axis says; `describedBy` is the table with the same figures. */
  constructor(box, { value, titledBy, describedBy }) {
    Object.assign(this, { box, value, names: [], plot: undefined });
    box.setAttribute("role", "img");
    box.setAttribute("aria-labelledby", titledBy);
    box.setAttribute("aria-describedby", describedBy);
    new ResizeObserver(() => this.plot?.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
    all.add(this);
  }

  /* `names` of the lines; `columns` is [seconds, values of the first line, ...]. */
  show(names, columns) {
    if (!this.box.clientWidth) return;
    if (!this.plot || names.join("\n") !== this.names.join("\n")) this.start(names, columns);
    else this.plot.setData(columns);
  }

  start(names, columns) {
    this.plot?.destroy();
    this.names = names;
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--grid"), width: 1 },
                   ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: this.box.clientWidth, height: HEIGHT, legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: (_, low, high) => [Math.min(low, high - WINDOW_MIN_S), high] },
                y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, values: "{HH}:{mm}:{ss}", space: 80, size: 28 },
             { ...axis, size: 62, values: (_, ticks) => ticks.map(tick => tick ? this.value(tick) : "0") }],
      padding: [8, 8, 0, 0],
      series: [{}, ...names.map((name, place) => ({
        label: name, width: 2, stroke: () => colour(strokeOf(place)), dash: dashOf(place),
        points: { size: 4 } }))],
    }, columns, this.box);
  }
}

/* Values from old to new as a small line; `words` say it to those who do not see it. */
export function sparkline(values, words) {
  const width = 110, height = 22, high = Math.max(1, ...values);
  const step = width / Math.max(1, values.length - 1);
  const points = values.map((value, place) =>
    `${(place * step).toFixed(1)},${(height - 1 - value * (height - 2) / high).toFixed(1)}`);
  return draw("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
                       "aria-label": words }, draw("polyline", { points: points.join(" ") }));
}
