/** What the charts draw, from what the page knows. Pure. */

import { toNumber } from "./format.js";

/** Join candles into longer ones of `factor` times their length. */
export function joined(candles, lengthS, factor) {
  if (factor === 1) return candles;
  const bars = [];
  for (const candle of candles) {
    const open_s = barOf(candle.open_s, lengthS * factor);
    const last = bars[bars.length - 1];
    if (last && last.open_s === open_s) {
      bars[bars.length - 1] = {
        ...last,
        high: Math.max(last.high, candle.high),
        low: Math.min(last.low, candle.low),
        close: candle.close,
        volume: last.volume + candle.volume,
      };
    } else bars.push({ ...candle, open_s });
  }
  return bars;
}

/** The usual distance between candles, in seconds. */
export function candleLength(candles) {
  let length = Infinity;
  for (let i = Math.max(1, candles.length - 20); i < candles.length; i += 1) {
    length = Math.min(length, candles[i].open_s - candles[i - 1].open_s);
  }
  return Number.isFinite(length) && length > 0 ? length : 60;
}

/** The start of the bar that holds a second. */
export function barOf(second, lengthS) {
  return Math.floor(second / lengthS) * lengthS;
}

/**
 * One marker for each bar and side with a fill of ours. Fills before the first bar have no place in the chart.
 * @returns {{time: number, side: "buy"|"sell", fills: number, qty: number, notional: number}[]} by time, buys first
 */
export function fillMarkers(fills, instrument, bars, lengthS) {
  if (bars.length === 0) return [];
  const first = bars[0].open_s;
  const found = new Map();
  for (const fill of fills) {
    if (fill.instrument !== instrument) continue;
    const time = barOf(Number(fill.ts_event_ns.slice(0, -9)), lengthS);
    if (time < first) continue;
    const key = `${time}:${fill.side}`;
    const marker = found.get(key) ?? { time, side: fill.side, fills: 0, qty: 0, notional: 0 };
    marker.fills += 1;
    marker.qty += Number(fill.qty);
    marker.notional += Number(fill.qty) * Number(fill.px);
    found.set(key, marker);
  }
  return [...found.values()].sort((a, b) => a.time - b.time || (a.side < b.side ? -1 : 1));
}

/** Own orders of an instrument that stand in its book, best first on each side: without those that wait for a price. */
export function ownOrders(orders, instrument) {
  const priced = orders.filter((order) => order.instrument === instrument && !order.trigger && toNumber(order.px) !== null);
  const side = (name, sign) =>
    priced.filter((order) => order.side === name).sort((a, b) => sign * (Number(b.px) - Number(a.px)));
  return { buy: side("buy", 1), sell: side("sell", -1) };
}

/**
 * The lines of the grid on an instrument, the lowest first: `held` is "long" or "short" on the line that closes a cell
 * which holds something, "" on the others. Empty without a grid.
 */
export function gridLines(strategies, instrument) {
  const lines = new Map();
  for (const { lower, upper, kind, held } of gridCells(strategies, instrument)) {
    for (const px of [lower, upper]) if (!lines.has(px)) lines.set(px, { px: Number(px), held: "" });
    if (Number(held) !== 0) lines.get(kind === "long" ? upper : lower).held = kind;
  }
  return [...lines.values()].sort((a, b) => a.px - b.px);
}

/** The cells of a grid, the highest first: lines and what is held as text, what it earned before fees and net, how often. */
export function gridCells(strategies, instrument) {
  const row = strategies.find((each) => each.instrument === instrument && each.inputs.grid_levels);
  if (!row) return [];
  return String(row.inputs.grid_levels)
    .split("; ")
    .map((level) => {
      const [lower, upper, kind, held, profit, fees, cycles] = level.split(" ");
      const net = Number(profit ?? 0) - Number(fees ?? 0);
      return { lower, upper, kind, held, profit: Number(profit ?? 0), fees: Number(fees ?? 0), net, cycles: Number(cycles ?? 0) };
    })
    .filter((cell) => [cell.lower, cell.upper, cell.net].every((value) => Number.isFinite(Number(value))))
    .sort((a, b) => Number(b.lower) - Number(a.lower));
}

/** The layers of a maker, the innermost first: its resting orders, and what the fills of each had earned after 10 s. */
export function quoteLayers(strategies, orders, instrument) {
  const row = strategies.find((each) => each.instrument === instrument && each.inputs.half_spread_bps !== undefined);
  if (!row) return [];
  const layers = new Map();
  const at = (number, side) => {
    if (!layers.has(number)) layers.set(number, { number, bid: {}, ask: {} });
    return layers.get(number)[side];
  };
  for (const order of orders) {
    const place = /^quote (bid|ask) (\d+)$/.exec(order.tag);
    if (place && order.strategy === row.name && order.instrument === instrument) at(Number(place[2]), place[1]).order = order;
  }
  for (const text of String(row.inputs.layer_markouts ?? "").split(", ")) {
    const found = /^(bid|ask) (\d+)( rpi)? ([+-][\d.]+) \((\d+)\)$/.exec(text);
    if (found) Object.assign(at(Number(found[2]) + (found[3] ? RPI_FROM : 0), found[1]), { bps: Number(found[4]), fills: Number(found[5]) });
  }
  return [...layers.values()].sort((a, b) => a.number - b.number);
}

/** Layers from this number on are for retail flow alone, beside the one so many below. */
export const RPI_FROM = 128;

/** Equity with the fall from the peak so far, as a fraction <= 0. One point for each second. */
export function drawdown(points) {
  const rows = [];
  let peak = -Infinity;
  for (const point of points) {
    peak = Math.max(peak, point.equity);
    const row = { time: Math.floor(point.ts_s), equity: point.equity, drawdown: peak > 0 ? point.equity / peak - 1 : 0 };
    const last = rows[rows.length - 1];
    if (last && last.time >= row.time) rows[rows.length - 1] = { ...row, time: last.time };
    else rows.push(row);
  }
  return rows;
}

/** The open orders of the book's own quantities, for a test of the two against each other: price -> quantity. */
export function ownLevels(book) {
  if (!book) return [];
  const own = (rows, side) => rows.filter((row) => Number(row[2]) > 0).map((row) => ({ side, px: row[0], qty: row[2] }));
  return [...own(book.bids, "buy"), ...own(book.asks, "sell")];
}
