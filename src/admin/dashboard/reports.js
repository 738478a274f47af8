/* What was counted: campaigns, value, polls, feedback, keys. Asked for again when the live figures say that
 * something new was recorded, at most every five seconds. */

import { sparkline } from "./chart.js";
import { bar, find, make, setEmpty, setTable, setText, setTiles } from "./dom.js";
import { ago, count, money as decimal, percent, readable } from "./format.js";

const PAUSE_MS = 5000;
const LONGEST_MS = 60000;
const COMMENTS = 20;
const CAMPAIGNS = 200;

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
    if (Number(this.range.value) !== days) this.load();
  }
}

/* -- campaigns and their value ------------------------------------------------------------------------------ */

const HOUR_MS = 3600e3;

/* The time asked for in whole steps of UTC: hours of a day, days of more; the step that runs now is the last. */
function period(days) {
  const step = days > 1 ? 24 * HOUR_MS : HOUR_MS, steps = days > 1 ? days : 24;
  const end = Math.floor(Date.now() / step) * step + step;
  return { by: days > 1 ? "day" : "hour", step, steps, from: end - steps * step, to: end };
}

async function report(kind, { from, to }, more = {}) {
  const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), ...more });
  return (await ask(`/v1/reports/${kind}?${query}`)).rows;
}

async function showCampaigns(days) {
  const span = period(days);
  const [rows, steps, money, value] = await Promise.all([
    report("traffic", span, { by: "campaign" }), report("traffic", span, { by: `campaign,${span.by}` }),
    report("money", span, { by: "campaign" }), report("money", span)]);
  const of = new Map(rows.map(row => [row.campaign, { line: new Array(span.steps).fill(0), value: [] }]));
  for (const row of steps) {
    const place = Math.floor((Date.parse(row[span.by]) - span.from) / span.step);
    if (place >= 0 && place < span.steps) of.get(row.campaign).line[place] += Number(row.clicks);
  }
  for (const row of money) of.get(row.campaign)?.value.push(row);
  rows.sort((a, b) => b.impressions - a.impressions || b.clicks - a.clicks);
  setEmpty("campaigns", rows.length === 0);
  setText(find("campaign-rows-title"), rows.length > CAMPAIGNS
    ? `The ${CAMPAIGNS} largest of ${count(rows.length)} campaigns; adtally report lists all` : "Campaigns");
  setTable(find("campaign-rows"), campaignColumns(span.by),
           rows.slice(0, CAMPAIGNS).map(row => ({ ...row, ...of.get(row.campaign) })));
  setTiles(find("value"), value.filter(hasValue).map(
    row => ({ name: `Conversion value, ${row.currency}`, value: decimal(row.value) })));
}

const hasValue = row => Number(row.value) !== 0;

function campaignColumns(by) {
  return [
    { title: "Campaign", sort: row => row.campaign, cell: row => row.campaign || "(none)" },
    { title: "Impressions", sort: row => row.impressions, cell: row => count(row.impressions) },
    { title: "Clicks", sort: row => row.clicks, cell: row => count(row.clicks) },
    { title: `Clicks by ${by}`, cell: row => sparkline(row.line, spoken(row.line, by)) },
    { title: "CTR", sort: row => row.clicks / (row.impressions || 1), cell: row => percent(row.clicks, row.impressions) },
    { title: "Conversions", sort: row => row.conversions, cell: row => count(row.conversions) },
    { title: "Value", cell: row => row.value.filter(hasValue)
        .map(one => `${decimal(one.value)} ${one.currency}`).join(", ") || "–" },
  ];
}

function spoken(line, by) {
  return `clicks by ${by}: from ${Math.min(...line)} to ${Math.max(...line)}, now ${line.at(-1)}`;
}

/* -- polls -------------------------------------------------------------------------------------------------- */

async function showPolls() {
  const polls = new Map();
  for (const row of (await ask("/v1/reports/polls")).rows)
    polls.set(row.poll, [...(polls.get(row.poll) ?? []), row]);
  setEmpty("polls", polls.size === 0);
  find("poll-list").replaceChildren(...[...polls].map(([id, options]) => card(id, options)));
}

function card(id, options) {
  const votes = options.reduce((sum, option) => sum + Number(option.votes), 0);
  return make("article", {}, make("h3", {}, options[0].question),
    make("div", { class: "bars" }, ...options.map(option => bar(option.text || option.option,
      `${count(option.votes)}, ${percent(option.votes, votes)}`, option.votes / (votes || 1)))),
    make("p", { class: "quiet" }, `Poll ${id}, ${count(votes)} votes`));
}

/* -- feedback ----------------------------------------------------------------------------------------------- */

async function showFeedback(days) {
  const span = period(days);
  const [[sum], reasons, comments] = await Promise.all([
    report("traffic", span), report("reasons", span), report("comments", span, { limit: COMMENTS })]);
  const positive = Number(sum.positive), all = positive + Number(sum.negative);
  setEmpty("feedback", all === 0);
  setTiles(find("feedback-share"), [
    { name: "Positive", value: percent(positive, all), note: `${count(positive)} of ${count(all)}` }]);
  find("reasons").replaceChildren(...fallback(reasons, "p", "No reason was given.",
    one => bar(one.reason, count(one.count), one.count / all)));
  find("comments").replaceChildren(...fallback(comments, "li", "No comment was left.", comment));
}

function fallback(rows, tag, words, draw) {
  return rows.length ? rows.map(draw) : [make(tag, { class: "quiet" }, words)];
}

function comment(one) {
  const facts = [readable(one.sentiment), one.campaign, one.publisher, ago(Date.parse(one.time))];
  return make("li", {}, make("p", {}, one.comment), make("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
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
