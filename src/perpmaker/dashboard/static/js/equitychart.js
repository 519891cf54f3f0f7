/** The equity curve with the drawdown from its peak below. */

import { AreaSeries, HistogramSeries } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { newChart } from "./charts.js";
import * as colours from "./colours.js";
import { rounded } from "./format.js";

export class EquityChart {
  constructor(container) {
    this.chart = newChart(container);
    this.rows = [];
    this.equity = this.chart.addSeries(AreaSeries, {
      lineColor: colours.EQUITY,
      topColor: "rgba(185, 167, 255, 0.25)",
      bottomColor: "rgba(185, 167, 255, 0.02)",
      lineWidth: 2,
      priceLineVisible: false,
      priceFormat: { type: "custom", formatter: (value) => rounded(value, 2), minMove: 0.01 },
    });
    this.drawdown = this.chart.addSeries(HistogramSeries, {
      color: "rgba(255, 157, 77, 0.42)",
      base: 0,
      priceScaleId: "drawdown",
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.08, bottom: 0.3 } });
    this.chart.priceScale("drawdown").applyOptions({ scaleMargins: { top: 0.76, bottom: 0 }, visible: false });
  }

  /** Show these rows (`series.drawdown`). */
  setRows(rows) {
    if (rows === this.rows) return;
    const old = this.rows;
    this.rows = rows;
    const grown = rows.length - old.length;
    if (old.length === 0 || grown < 0 || grown > 5 || rows[0].time !== old[0].time) {
      this.equity.setData(rows.map((row) => ({ time: row.time, value: row.equity })));
      this.drawdown.setData(rows.map((row) => ({ time: row.time, value: row.drawdown * 100 })));
      this.chart.timeScale().fitContent();
      return;
    }
    for (const row of rows.slice(-(grown + 1))) {
      this.equity.update({ time: row.time, value: row.equity });
      this.drawdown.update({ time: row.time, value: row.drawdown * 100 });
    }
    if (grown > 0 && this.chart.timeScale().scrollPosition() > -1) this.chart.timeScale().fitContent();
  }

  remove() {
    this.chart.remove();
  }
}
