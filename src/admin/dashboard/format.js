/* Numbers as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = number => grouped.format(number ?? 0);

export function rate(perSecond) {
  return short.format(perSecond ?? 0);
}

export function time(us) {
  if (!us) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  return us < 1e6 ? `${short.format(us / 1000)} ms` : `${short.format(us / 1e6)} s`;
}

export function size(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024;
  return `${short.format(bytes ?? 0)} ${UNITS[unit]}`;
}

export function percent(part, whole) {
  return whole ? `${(part * 100 / whole).toFixed(1)} %` : "–";
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

export function ago(atMs) {
  return atMs ? `${duration(Math.max(0, (Date.now() - atMs) / 1000))} ago` : "never";
}

/* An exact decimal text with its thousands grouped; nothing is rounded but what lies behind cents. */
export function money(decimal) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal) ?? [];
  if (whole === undefined) return String(decimal);
  const digits = fraction.replace(/0+$/, "").padEnd(2, "0");
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${digits}`;
}

export const readable = name => name.replaceAll("_", " ");
