/** What the page knows: a full frame replaces it, the others add to it. Pure; nothing is changed in place. */

import { fractionDigits } from "./format.js";

const MAX_CANDLES = 1500;
const MAX_FILLS = 2000;
const MAX_EQUITY = 3600;
export const MAX_LOGS = 3000;

/** Maps, not objects: names come from venues and may be anything. */
export function empty() {
  return {
    number: 0,
    ts_ns: null,
    link: { state: "connecting", detail: "", age_ms: null },
    lag_ms: 0,
    version: "",
    page: "",
    status: null,
    books: new Map(),
    places: new Map(),
    candles: new Map(),
    fills: [],
    equity: [],
    logs: [],
  };
}

/** Whether `frame` can be added to `picture`; a missed number means that history may have a hole. */
export function fits(picture, frame) {
  return frame.full || (picture.number !== 0 && frame.number === picture.number + 1);
}

/** Return the picture after `frame`. */
export function apply(picture, frame) {
  const known = frame.full ? empty() : picture;
  return {
    number: frame.number,
    ts_ns: frame.ts_ns,
    link: frame.link,
    lag_ms: frame.lag_ms,
    version: frame.version,
    page: frame.page,
    status: withFields(known.status, frame.status),
    books: merged(known.books, frame.books, (_, book) => book),
    places: withPlaces(picture.places, frame.books),
    candles: merged(known.candles, frame.candles, (old, rows) => withCandles(old ?? [], rows)),
    fills: appended(known.fills, frame.fills, MAX_FILLS),
    equity: appended(known.equity, frame.equity, MAX_EQUITY),
    logs: appended(known.logs, frame.logs, MAX_LOGS),
  };
}

/** Earlier log lines, read on demand, put before those that are known. */
export function withEarlierLogs(picture, lines) {
  const first = picture.logs.length ? picture.logs[0].number : Infinity;
  const earlier = lines.filter((line) => line.number < first);
  return earlier.length ? { ...picture, logs: [...earlier, ...picture.logs].slice(-MAX_LOGS) } : picture;
}

function withFields(status, fields) {
  if (Object.keys(fields).length === 0) return status;
  return { ...(status ?? {}), ...fields };
}

function merged(known, entries, join) {
  const changed = Object.entries(entries);
  if (changed.length === 0) return known;
  const next = new Map(known);
  for (const [name, value] of changed) next.set(name, join(next.get(name), value));
  return next;
}

/** Digits after the point of each market's prices: the most that were ever seen, as trailing zeros may be missing. */
function withPlaces(known, books) {
  let next = known;
  for (const [name, book] of Object.entries(books)) {
    const most = Math.max(known.get(name) ?? 0, ...[...book.bids, ...book.asks].map((row) => fractionDigits(row[0])));
    if (most === known.get(name)) continue;
    if (next === known) next = new Map(known);
    next.set(name, most);
  }
  return next;
}

function appended(known, rows, limit) {
  if (rows.length === 0) return known;
  const next = known.concat(rows);
  return next.length > limit ? next.slice(-limit) : next;
}

/** Candles that exist are replaced, new ones come at the end; a late one finds its place. */
function withCandles(known, rows) {
  const next = known.slice();
  for (const row of rows) {
    let index = next.length;
    while (index > 0 && next[index - 1].open_s > row.open_s) index -= 1;
    if (index > 0 && next[index - 1].open_s === row.open_s) next[index - 1] = row;
    else next.splice(index, 0, row);
  }
  return next.length > MAX_CANDLES ? next.slice(-MAX_CANDLES) : next;
}
