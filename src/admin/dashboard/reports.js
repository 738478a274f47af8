/* What was counted: campaigns, value, polls, feedback, keys. Asked for again when the live figures say that
 * something new was recorded, at most every five seconds. */

import { sparkline } from "./chart.js";
import { bar, find, make, setEmpty, setTable, setTiles } from "./dom.js";
import { ago, count, money, percent, readable } from "./format.js";

const PAUSE_MS = 5000;
const LONGEST_MS = 60000;
const COMMENTS = 20;

async function ask(path) {
  const answer = await fetch(path);
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export class Reports {
  constructor(range) {
    Object.assign(this, { range, asked: 0, recorded: undefined, isBusy: false });
    range.addEventListener("change", () => this.load());
    this.load();
  }

  follow(sample) {
    const recorded = Object.values(sample.routes).reduce((sum, one) => sum + one.total, 0);
    const age = Date.now() - this.asked;
    if (age > LONGEST_MS || (recorded !== this.recorded && age > PAUSE_MS)) this.load();
    this.recorded = recorded;
  }

  async load() {
    if (this.isBusy) return;
    Object.assign(this, { isBusy: true, asked: Date.now() });
    const days = Number(this.range.value);
    await Promise.allSettled([showCampaigns(days), showPolls(), showFeedback(days), showKeys()]);
    this.isBusy = false;
  }
}

/* -- campaigns and their value ------------------------------------------------------------------------------ */

const HOUR_MS = 3600e3;

/* The report's period in whole steps: hours for a day, days for more; the step that runs now is the last. */
function period(days) {
  const step = days > 1 ? 24 * HOUR_MS : HOUR_MS, steps = days > 1 ? days : 24;
  const end = Math.floor(Date.now() / step) * step + step;
  return { by: days > 1 ? "day" : "hour", step, steps, from: end - steps * step, to: end };
}

function query(by, { from, to }, more = "") {
  return `/v1/reports?by=${by}&from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}${more}`;
}

async function showCampaigns(days) {
  const span = period(days);
  const [report, steps] = await Promise.all([ask(query("campaign", span)), ask(query(`campaign,${span.by}`, span))]);
  const clicks = new Map(report.rows.map(row => [row.campaign, new Array(span.steps).fill(0)]));
  for (const row of steps.rows) {
    const line = clicks.get(row.campaign), place = Math.floor((Date.parse(row[span.by]) - span.from) / span.step);
    if (line && place in line) line[place] += row.clicks;
  }
  const rows = report.rows.map(row => ({ ...row, line: clicks.get(row.campaign) }));
  setEmpty("campaigns", rows.length === 0);
  setTable(find("campaign-rows"), campaignColumns(span.by), rows);
  showValue(report.total);
}

function campaignColumns(by) {
  return [
    { title: "Campaign", sort: row => row.campaign ?? "", cell: row => row.campaign ?? "(none)" },
    { title: "Impressions", sort: row => row.impressions, cell: row => count(row.impressions) },
    { title: "Clicks", sort: row => row.clicks, cell: row => count(row.clicks) },
    { title: `Clicks by ${by}`, cell: row => sparkline(row.line, spoken(row.line, by)) },
    { title: "CTR", sort: row => row.clicks / (row.impressions || 1), cell: row => percent(row.clicks, row.impressions) },
    { title: "Conversions", sort: row => row.conversions, cell: row => count(row.conversions) },
    { title: "Value", cell: row => amounts(row.value) || "–" },
  ];
}

function spoken(line, by) {
  return `clicks by ${by}: from ${Math.min(...line)} to ${Math.max(...line)}, now ${line.at(-1)}`;
}

function amounts(value) {
  return Object.entries(value).map(([currency, amount]) => `${money(amount)} ${currency}`).join(", ");
}

function showValue(total) {
  setTiles(find("value"), Object.entries(total.value).map(
    ([currency, amount]) => ({ name: `Conversion value, ${currency}`, value: money(amount) })));
}

/* -- polls -------------------------------------------------------------------------------------------------- */

async function showPolls() {
  const { polls } = await ask("/v1/reports/polls");
  setEmpty("polls", polls.length === 0);
  find("poll-list").replaceChildren(...polls.map(poll => make("article", {},
    make("h3", {}, poll.question),
    make("div", { class: "bars" }, ...poll.options.map(option => bar(option.text,
      `${count(option.votes)}, ${percent(option.votes, poll.votes)}`, option.votes / (poll.votes || 1)))),
    make("p", { class: "quiet" }, `Poll ${poll.id}, ${count(poll.votes)} votes${poll.withdrawn ? ", withdrawn" : ""}`))));
}

/* -- feedback ----------------------------------------------------------------------------------------------- */

async function showFeedback(days) {
  const { positive, negative, reasons, comments } = await ask(`/v1/reports/feedback?from=${
    new Date(period(days).from).toISOString()}&comments=${COMMENTS}`);
  const all = positive + negative;
  setEmpty("feedback", all === 0);
  setTiles(find("feedback-share"), [
    { name: "Positive", value: percent(positive, all), note: `${count(positive)} of ${count(all)}` }]);
  find("reasons").replaceChildren(...reasons.map(one => bar(one.reason, count(one.count), one.count / all)));
  find("comments").replaceChildren(...comments.map(one => make("li", {}, make("p", {}, one.comment),
    make("p", { class: "quiet" }, [one.positive ? "positive" : "negative", one.campaign, one.publisher, ago(one.at_ms)]
      .filter(Boolean).join(" · ")))));
}

/* -- keys --------------------------------------------------------------------------------------------------- */

async function showKeys() {
  const { keys } = await ask("/v1/keys");
  setEmpty("keys", keys.length === 0);
  setTable(find("key-rows"), [
    { title: "Key", sort: key => key.id, cell: key => key.id },
    { title: "Label", words: true, sort: key => key.label, cell: key => key.label },
    { title: "Class", words: true, sort: key => key.class, cell: key => key.class },
    { title: "Whose", words: true, cell: key => key.partner_id ?? key.publisher_id ?? "" },
    { title: "State", words: true, sort: key => key.state, cell: key => readable(key.state) },
    { title: "Uses since start", sort: key => key.uses, cell: key => count(key.uses) },
    { title: "Last used", sort: key => key.used_at_ms ?? 0, cell: key => ago(key.used_at_ms) },
  ], keys);
}
