/** Open orders and fills. */

import { age, base, clean, clock, decimal, direction, padded, signed, toNumber } from "../format.js";
import { html, memo } from "../view.js";
import { Nothing, Panel, Side } from "./panel.js";

const SHOWN_FILLS = 100;
/** What an order is that waits at the venue for a price; its trigger stands in place of its price. */
const TRIGGERS = { stop_loss: "stop loss", take_profit: "take profit" };

export function OrdersPanel({ orders, instrument, places, ageMs }) {
  return html`<${Panel} title="Open orders" name="orders" note=${html`<span data-testid="open-orders-count">${orders.length}</span>`} ageMs=${ageMs}>
    <${Orders} orders=${orders} instrument=${instrument} places=${places} />
  <//>`;
}

/** Those of the chosen instrument first; then best first on each side. */
const Orders = memo(({ orders, instrument, places }) => {
  const sorted = [...orders].sort((a, b) => (b.instrument === instrument) - (a.instrument === instrument) || compare(a.instrument, b.instrument) || compare(b.side, a.side) || (toNumber(b.px) ?? 0) - (toNumber(a.px) ?? 0));
  return html`<div class="scroll" tabindex="0"><table class="data snug" data-testid="open-orders">
    <thead><tr><th scope="col">Market</th><th scope="col">Side</th><th scope="col" class="num">Price</th><th scope="col" class="num">Qty</th><th scope="col" class="num">Filled</th><th scope="col">State</th><th scope="col" class="num">Age</th></tr></thead>
    <tbody>${sorted.map((row) => html`<tr key=${row.client_order_id} data-client-order-id=${row.client_order_id} data-instrument=${row.instrument} data-side=${row.side} data-px=${row.px} data-trigger-px=${row.trigger ? row.trigger_px : undefined}
      title=${`${clean(row.strategy, 32)} ${clean(row.tag, 32)} · ${clean(row.client_order_id, 40)}${row.trigger ? ` · waits at the venue for its mark price, then trades at ${decimal(row.px)} or better` : ""}`}>
      <td>${base(row.instrument)}</td><td><${Side} side=${row.side} /></td><${Price} row=${row} places=${places.get(row.instrument) ?? 0} /><td class="num">${decimal(row.qty)}</td>
      <td class=${`num ${toNumber(row.cum_qty) ? "" : "dim"}`}>${decimal(row.cum_qty)}</td><${State} row=${row} places=${places.get(row.instrument) ?? 0} /><td class="num dim">${age(row.age_ms)}</td>
    </tr>`)}</tbody></table>
    ${orders.length === 0 && html`<${Nothing}>No open orders.<//>`}</div>`;
});

/** The limit; of what waits at the venue the mark price that it waits for. */
function Price({ row, places }) {
  return html`<td class="num">${padded(row.trigger ? row.trigger_px : row.px, places)}${row.trigger && html`<small class="under">of the mark</small>`}</td>`;
}

/** The state; of what waits at the venue what it is, and the worst price at which it then trades. */
function State({ row, places }) {
  const isOpen = row.state.toLowerCase() === "open";
  const tone = isOpen ? "dim" : "warn-text";
  if (!row.trigger) return html`<td class=${tone}>${clean(row.state, 16)}</td>`;
  const worst = toNumber(row.px) === null ? "at any price" : `${row.side === "buy" ? "at most" : "at least"} ${padded(row.px, places)}`;
  return html`<td class=${tone}>${TRIGGERS[row.trigger] ?? clean(row.trigger, 16)}<small class="under">${worst}</small>${!isOpen && html`<small class="under">${clean(row.state, 16)}</small>`}</td>`;
}

export function FillsPanel({ fills, total, places, ageMs }) {
  return html`<${Panel} title="Fills" name="fills" note=${html`<span data-testid="fills-total">${total ?? fills.length}</span>`} ageMs=${ageMs}>
    <${Fills} fills=${fills} places=${places} />
  <//>`;
}

const Fills = memo(({ fills, places }) => html`<div class="scroll" tabindex="0"><table class="data" data-testid="fills">
  <thead><tr><th scope="col">Time</th><th scope="col">Market</th><th scope="col">Side</th><th scope="col" class="num">Price</th><th scope="col" class="num">Qty</th><th scope="col" class="num">Realised</th><th scope="col" class="num extra">Fee</th><th scope="col" class="num extra">Position</th></tr></thead>
  <tbody>${fills.slice(-SHOWN_FILLS).reverse().map((row) => html`<tr key=${row.number} data-fill-number=${row.number} data-instrument=${row.instrument} data-side=${row.side}
    title=${`${clean(row.strategy, 32)} · order ${clean(row.client_order_id, 40)} · trade ${clean(row.trade_id, 40)}`}>
    <td class="dim">${clock(row.ts_event_ns)}</td><td>${base(row.instrument)}</td><td><${Side} side=${row.side} />${row.is_taker && html`<span class="taker" title="We took"> T</span>`}</td>
    <td class="num">${padded(row.px, places.get(row.instrument) ?? 0)}</td><td class="num">${decimal(row.qty)}</td><td class=${`num ${direction(row.realized_pnl)}`}>${toNumber(row.realized_pnl) ? signed(row.realized_pnl) : html`<span class="dim">–</span>`}</td>
    <td class="num dim extra">${signed(-Number(row.fee), 4)}</td><td class="num extra">${decimal(row.position_after)}</td>
  </tr>`)}</tbody></table>
  ${fills.length === 0 && html`<${Nothing}>No fills yet.<//>`}</div>`);

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
