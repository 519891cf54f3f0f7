/** What both charts share: looks, local time, sizes that follow their box. */

import { ColorType, createChart, CrosshairMode } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import * as colours from "./colours.js";

export function newChart(container, { seconds = false } = {}) {
  return createChart(container, {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: colours.PANEL },
      textColor: colours.TEXT,
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      attributionLogo: true, // the licence's condition, with the notice in the footer
    },
    grid: { vertLines: { color: colours.GRID }, horzLines: { color: colours.GRID } },
    rightPriceScale: { borderColor: colours.BORDER },
    timeScale: {
      borderColor: colours.BORDER,
      timeVisible: true,
      secondsVisible: seconds,
      rightOffset: 4,
      tickMarkFormatter: (time, kind) => localTick(time, kind),
    },
    localization: { timeFormatter: localTime },
    crosshair: {
      mode: CrosshairMode.Normal,
      vertLine: { color: colours.CROSSHAIR, labelBackgroundColor: "#2b3445" },
      horzLine: { color: colours.CROSSHAIR, labelBackgroundColor: "#2b3445" },
    },
    handleScroll: { vertTouchDrag: false }, // a finger that goes up or down scrolls the page
    kineticScroll: { mouse: false, touch: !matchMedia("(prefers-reduced-motion: reduce)").matches },
  });
}

/** The library counts in UTC; people read their own time. */
export function localTime(second) {
  const date = new Date(second * 1000);
  return `${date.getDate()} ${MONTHS[date.getMonth()]} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function localTick(second, kind) {
  const date = new Date(second * 1000);
  if (kind <= 1) return `${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
  if (kind === 2) return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return kind === 4 ? `${time}:${two(date.getSeconds())}` : time;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");
