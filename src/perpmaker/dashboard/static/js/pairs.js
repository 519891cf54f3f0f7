/** Choosing a pair: which markets fit, what a size comes to on both venues, what it costs. Pure; the engine has the last word. */

import { middle, toNumber } from "./format.js";

/** Mode, its name, and what it does. */
export const MODES = [
  ["alternate", "Alternate", "Builds and closes in turn; each turn is a cycle."],
  ["open_and_close", "Open and close at once", "Builds, waits for the delay, closes."],
  ["build_hold_close", "Build, hold, close", "Builds, holds for some minutes, closes."],
  ["build_and_hold", "Build and hold", "Builds and ends; the position stays."],
  ["close_existing", "Close existing", "Closes what both accounts hold against each other."],
  ["make", "Quote across the venues", "Quotes both sides of the lead from the hedge's prices until it is stopped; every fill is hedged."],
];
export const DIRECTIONS = [
  ["buy", "Buy the lead"],
  ["sell", "Sell the lead"],
  ["alternating", "In turn"],
  ["basis", "By the basis (z-score)"],
  ["funding", "Where funding is earned"],
];

/** What a new form holds; empty texts are left to the strategy's own defaults. */
export const EMPTY = {
  instrument: "", hedge_instrument: "", account: "", hedge_account: "", mode: "alternate", size: "", clip: "", size_in: "contracts", iterations: "1",
  "rule.direction": "buy", delay_s: "", hold_min: "", pause_s: "", "rule.entry_edge_bps": "", "rule.exit_edge_bps": "",
  "maker.stability_s": "", "maker.timeout_s": "", "maker.on_timeout": "", "hedge.max_slippage_bps": "", on_unexpected: "", min_profit_bps: "",
};
/** Fields that only one mode has. */
export const OF_MODE = { delay_s: "open_and_close", hold_min: "build_hold_close", min_profit_bps: "make" };
/** What quoting across the venues has of a pair's words, and how it calls them: its size is the largest position, its clip a quote. */
const OF_MAKING = {
  instrument: "instrument", hedge_instrument: "hedge_instrument", account: "account", hedge_account: "hedge_account",
  size: "max_qty", clip: "qty", min_profit_bps: "min_profit_bps", "hedge.max_slippage_bps": "hedge.max_slippage_bps", on_unexpected: "on_unexpected",
};

/**
 * Markets whose name, base or exchange has the text, the likeliest first: free ones, those that begin so, those on GRVT; with
 * `lead`, those that can hedge it.
 */
export function suggestions(markets, text, lead = null) {
  const wanted = text.trim().toLowerCase();
  const found = markets.filter((row) => !wanted || `${row.instrument} ${row.base} ${row.exchange}`.toLowerCase().includes(wanted));
  const place = (row) => (lead === null ? Number(row.exchange !== "grvt") : row.exchange === lead.exchange ? 2 : row.base === lead.base ? 0 : 1);
  const rank = (row) => [Number(row.traded_by !== ""), Number(!row.symbol.toLowerCase().startsWith(wanted)), place(row), row.instrument];
  return found.map((row) => [rank(row), row]).sort(([a], [b]) => compared(a, b)).map(([, row]) => row);
}

function compared(a, b) {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
}

/** The market that hedges another one: of the same base on another exchange, null when there is none. */
export function partnerOf(markets, lead) {
  return markets.find((row) => row.base === lead.base && row.exchange !== lead.exchange) ?? null;
}

/** What the form's size comes to, and why it cannot start: {problems, qty, clipQty, notional, lot, least, ...}. */
export function preview(form, markets, status) {
  const lead = markets.find((row) => row.instrument === form.instrument) ?? null;
  const hedge = markets.find((row) => row.instrument === form.hedge_instrument) ?? null;
  const problems = legProblems(form, lead, hedge);
  if (lead === null || hedge === null) return { lead, hedge, problems };
  const mid = toNumber(middle(status.books[lead.instrument]?.bid ?? null, status.books[lead.instrument]?.ask ?? null));
  const lot = commonLot(lead.lot, hedge.lot);
  const least = leastQty(lead, hedge, lot, mid);
  const needsSize = form.mode !== "close_existing";
  const qty = needsSize ? roundedDown(form.size, form.size_in, mid, lot) : null;
  const clipQty = form.clip ? roundedDown(form.clip, form.size_in, mid, lot) : qty;
  if (needsSize && !(toNumber(form.size) > 0)) problems.push("Say a size.");
  else if (!needsSize && !(toNumber(form.clip) > 0)) problems.push("Say a clip: the largest piece at a time.");
  else if (clipQty !== null && clipQty < least) problems.push(`${needsSize && !form.clip ? "The size" : "The clip"} is less than both venues take: at least ${least} ${lead.base}.`);
  if (qty !== null && clipQty !== null && clipQty > qty) problems.push("The clip is larger than the size.");
  if (!(Number.isInteger(toNumber(form.iterations)) && toNumber(form.iterations) >= 1)) problems.push("Cycles: a whole number, at least 1.");
  return { lead, hedge, problems, mid, lot, least, qty, clipQty, notional: qty === null || mid === null ? null : qty * mid, breakevenBps: breakeven(lead, hedge), edges: edges(lead, hedge, status) };
}

function legProblems(form, lead, hedge) {
  if (lead === null || hedge === null) return [`Choose ${lead === null ? "the lead" : "the hedge"}.`];
  const problems = [];
  if (lead.exchange === hedge.exchange) problems.push(`Both legs are on ${lead.exchange}: own accounts would trade with each other, which is wash trading.`);
  else if (lead.base !== hedge.base) problems.push(`${lead.base} and ${hedge.base} do not hedge each other.`);
  for (const row of [lead, hedge]) if (row.traded_by) problems.push(`${row.symbol} is traded by ${row.traded_by}.`);
  return problems;
}

/** Maker fee of the lead and taker fee of the hedge together, in bps; null while one is not known. */
function breakeven(lead, hedge) {
  const maker = toNumber(lead.maker_fee_bps);
  const taker = toNumber(hedge.taker_fee_bps);
  return maker === null || taker === null ? null : maker + taker;
}

/** What the touches would earn now before fees, in bps: {buy, sell} by the lead's side. */
function edges(lead, hedge, status) {
  const [here, there] = [status.books[lead.instrument], status.books[hedge.instrument]];
  const rate = rateOf(status, hedge.quote, lead.quote).rate;
  const [bid, ask, hedgeBid, hedgeAsk] = [here?.bid, here?.ask, there?.bid, there?.ask].map(toNumber);
  if ([rate, bid, ask, hedgeBid, hedgeAsk].includes(null)) return null;
  return { buy: ((hedgeBid * rate - bid) / bid) * 1e4, sell: ((ask - hedgeAsk * rate) / ask) * 1e4 };
}

/** What one `source` is worth in `target`, null while nobody has told, and the engine's words for it. */
export function rateOf(status, source, target) {
  if (source === target) return { rate: 1, text: "" };
  const text = status.conversions?.[`${source}/${target}`] ?? "";
  const turned = status.conversions?.[`${target}/${source}`] ?? "";
  const told = (text || turned).includes("assumed") ? null : toNumber((text || turned).split(",")[0]);
  if (told === null || told <= 0) return { rate: null, text: "unknown: nobody told a rate" };
  return { rate: text ? told : 1 / told, text: text || `turned round: ${turned}` };
}

/** The smallest quantity that is a whole number of lots on both venues. */
export function commonLot(one, other) {
  const places = Math.max(fraction(one), fraction(other));
  const scale = 10 ** places;
  const [a, b] = [Math.round(Number(one) * scale), Math.round(Number(other) * scale)];
  return Number(((a * b) / divisor(a, b) / scale).toFixed(places));
}

function leastQty(lead, hedge, lot, mid) {
  const byNotional = (row) => (mid ? Number(row.min_notional) / mid : 0);
  const least = Math.max(Number(lead.min_qty), Number(hedge.min_qty), byNotional(lead), byNotional(hedge), lot);
  return tidy(Math.ceil(least / lot - 1e-9) * lot, lot);
}

function roundedDown(text, sizeIn, mid, lot) {
  const wanted = toNumber(text);
  if (wanted === null || (sizeIn === "notional" && !mid)) return null;
  return tidy(Math.floor((sizeIn === "notional" ? wanted / mid : wanted) / lot + 1e-9) * lot, lot);
}

function tidy(qty, lot) {
  return Number(qty.toFixed(fraction(String(lot))));
}

function fraction(text) {
  const [, digits = ""] = String(text).split(".");
  return digits.length;
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}

/** The form as the command's words: what is empty, or of another mode, is left out. */
export function wordsOf(form) {
  const words = {};
  for (const [key, value] of Object.entries(form)) {
    const text = String(value).trim();
    if (text && (!(key in OF_MODE) || OF_MODE[key] === form.mode)) words[key] = text;
  }
  if (form.mode === "make") return making(words);
  if (form.mode === "close_existing") words.size = words.clip;
  return words;
}

function making(words) {
  const known = Object.entries(OF_MAKING).filter(([key]) => key in words);
  return { kind: "cross_maker", qty: words.size, ...Object.fromEntries(known.map(([key, name]) => [name, words[key]])) };
}

/** "good", "warn", "danger" or "" for a pair's status. */
export function tone(status) {
  return { Hedged: "good", Unbalanced: "warn", "Same side": "danger" }[status] ?? "";
}

/** All pairs in one line: how many of each status, and the sum of what is not hedged. */
export function total(pairs) {
  const counts = {};
  for (const pair of pairs) counts[pair.status] = (counts[pair.status] ?? 0) + 1;
  const known = pairs.map((pair) => toNumber(pair.net_notional)).filter((value) => value !== null);
  return { counts, net: known.length === pairs.length ? known.reduce((sum, value) => sum + value, 0) : null, currency: pairs[0]?.currency ?? "" };
}
