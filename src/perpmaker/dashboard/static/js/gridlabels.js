/** What each cell of a grid has earned, written between its lines at the left of the price chart. */

import * as colours from "./colours.js";
import { decimal, signed } from "./format.js";

const LEFT = 8;
/** In pixels: lines nearer to each other leave no room for words; the table of levels has them all. */
const LEAST_HEIGHT = 11;
const LARGEST = 11;

/** A primitive of the candles' series. */
export class GridLabels {
  constructor() {
    this.cells = [];
    this.views = [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }

  attached({ series, requestUpdate }) {
    this.series = series;
    this.requestUpdate = requestUpdate;
  }

  detached() {
    this.series = null;
  }

  paneViews() {
    return this.views;
  }

  set(cells) {
    const told = cells.filter((cell) => labelOf(cell) !== "");
    const key = JSON.stringify(told);
    if (key === this.key) return; // asking for it draws the whole chart again
    this.key = key;
    this.cells = told;
    this.requestUpdate?.();
  }

  draw(target) {
    if (!this.series) return;
    const rows = this.cells
      .map((cell) => ({ cell, top: this.series.priceToCoordinate(Number(cell.upper)), bottom: this.series.priceToCoordinate(Number(cell.lower)) }))
      .filter(({ top, bottom }) => top !== null && bottom !== null && bottom - top >= LEAST_HEIGHT);
    const size = Math.min(LARGEST, ...rows.map(({ top, bottom }) => bottom - top - 3));
    target.useMediaCoordinateSpace(({ context }) => {
      context.font = `${size}px system-ui, sans-serif`;
      context.textBaseline = "middle";
      context.lineWidth = 3;
      context.strokeStyle = colours.PANEL;
      for (const { cell, top, bottom } of rows) {
        context.fillStyle = cell.net < 0 ? colours.SELL : cell.net > 0 ? colours.BUY : colours.TEXT;
        context.strokeText(labelOf(cell), LEFT, (top + bottom) / 2);
        context.fillText(labelOf(cell), LEFT, (top + bottom) / 2);
      }
    });
  }
}

/** "+0.44 in 5 cycles, holds 2.0"; "" for a cell in which nothing has happened. */
export function labelOf({ net, cycles, held }) {
  const earned = cycles ? `${signed(net, 2)} in ${cycles} cycle${cycles > 1 ? "s" : ""}` : "";
  const holds = Number(held) ? `holds ${decimal(held)}` : "";
  return [earned, holds].filter((text) => text !== "").join(", ");
}
