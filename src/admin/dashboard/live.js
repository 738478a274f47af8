/* GET /v1/live: one JSON a second, kept for five minutes. */

const KEPT = 300;
const SILENT_MS = 5000;

export class Live {
  constructor({ onSample, onState }) {
    Object.assign(this, { onSample, onState, samples: [], timer: undefined });
    this.open();
  }

  open() {
    const source = new EventSource("/v1/live");
    source.onmessage = message => this.take(JSON.parse(message.data));
    source.onerror = () => this.lose(source);
  }

  /* The server sends what it remembers first; after a reconnect some of it is here already. */
  take(sample) {
    const last = this.samples.at(-1);
    if (last && sample.started_at_ms !== last.started_at_ms) this.samples = [];
    else if (last && sample.serial <= last.serial) return;
    this.samples.push(sample);
    if (this.samples.length > KEPT) this.samples.shift();
    this.onState("live");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onState("lost"), SILENT_MS);
    this.onSample(sample);
  }

  /* The browser connects again by itself, unless the server said no: then the session has ended. */
  async lose(source) {
    this.onState("lost");
    if (source.readyState !== EventSource.CLOSED) return;
    const answer = await fetch("/v1/keys").catch(() => undefined);
    if (answer?.status === 401) location.reload();
    else setTimeout(() => this.open(), 2000);
  }

  /* Names that occur in `part` of any sample kept, in the server's order of the newest that has them. */
  names(part) {
    const found = new Set();
    for (const sample of this.samples) for (const name of Object.keys(sample[part])) found.add(name);
    return [...found].sort();
  }

  /* [seconds, values of the first name, ...] */
  columns(part, names, pick) {
    return [this.samples.map(sample => sample.at_ms / 1000),
            ...names.map(name => this.samples.map(sample => pick(sample[part][name])))];
  }
}
