/** Where a strategy stands in the market, level by level, and what each level has brought. */

import { decimal, padded, rounded, signed } from "../format.js";
import { gridCells, quoteLayers, RPI_FROM } from "../series.js";
import { html } from "../view.js";
import { Panel } from "./panel.js";

/** The layers of a maker or the levels of a grid; nothing where neither trades. */
export function LevelsPanel({ instrument, strategies, orders, places, ageMs }) {
  const cells = gridCells(strategies, instrument);
  if (cells.length > 0) return html`<${GridLevels} cells=${cells} places=${places} ageMs=${ageMs} />`;
  const layers = quoteLayers(strategies, orders, instrument);
  return layers.length > 0 && html`<${Layers} layers=${layers} places=${places} ageMs=${ageMs} />`;
}

function GridLevels({ cells, places, ageMs }) {
  const net = cells.reduce((sum, cell) => sum + cell.net, 0);
  return html`<${Panel} title="Grid levels" name="levels" note=${`${cells.length} cells, closings net ${signed(net, 2)}`} ageMs=${ageMs}>
    <div class="scroll" tabindex="0"><table class="data" data-testid="grid-levels">
      <thead><tr><th scope="col">Side</th><th scope="col" class="num">Buys at</th><th scope="col" class="num">Sells at</th><th scope="col" class="num">Holds</th>
        <th scope="col" class="num" title="What its closings earned, less the fees of all its fills">Net PnL</th><th scope="col" class="num extra">Profit</th>
        <th scope="col" class="num extra" title="A rebate is negative">Fees</th><th scope="col" class="num" title="How often it was emptied">Cycles</th></tr></thead>
      <tbody>${cells.map((cell) => html`<tr key=${cell.lower} data-cell=${cell.lower} class=${Number(cell.held) ? "holding" : ""}>
        <td>${cell.kind}</td><td class="num">${padded(cell.lower, places)}</td><td class="num">${padded(cell.upper, places)}</td>
        <td class="num">${Number(cell.held) ? decimal(cell.held) : "–"}</td><td class=${`num ${tone(cell.net)}`}>${cell.cycles || cell.net ? signed(cell.net, 2) : "–"}</td>
        <td class="num extra">${rounded(cell.profit, 2)}</td><td class="num extra">${rounded(cell.fees, 2)}</td><td class="num">${cell.cycles}</td>
      </tr>`)}</tbody>
    </table></div>
  <//>`;
}

function Layers({ layers, places, ageMs }) {
  return html`<${Panel} title="Layers" name="levels" note="what rests, and what the last fills had earned 10 s later, net of fees" ageMs=${ageMs}>
    <div class="scroll" tabindex="0"><table class="data" data-testid="layers">
      <thead><tr><th scope="col">Layer</th>${["Bid", "Ask"].map((name) => html`<th scope="col" class="num">${name}</th><th scope="col" class="num extra">Qty</th>
        <th scope="col" class="num" title=${MARKOUT}>Markout bps (fills)</th>`)}</tr></thead>
      <tbody>${layers.map(({ number, bid, ask }) => html`<tr key=${number} data-layer=${number}>
        <td>${number < RPI_FROM ? number : `${number - RPI_FROM} RPI`}</td>
        ${[bid, ask].map((side) => html`<td class="num">${padded(side.order?.px, places)}</td><td class="num extra">${decimal(side.order?.qty)}</td>
          <td class=${`num ${tone(side.bps ?? 0)}`}>${side.fills ? `${signed(side.bps, 1)} (${side.fills})` : "–"}</td>`)}
      </tr>`)}</tbody>
    </table></div>
  <//>`;
}

const MARKOUT = "Mean of the last fills of this layer, 10 s after each; a layer that loses more than its edge is pulled";

function tone(value) {
  return value > 0 ? "buy" : value < 0 ? "sell" : "";
}
