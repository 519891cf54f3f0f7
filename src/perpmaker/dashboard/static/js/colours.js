/** Colours of what is drawn on canvas; the same as in base.css. Blue and orange: told apart by every kind of eye. */

export const BUY = "#53b7f5";
export const SELL = "#ff9d4d";
export const BUY_SOFT = "#2f6f99";
export const SELL_SOFT = "#a8642c";
export const TEXT = "#aab4c5";
export const GRID = "#171d28";
export const BORDER = "#252d3b";
export const PANEL = "#10141c";
export const EQUITY = "#b9a7ff";
export const CROSSHAIR = "#5b6780";
