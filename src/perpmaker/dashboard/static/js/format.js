/** Numbers, ages and foreign text as people read them. Pure. Decimals arrive as strings and keep their digits. */

export const NONE = "–";
const MINUS = "−";

/** "60012.30" -> "60,012.30"; the sign becomes a true minus. Digits are never rounded. */
export function decimal(text) {
  if (text === null || text === undefined || text === "") return NONE;
  const match = /^([+-]?)(\d+)(\.\d+)?$/.exec(String(text));
  if (!match) return clean(String(text), 40);
  const [, sign, whole, fraction = ""] = match;
  return (sign === "-" ? MINUS : "") + whole.replace(/\B(?=(\d{3})+$)/g, ",") + fraction;
}

/** As `decimal`, with zeros up to `places` digits: prices of one market stand under each other. */
export function padded(text, places) {
  const missing = places - fractionDigits(text);
  if (toNumber(text) === null || missing <= 0) return decimal(text);
  return decimal(fractionDigits(text) === 0 ? `${text}.${"0".repeat(missing)}` : `${text}${"0".repeat(missing)}`);
}

/** A number or decimal string, rounded to `places`. */
export function rounded(value, places = 2) {
  const number = toNumber(value);
  return number === null ? NONE : decimal(unsignedZero(number.toFixed(places)));
}

/** As `rounded`, with a plus where it is positive: for PnL, where the sign is the message. */
export function signed(value, places = 2) {
  const number = toNumber(value);
  if (number === null) return NONE;
  const text = unsignedZero(number.toFixed(places));
  return (Number(text) > 0 ? "+" : "") + decimal(text);
}

/** A float of unknown size with `digits` significant digits. */
export function significant(value, digits = 4) {
  const number = toNumber(value);
  if (number === null) return NONE;
  if (number === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(number)));
  return decimal(unsignedZero(number.toFixed(Math.min(10, Math.max(0, digits - 1 - size)))));
}

/** A fraction as percent. */
export function percent(fraction, places = 2) {
  const number = toNumber(fraction);
  return number === null ? NONE : `${decimal(unsignedZero((number * 100).toFixed(places)))} %`;
}

/** A duration in milliseconds: "0.3 s", "12 s", "4 min", "3 h". */
export function age(ms) {
  const number = toNumber(ms);
  if (number === null) return NONE;
  const seconds = Math.max(0, number) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Microseconds with a unit that keeps three digits. */
export function micros(value) {
  const number = toNumber(value);
  if (number === null) return NONE;
  if (number < 1000) return `${number < 10 ? number.toFixed(1) : Math.round(number)} µs`;
  return number < 1e6 ? `${(number / 1000).toFixed(1)} ms` : `${(number / 1e6).toFixed(2)} s`;
}

/** Local time of day of a nanosecond stamp given as a string. */
export function clock(ns) {
  if (ns === null || ns === undefined || !/^\d{10,20}$/.test(String(ns))) return NONE;
  const date = new Date(Number(String(ns).slice(0, -6)));
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Text that came from elsewhere: control and direction characters made visible, length limited. */
export function clean(text, limit = 400) {
  const visible = String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "�");
  return visible.length > limit ? `${visible.slice(0, limit)}…` : visible;
}

/** "BTC_USDT_Perp" -> "BTC": short where space is short. */
export function base(instrument) {
  return clean(String(instrument).split(/[_/-]/)[0], 12);
}

/** A finite number, or null for anything else. */
export function toNumber(value) {
  if (value === null || value === undefined || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** "up", "down" or "flat": the class that colours a value by its sign. */
export function direction(value) {
  const number = toNumber(value);
  return number === null || number === 0 ? "flat" : number > 0 ? "up" : "down";
}

/** The middle of two prices with one digit more than they have. */
export function middle(bid, ask) {
  if (toNumber(bid) === null || toNumber(ask) === null) return null;
  const places = Math.max(fractionDigits(bid), fractionDigits(ask)) + 1;
  return ((Number(bid) + Number(ask)) / 2).toFixed(places).replace(/0$/, "");
}

/** Digits after the point of a decimal string. */
export function fractionDigits(text) {
  const point = String(text).indexOf(".");
  return point < 0 ? 0 : String(text).length - point - 1;
}

function unsignedZero(text) {
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}
