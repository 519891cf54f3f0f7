/** Candles of one instrument with our orders as lines and our fills as arrows. Drawn on canvas, outside the templates. */

import { CandlestickSeries, createSeriesMarkers, LineStyle } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { newChart } from "./charts.js";
import * as colours from "./colours.js";
import { rounded } from "./format.js";
import { GridLabels } from "./gridlabels.js";

/** Labels stack: so many orders of each side have a line all the time, the rest while the pointer is over the chart. */
export const NEAREST = 5;

export class PriceChart {
  /** @param onHover called with the second of the bar under the pointer, or null */
  constructor(container, onHover) {
    this.container = container;
    this.chart = newChart(container);
    this.lines = new Map();
    this.grid = { key: "", handles: [] };
    this.markers = [];
    this.drawn = { bars: [], key: "" };
    this.nearest = { bid: null, ask: null };
    this.hovered = false;
    this.series = this.chart.addSeries(CandlestickSeries, {
      upColor: colours.BUY_SOFT,
      downColor: colours.SELL_SOFT,
      wickUpColor: colours.BUY_SOFT,
      wickDownColor: colours.SELL_SOFT,
      borderVisible: false,
      priceLineColor: colours.TEXT,
      autoscaleInfoProvider: (original) => this.withNearestOrders(original()),
    });
    this.arrows = createSeriesMarkers(this.series, []);
    this.labels = new GridLabels();
    this.series.attachPrimitive(this.labels);
    this.chart.subscribeCrosshairMove((event) => {
      this.hovered = event.point !== undefined;
      onHover(event.time ?? null);
    });
  }

  /** The best own order of each side stays in sight, if that does not flatten the candles. */
  withNearestOrders(info) {
    if (info === null || info.priceRange === null) return info;
    const { minValue, maxValue } = info.priceRange;
    const room = Math.max(maxValue - minValue, maxValue * 0.0008);
    const inReach = (px) => px !== null && px > minValue - room && px < maxValue + room;
    const wanted = [this.nearest.bid, this.nearest.ask].filter(inReach);
    return { ...info, priceRange: { minValue: Math.min(minValue, ...wanted), maxValue: Math.max(maxValue, ...wanted) } };
  }

  /** Show these bars; `key` names instrument and bar length: another key starts a new chart. */
  setBars(bars, key, places) {
    if (key !== this.drawn.key) {
      const formatter = (px) => rounded(px, places);
      this.series.applyOptions({ priceFormat: { type: "custom", formatter, minMove: 10 ** -places } });
      this.series.setData(bars.map(asCandle));
      this.chart.timeScale().setVisibleLogicalRange({ from: bars.length - this.barsThatFit(), to: bars.length + 4 });
      this.chart.priceScale("right").applyOptions({ autoScale: true });
    } else if (bars !== this.drawn.bars) this.update(bars);
    this.drawn = { bars, key };
  }

  barsThatFit() {
    return Math.max(30, Math.floor(this.container.clientWidth / 8));
  }

  update(bars) {
    const old = this.drawn.bars;
    const grown = bars.length - old.length;
    const same = old.length === 0 || bars.length === 0 ? false : bars[0].open_s === old[0].open_s;
    if (!same || grown < 0 || grown > 3) this.series.setData(bars.map(asCandle));
    else for (const bar of bars.slice(-(grown + 1))) this.series.update(asCandle(bar));
  }

  /** Our resting orders, best first: the nearest of each side, or all of them under the pointer. */
  setOrders({ buy, sell }) {
    this.nearest = { bid: buy.length ? Number(buy[0].px) : null, ask: sell.length ? Number(sell[0].px) : null };
    const count = this.hovered ? Infinity : NEAREST;
    const wanted = new Map([...buy.slice(0, count), ...sell.slice(0, count)].map((order) => [order.client_order_id, order]));
    for (const [id, line] of this.lines) {
      if (wanted.has(id)) continue;
      this.series.removePriceLine(line.handle);
      this.lines.delete(id);
    }
    for (const [id, order] of wanted) {
      const best = order === buy[0] || order === sell[0];
      const known = this.lines.get(id);
      if (known && known.px === order.px && known.best === best) continue;
      const options = {
        price: Number(order.px),
        color: order.side === "buy" ? colours.BUY : colours.SELL,
        lineWidth: 1,
        lineStyle: LineStyle.Dashed,
        axisLabelVisible: best, // a label each would hide the scale
        title: best ? order.qty : "",
      };
      if (known) known.handle.applyOptions(options);
      this.lines.set(id, { handle: known ? known.handle : this.series.createPriceLine(options), px: order.px, best });
    }
  }

  /** The lines of a grid, dotted and faint; those that close what a cell holds in its colour. What its cells earned beside them. */
  setGrid(lines, cells) {
    this.labels.set(cells);
    const key = lines.map((line) => `${line.px}${line.held}`).join();
    if (key === this.grid.key) return;
    for (const handle of this.grid.handles) this.series.removePriceLine(handle);
    const colour = { long: colours.BUY_SOFT, short: colours.SELL_SOFT, "": colours.CROSSHAIR };
    const handles = lines.map((line) =>
      this.series.createPriceLine({
        price: line.px,
        color: colour[line.held],
        lineWidth: 1,
        lineStyle: line.held ? LineStyle.Solid : LineStyle.Dotted,
        axisLabelVisible: false,
        title: "",
      }),
    );
    this.grid = { key, handles };
  }

  /** Our fills: one arrow for each bar and side, without text. */
  setMarkers(markers) {
    if (markers === this.markers) return;
    this.markers = markers;
    this.arrows.setMarkers(
      markers.map((marker) => ({
        time: marker.time,
        position: marker.side === "buy" ? "belowBar" : "aboveBar",
        shape: marker.side === "buy" ? "arrowUp" : "arrowDown",
        color: marker.side === "buy" ? colours.BUY : colours.SELL,
        size: 0.8,
      })),
    );
  }

  remove() {
    this.chart.remove();
  }
}

function asCandle(bar) {
  return { time: bar.open_s, open: bar.open, high: bar.high, low: bar.low, close: bar.close };
}
