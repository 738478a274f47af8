/* What passes right now: routes, outcomes, reasons of refusals, health. All of it from the samples of live.js. */

import { Chart, swatch } from "./chart.js";
import { find, make, setEmpty, setTable, setTiles } from "./dom.js";
import { count, duration, percent, rate, readable, size, time } from "./format.js";

const MINUTE = 60;

/* A kind of line chart with its table: rows of `part`, charts of picked values. */
class Panel {
  constructor({ part, empty, table, columns, charts }) {
    Object.assign(this, { part, empty, table: find(table), columns });
    this.charts = charts.map(({ box, title, value, pick }) => ({
      pick, chart: new Chart(find(box), { value, titledBy: title, describedBy: table }) }));
  }

  show(live) {
    const names = live.names(this.part);
    setEmpty(this.empty, names.length === 0);
    if (!names.length) return;
    setTable(this.table, this.columns, names.map((name, place) => row(live, this.part, name, place)));
    for (const { chart, pick } of this.charts) chart.show(names, live.columns(this.part, names, pick));
  }
}

function row(live, part, name, place) {
  const last = live.samples.map(sample => sample[part][name]);
  const minute = last.slice(-MINUTE);
  return { name, place, now: last.at(-1) ?? {},
           mean: minute.reduce((sum, one) => sum + (one?.n ?? 0), 0) / minute.length,
           high: Math.max(...last.map(one => one?.n ?? 0)),
           latest: last.findLast(one => one?.n) ?? {} };
}

const named = title => ({ title, sort: one => one.name,
                          cell: one => make("span", {}, swatch(one.place), readable(one.name)) });
const rates = [
  { title: "now", sort: one => one.now.n ?? 0, cell: one => rate(one.now.n) },
  { title: "mean of a minute", sort: one => one.mean, cell: one => rate(one.mean) },
  { title: "highest", sort: one => one.high, cell: one => rate(one.high) },
  { title: "since start", sort: one => one.now.total ?? 0, cell: one => count(one.now.total) },
];
const latencies = [
  { title: "median", sort: one => one.latest.p50_us ?? 0, cell: one => time(one.latest.p50_us) },
  { title: "99th percentile", sort: one => one.latest.p99_us ?? 0, cell: one => time(one.latest.p99_us) },
];
const perSecond = one => one?.n ?? 0;

export function trafficPanels() {
  return [
    new Panel({ part: "routes", empty: "traffic", table: "routes", columns: [named("Route"), ...rates, ...latencies],
      charts: [{ box: "rate-chart", title: "rate-title", value: rate, pick: perSecond },
               { box: "latency-chart", title: "latency-title", value: time, pick: one => one?.p99_us ?? null }] }),
    new Panel({ part: "outcomes", empty: "outcomes", table: "outcome-rows", columns: [named("Outcome"), ...rates],
      charts: [{ box: "outcome-chart", title: "outcome-title", value: rate, pick: perSecond }] }),
    new Panel({ part: "refusals", empty: "refusals", table: "refusal-rows", columns: [named("Reason"), ...rates],
      charts: [{ box: "refusal-chart", title: "refusal-title", value: rate, pick: perSecond }] }),
  ];
}

export function showNow(sample) {
  const routes = Object.values(sample.routes), n = (part, name) => sample[part][name]?.n ?? 0;
  setTiles(find("now"), [
    { name: "Requests per second", value: rate(routes.reduce((sum, one) => sum + one.n, 0)) },
    { name: "Recorded per second", value: rate(n("outcomes", "recorded")) },
    { name: "Duplicates per second", value: rate(n("outcomes", "duplicate")) },
    { name: "Refused per second", value: rate(n("outcomes", "refused")) },
    { name: "Slowest 99th percentile", value: time(Math.max(0, ...routes.map(one => one.p99_us ?? 0))) },
  ]);
}

/* What a data file has, and a database elsewhere does not tell. */
function fileTiles(health) {
  const walLevel = health.wal_bytes > 256 * 1024 * 1024 ? "warn" : undefined;
  return [
    { name: "Database", value: size(health.database_bytes) },
    { name: "WAL", value: size(health.wal_bytes), level: walLevel, note: walLevel && "large: a long reader holds it" },
    { name: "Index memory", value: size(health.index_bytes), note: `${count(health.index_entries)} keys` },
  ];
}

/* A level is a colour; the words say it too. */
export function showHealth(health) {
  const diskShare = health.disk_free_bytes / health.disk_bytes;
  const diskLevel = diskShare < 0.05 ? "bad" : diskShare < 0.15 ? "warn" : undefined;
  setTiles(find("health-tiles"), [
    { name: "Store", value: health.is_healthy ? "writes" : "refuses writes", level: health.is_healthy ? undefined : "bad",
      note: `version ${health.version}, up ${duration(health.uptime_s)}` },
    { name: "Disk", value: `${size(health.disk_free_bytes)} free`, level: diskLevel,
      note: `${diskLevel ? "little room: " : ""}${percent(health.disk_free_bytes, health.disk_bytes)} of ${size(health.disk_bytes)}` },
    ...(health.database_bytes ? fileTiles(health) : [{ name: "Database", value: "PostgreSQL" }]),
    { name: "Queue", value: count(health.queue_length), note: "waiting for the next commit" },
    { name: "Commit, 99th percentile", value: time(health.commit_p99_us) },
    { name: "Connections", value: count(health.connections) },
    { name: "Memory", value: size(health.resident_bytes) },
  ]);
}
