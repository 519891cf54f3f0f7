/** The book ladder: the venue's best levels, our own orders marked in them and, further out, listed below them. */

import { base, decimal, direction, middle, padded, percent, rounded, toNumber } from "../format.js";
import { ownOrders } from "../series.js";
import { html, memo } from "../view.js";
import { Nothing, Panel } from "./panel.js";

export function LadderPanel({ instrument, book, orders, places, stale, ageMs }) {
  const bookAge = book && book.age_ms !== null && ageMs !== null ? book.age_ms + ageMs : ageMs;
  return html`<${Panel} title="Book" name="ladder" className="ladder-panel" ageMs=${bookAge} note=${stale ? html`<span class="bad">${stale}</span>` : ""}>
    ${book ? html`<${Ladder} instrument=${instrument} book=${book} orders=${orders} places=${places} />` : html`<${Nothing}>No book yet.<//>`}
  <//>`;
}

const Ladder = memo(({ instrument, book, orders, places }) => {
  const own = ownOrders(orders, instrument);
  const bids = withOwn(book.bids, own.buy, "buy");
  const asks = withOwn(book.asks, own.sell, "sell");
  const most = Math.max(1e-12, ...[...book.bids, ...book.asks].map((row) => Number(row[1])));
  return html`<div class="ladder" data-testid="ladder" data-instrument=${instrument}>
    <div class="ladder-head" aria-hidden="true"><span>Own</span><span>Price</span><span>Size</span></div>
    <div class="ladder-half asks" tabindex="0" role="table" aria-label="Asks, best first">${asks.map((row) => html`<${Level} key=${row.px} row=${row} side="sell" most=${most} places=${places} />`)}</div>
    <${Middle} instrument=${instrument} book=${book} places=${places} />
    <div class="ladder-half bids" tabindex="0" role="table" aria-label="Bids, best first">${bids.map((row) => html`<${Level} key=${row.px} row=${row} side="buy" most=${most} places=${places} />`)}</div>
  </div>`;
});

function Level({ row, side, most, places }) {
  const share = row.qty === null ? 0 : Math.min(1, Number(row.qty) / most);
  return html`<div class=${`level ${side} ${row.own ? "own" : ""} ${row.qty === null ? "far" : ""}`} role="row"
    data-testid=${row.own ? "own-level" : "level"} data-side=${side} data-px=${row.px}
    data-own-qty=${row.own ?? undefined} data-client-order-ids=${row.ids}
    title=${row.qty === null ? "Own order beyond the levels shown" : undefined}>
    <span class="depth" style=${{ transform: `scaleX(${share})` }}></span>
    <span role="cell" class="own-qty">${row.own ? decimal(row.own) : ""}</span>
    <span role="cell" class="px">${padded(row.px, places)}</span>
    <span role="cell" class="qty">${row.qty === null ? "·" : decimal(row.qty)}</span>
  </div>`;
}

function Middle({ instrument, book, places }) {
  const bid = book.bids[0]?.[0];
  const ask = book.asks[0]?.[0];
  const mid = middle(bid, ask);
  const spreadBps = mid === null ? null : ((Number(ask) - Number(bid)) / Number(mid)) * 1e4;
  const funding = toNumber(book.funding_rate);
  return html`<div class="ladder-mid">
    <strong data-testid="mid-price">${mid === null ? "no mid" : decimal(mid)}</strong>
    <span class="note" title="Spread between best bid and best ask">${spreadBps === null ? "" : `${rounded(spreadBps, 2)} bps`}</span>
    <span class=${`last ${book.last_side === "buy" ? "buy" : "sell"}`} title="Last trade and who took">
      ${book.last_px === null ? "" : html`${book.last_side === "buy" ? "▲" : "▼"} ${padded(book.last_px, places)}`}</span>
    <span class="note" title=${`Mark price of ${base(instrument)}`}>mark ${rounded(book.mark_px, places)}</span>
    <span class=${`note ${direction(funding)}`} title="Funding rate of the current interval; positive: longs pay">fund ${percent(funding, 4)}</span>
  </div>`;
}

/** Levels best first, with our quantity in each; own orders that have no level shown follow, by price. */
function withOwn(rows, orders, side) {
  const own = new Map();
  for (const order of orders) {
    const known = own.get(Number(order.px)) ?? { px: order.px, qty: 0, places: 0, ids: [] };
    known.qty += Number(order.qty) - Number(order.cum_qty);
    known.places = Math.max(known.places, (order.qty.split(".")[1] ?? "").length);
    known.ids.push(order.client_order_id);
    own.set(Number(order.px), known);
  }
  const levels = rows.map(([px, qty]) => {
    const mine = own.get(Number(px));
    own.delete(Number(px));
    return { px, qty, own: mine ? mine.qty.toFixed(mine.places) : null, ids: mine?.ids.join(" ") };
  });
  const far = [...own.values()].map((mine) => ({ px: mine.px, qty: null, own: mine.qty.toFixed(mine.places), ids: mine.ids.join(" ") }));
  const sign = side === "buy" ? -1 : 1;
  return [...levels, ...far].sort((a, b) => sign * (Number(a.px) - Number(b.px)));
}
