/** Position, PnL split and equity: what it earned, and what it stands to lose. */

import { EquityChart } from "../equitychart.js";
import { NONE, base, clean, decimal, direction, percent, rounded, signed, toNumber } from "../format.js";
import { drawdown } from "../series.js";
import { html, memo, useEffect, useLayoutEffect, useMemo, useRef } from "../view.js";
import { Fact, Nothing, Panel } from "./panel.js";

export function PositionPanel({ instrument, positions, currency, places, ageMs }) {
  const rows = positions.filter((row) => row.instrument === instrument);
  return html`<${Panel} title="Position" name="position" note=${base(instrument)} ageMs=${ageMs}>
    ${rows.length === 0 && html`<dl class="facts"><${Fact} name="Size" testid="position-qty">flat<//></dl>`}
    ${rows.map((row) => html`<${Position} key=${row.account} row=${row} currency=${currency} places=${places} several=${rows.length > 1} />`)}
  <//>`;
}

const Position = memo(({ row, currency, places, several }) => {
  const qty = toNumber(row.qty);
  return html`<dl class="facts two" data-account=${row.account}>
    ${several && html`<${Fact} name="Account">${clean(row.account, 24)}<//>`}
    <${Fact} name="Size" testid="position-qty" className=${direction(qty)}>${qty === 0 ? "flat" : `${qty > 0 ? "long " : "short "}${decimal(String(row.qty).replace("-", ""))}`}<//>
    <${Fact} name="Notional" title=${currency}>${rounded(row.notional, 2)}<//>
    <${Fact} name="Entry" title=${decimal(row.avg_entry_px)}>${qty === 0 ? NONE : rounded(row.avg_entry_px, places)}<//>
    <${Fact} name="Mark" title=${decimal(row.mark_px)}>${rounded(row.mark_px, places)}<//>
    <${Fact} name="Unrealised" className=${direction(row.unrealized_pnl)}>${signed(row.unrealized_pnl)}<//>
    <${Fact} name="Realised" className=${direction(row.realized_pnl)}>${signed(row.realized_pnl)}<//>
  </dl>`;
});

const PARTS = [
  ["spread", "Spread", "Edge at each fill against the fair price"],
  ["adverse", "Adverse", "What the fair price did in the 10 s after each fill"],
  ["inventory", "Inventory", "The rest of the mark-to-market of what was held"],
  ["fees", "Fees", "Paid is negative, rebates are positive"],
  ["funding", "Funding", "Received is positive"],
];

export function PnlPanel({ pnl, currency, ageMs }) {
  return html`<${Panel} title="PnL by cause" name="pnl" note=${`${clean(currency, 8)}, since the journal began`} ageMs=${ageMs}>
    ${pnl ? html`<${Split} pnl=${pnl} />` : html`<${Nothing}>No fills yet.<//>`}
  <//>`;
}

const Split = memo(({ pnl }) => {
  const most = Math.max(1e-9, ...PARTS.map(([key]) => Math.abs(toNumber(pnl[key]) ?? 0)));
  const total = PARTS.reduce((sum, [key]) => sum + (toNumber(pnl[key]) ?? 0), 0);
  return html`<table class="split" data-testid="pnl-split">
    <tbody>
      ${PARTS.map(([key, name, meaning]) => html`<tr title=${meaning}>
        <th scope="row">${name}</th>
        <td class="bar-cell"><${Bar} share=${(toNumber(pnl[key]) ?? 0) / most} /></td>
        <td class=${`num ${direction(pnl[key])}`} data-testid=${`pnl-${key}`}>${signed(pnl[key])}</td>
      </tr>`)}
    </tbody>
    <tfoot><tr><th scope="row">Sum</th><td></td><td class=${`num ${direction(total)}`} data-testid="pnl-sum">${signed(total)}</td></tr></tfoot>
  </table>`;
});

/** Grows to the right of the middle for a gain, to the left for a loss. */
function Bar({ share }) {
  return html`<span class="bar"><span class=${share < 0 ? "loss" : "gain"} style=${{ transform: `scaleX(${Math.abs(share)})` }}></span></span>`;
}

export function EquityPanel({ equity, status, ageMs, className }) {
  const box = useRef(null);
  const chart = useRef(null);
  const rows = useMemo(() => drawdown(equity), [equity]);
  useEffect(() => {
    chart.current = new EquityChart(box.current);
    chart.current.setRows(rows);
    return () => chart.current.remove();
  }, []);
  useLayoutEffect(() => chart.current?.setRows(rows));
  const fall = toNumber(status?.drawdown_frac);
  return html`<${Panel} title="Equity" name="equity" className=${`equity-panel ${className ?? ""}`} ageMs=${ageMs}
    note=${fall === null ? "" : html`drawdown <b class=${fall > 0 ? "down" : ""} data-testid="drawdown">${percent(fall, 3)}</b>`}>
    <div class="chart-box" ref=${box} data-testid="equity-chart" data-points=${rows.length} role="img"
      aria-label="Equity over time, with the drawdown from its peak"></div>
  <//>`;
}
