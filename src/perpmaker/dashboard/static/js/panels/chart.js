/** The chart of one instrument, with a legend that tells the bar and the fills under the pointer. */

import { decimal, rounded, significant } from "../format.js";
import { PriceChart } from "../pricechart.js";
import { barOf, candleLength, fillMarkers, gridCells, gridLines, joined, ownOrders } from "../series.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../view.js";
import { Nothing, Panel } from "./panel.js";

const FACTORS = [1, 5, 15];
const NO_CANDLES = [];

export function ChartPanel({ instrument, candles = NO_CANDLES, fills, orders, strategies, places, ageMs, onDrawn }) {
  const [factor, setFactor] = useState(1);
  const [hovered, setHovered] = useState(null);
  const box = useRef(null);
  const chart = useRef(null);
  const baseS = useMemo(() => candleLength(candles), [instrument, candles.length]);
  const lengthS = baseS * factor;
  const bars = useMemo(() => joined(candles, baseS, factor), [candles, baseS, factor]);
  const firstBar = bars.length ? bars[0].open_s : 0;
  const markers = useMemo(() => fillMarkers(fills, instrument, bars, lengthS), [fills, instrument, firstBar, lengthS]);

  const grid = useMemo(() => gridLines(strategies, instrument), [strategies, instrument]);
  const cells = useMemo(() => gridCells(strategies, instrument), [strategies, instrument]);

  useEffect(() => {
    chart.current = new PriceChart(box.current, setHovered);
    return () => chart.current.remove();
  }, []);
  useLayoutEffect(() => {
    if (chart.current === null || bars.length === 0) return;
    chart.current.setBars(bars, `${instrument}:${lengthS}`, places);
    chart.current.setGrid(grid, cells);
    chart.current.setOrders(ownOrders(orders, instrument));
    chart.current.setMarkers(markers);
    onDrawn({ instrument, markers, lines: chart.current.lines.size });
  });

  const actions = html`<div class="choices" role="group" aria-label="Bar length">
    ${FACTORS.map((each) => html`<button type="button" aria-pressed=${each === factor} onClick=${() => setFactor(each)}>${lengthName(baseS * each)}</button>`)}
  </div>`;
  return html`<${Panel} title="Price" name="chart" className="chart-panel" ageMs=${ageMs} actions=${actions}>
    <${Legend} bars=${bars} markers=${markers} hovered=${hovered} lengthS=${lengthS} places=${places} />
    <div class="chart-box" ref=${box} data-testid="price-chart" data-grid-lines=${grid.length} data-markers=${markers.length}
      data-marked-fills=${markers.reduce((sum, marker) => sum + marker.fills, 0)} role="img"
      aria-label=${`Candles of ${instrument} with own orders and fills`}></div>
    ${bars.length === 0 && html`<${Nothing}>No candles yet: the first trade makes one.<//>`}
  <//>`;
}

function Legend({ bars, markers, hovered, lengthS, places }) {
  const at = hovered === null ? bars[bars.length - 1] : bars.find((bar) => bar.open_s === barOf(hovered, lengthS));
  if (!at) return html`<p class="legend"></p>`;
  const here = markers.filter((marker) => marker.time === at.open_s);
  return html`<p class="legend" data-testid="chart-legend">
    ${[["O", at.open], ["H", at.high], ["L", at.low], ["C", at.close]].map(([name, px]) => html`<span><i>${name}</i> ${rounded(px, places)}</span>`)}
    <span><i>Vol</i> ${significant(at.volume, 3)}</span>
    ${here.map((marker) => html`<span class=${marker.side}>${described(marker, places)}</span>`)}
  </p>`;
}

function described({ side, qty, notional, fills }, places) {
  const amount = decimal(String(Number(qty.toPrecision(8))));
  const px = decimal((notional / qty).toFixed(places));
  return `${side === "buy" ? "▲ bought" : "▼ sold"} ${amount} at ${px}${fills > 1 ? ` in ${fills} fills` : ""}`;
}

function lengthName(seconds) {
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
