/** Every market on one page. */

import { clean, decimal, direction, middle, percent, rounded, signed, significant, toNumber } from "../format.js";
import { html } from "../view.js";
import { Age, Nothing, Panel } from "./panel.js";
import { StrategyState } from "./quoting.js";

export function MarketsPanel({ instruments, status, books, fills, ageMs, onChoose }) {
  return html`<${Panel} title="Markets" name="markets" note=${`${instruments.length}`} ageMs=${ageMs}>
    <div class="scroll" tabindex="0"><table class="data roomy" data-testid="markets">
      <thead><tr><th scope="col">Market</th><th scope="col">State</th><th scope="col" class="num">Mid</th><th scope="col" class="num">Spread bps</th><th scope="col" class="num">Funding</th>
        <th scope="col" class="num">Position</th><th scope="col" class="num">Notional</th><th scope="col" class="num">Unrealised</th><th scope="col" class="num">Realised</th><th scope="col" class="num">Orders</th><th scope="col" class="num" title="Among the fills this page holds">Fills</th><th scope="col" class="num">Book age</th></tr></thead>
      <tbody>${instruments.map((name) => html`<${Row} key=${name} name=${name} status=${status} book=${books.get(name)} fills=${fills} ageMs=${ageMs} onChoose=${onChoose} />`)}</tbody>
    </table></div>
    ${instruments.length === 0 && html`<${Nothing}>No markets yet.<//>`}
  <//>`;
}

function Row({ name, status, book, fills, ageMs, onChoose }) {
  const top = status.books[name];
  const mid = middle(top?.bid ?? null, top?.ask ?? null);
  const position = status.positions.filter((row) => row.instrument === name);
  const sum = (key) => position.reduce((total, row) => total + (toNumber(row[key]) ?? 0), 0);
  const orders = status.open_orders.filter((row) => row.instrument === name).length;
  return html`<tr data-instrument=${name}>
    <th scope="row"><button type="button" class="link" onClick=${() => onChoose(name)}>${clean(name, 32)}</button></th>
    <td class="wide">${status.strategies.filter((row) => row.instrument === name).map((row) => html`<${StrategyState} row=${row} /> `)}${top?.stale && html`<span class="bad">${clean(top.stale, 60)}</span>`}</td>
    <td class="num">${decimal(mid)}</td>
    <td class="num">${mid === null ? "–" : rounded(((Number(top.ask) - Number(top.bid)) / Number(mid)) * 1e4, 2)}</td>
    <td class="num">${percent(book?.funding_rate, 4)}</td>
    <td class=${`num ${direction(sum("qty"))}`}>${position.length === 1 ? decimal(position[0].qty) : significant(sum("qty"), 6)}</td>
    <td class="num">${rounded(sum("notional"), 2)}</td>
    <td class=${`num ${direction(sum("unrealized_pnl"))}`}>${signed(sum("unrealized_pnl"))}</td>
    <td class=${`num ${direction(sum("realized_pnl"))}`}>${signed(sum("realized_pnl"))}</td>
    <td class="num">${orders}</td>
    <td class="num">${fills.filter((row) => row.instrument === name).length}</td>
    <td class="num"><${Age} ms=${top && top.age_ms !== null && ageMs !== null ? top.age_ms + ageMs : null} /></td>
  </tr>`;
}

