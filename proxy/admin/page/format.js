// Numbers, times and keys as people read them. Pure: no element, no clock of its own.
//
// Everything here returns text, which goes into the page as text only. Hostile key names are
// made harmless to the eye as well: what would turn the direction of writing, hide itself or
// break the line is written as an escape.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const NOTHING = "–";

// Controls, zero-width characters, and the marks and overrides of bidirectional text.
const TREACHEROUS =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Return `12,345`; an en dash for what is not known. */
export function count(value) {
  return Number.isFinite(value) ? WHOLE.format(value) : NOTHING;
}

/** Return a number in at most four characters and a letter: `950`, `1.2k`, `34k`, `5.6M`. */
export function short(value) {
  if (!Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e9) return `${digits(value / 1e9)}G`;
  if (size >= 1e6) return `${digits(value / 1e6)}M`;
  if (size >= 1e4) return `${digits(value / 1e3)}k`;
  if (size >= 100 || Number.isInteger(value)) return count(value);
  return digits(value);
}

/** Return milliseconds with the unit that suits them: `85 µs`, `1.20 ms`, `3.4 s`. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return NOTHING;
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${WHOLE.format(ms * 1000)} µs`;
  if (ms < 1000) return `${digits(ms)} ms`;
  return `${digits(ms / 1000)} s`;
}

/** Return bytes with a binary unit: `512 B`, `1.5 KiB`. */
export function bytes(value) {
  if (!Number.isFinite(value)) return NOTHING;
  let unit = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? WHOLE.format(size) : digits(size)} ${UNITS[unit]}`;
}

/** Return how long something has been: `8 s`, `3 min`, `2 h 05 min`, `4 d 3 h`. */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) {
    return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
  }
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** Return the reader's own time of day for a unix time in seconds: `14:03:59`. */
export function clock(unix) {
  if (!Number.isFinite(unix)) return NOTHING;
  const time = new Date(unix * 1000);
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}

/** Return text from the cluster with everything invisible or misleading written out. */
export function plain(text) {
  return String(text).replace(TREACHEROUS, (character) => {
    const code = character.codePointAt(0);
    return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
  });
}

/** Return the beginning of a long text, and how long it is; the proxy may have cut it too. */
export function cut(text, limit) {
  const whole = plain(text);
  return whole.length <= limit
    ? whole
    : `${whole.slice(0, limit)}… (${count(whole.length)} characters or more)`;
}

/** Return `1 slot` or `5 slots`. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function digits(value) {
  const size = Math.abs(value);
  if (size >= 100) return WHOLE.format(value);
  return value.toFixed(size >= 10 ? 1 : 2);
}

function hex(code, width) {
  return code.toString(16).padStart(width, "0");
}

function pad(number) {
  return String(number).padStart(2, "0");
}
