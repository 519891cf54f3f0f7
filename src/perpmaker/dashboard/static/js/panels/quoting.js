/** What the quotes are made of, and why there are none. */

import { base, clean, decimal, rounded, significant, toNumber } from "../format.js";
import { html, memo } from "../view.js";
import { Age, Fact, Nothing, Panel } from "./panel.js";

const INPUTS = [
  ["fair", "Fair", "Fair price the quotes stand around"],
  ["sigma", "σ", "Volatility, price per square-root second"],
  ["A_bid", "A bid", "Arrivals a second on the bid side"],
  ["A_ask", "A ask", "Arrivals a second on the ask side"],
  ["kappa_bid", "κ bid", "Decay of arrivals with depth, per quote unit"],
  ["kappa_ask", "κ ask", "Decay of arrivals with depth, per quote unit"],
  ["half_spread_bps", "Half-spread bps", "From the reservation price to the first quote"],
  ["skew_bps", "Skew bps", "Lean against the position; negative: down"],
];
const ALSO = {
  sigma_bps: ["σ bps", "Volatility in bps per square-root second"],
  gamma: ["γ", "Risk aversion, per quote unit"],
  tolerance_bps: ["Tolerance bps", "A quote this near to where it should be stays"],
  q: ["q", "Inventory in units of the order size"],
  rsi: ["RSI", "Relative strength of the filter's bars"],
  funding_shift_bps: ["Funding bps", "The next funding payment moves both quotes so far"],
  markout_1s_bid_bps: ["Bids 1 s bps", "What bids had earned 1 s after their fills, net of fees"],
  markout_1s_ask_bps: ["Asks 1 s bps", "What asks had earned 1 s after their fills, net of fees"],
  markout_10s_bid_bps: ["Bids 10 s bps", "What bids had earned 10 s after their fills, net of fees"],
  markout_10s_ask_bps: ["Asks 10 s bps", "What asks had earned 10 s after their fills, net of fees"],
  markout_60s_bid_bps: ["Bids 60 s bps", "What bids had earned 60 s after their fills, net of fees"],
  markout_60s_ask_bps: ["Asks 60 s bps", "What asks had earned 60 s after their fills, net of fees"],
  win_rate: ["Win rate", "Share of fills with a markout above 0: shown, not optimised"],
  floor: ["Floor", "The rule that keeps the half-spread from being smaller"],
  fit_r2_bid: ["R² bid", "How well A and κ fit on the bid side"],
  fit_r2_ask: ["R² ask", "How well A and κ fit on the ask side"],
  fit_age_s_bid: ["Fit age bid s", "Since A and κ of the bid side were measured"],
  fit_age_s_ask: ["Fit age ask s", "Since A and κ of the ask side were measured"],
};
/** Sentences, not numbers: why there are no quotes, what is not known yet, what has no effect. */
const SENTENCES = { reasons: "Why no quote: ", doubts: "Not known yet: ", inert: "No effect: " };
/** What the filter makes of the market, and what is remembered of its signal. */
const REGIME = [
  ["regime", "Regime", "What the filter makes of the market"],
  ["signal", "Signal", "The signal in force: given now, or remembered by the latch"],
  ["latch", "Latch", "Whether a signal is remembered, for how long, or why it was released"],
  ["regime_model", "Regime model", "What the trained model holds the market for and how sure it is, or why it is not believed"],
  ["posterior", "Model's shares", "How much of each of the model's components the market is taken for, averaged"],
  ["regime_makes", "Regime makes", "The factors that follow on gamma, kappa (less is wider) and layer spacing"],
  ["adapt", "Tuner", "What the adaptive tuner measures now"],
  ["adapt_makes", "Tuner makes", "The tuner's factors on gamma and kappa (less is wider) that are in force"],
  ["adapt_last", "Last step", "The tuner's last decision, and why"],
  ["at_venue", "At the venue", "What waits there to close the position when we cannot, or why nothing does"],
  ["caution", "Caution", "How much of a loss limit of the account is used up, and how careful that makes it"],
  ["order_quality", "Orders", "Of the orders that ended in the venue's window"],
];
/** Several inputs in one row: [name, key, percent or factor] each. */
const TOGETHER = {
  posterior: [["trending", "p_trending"], ["ranging", "p_ranging"], ["volatile", "p_volatile"]],
  regime_makes: [["γ", "regime_gamma_mult"], ["κ", "regime_kappa_mult"], ["spacing", "regime_spacing_mult"]],
  adapt_makes: [["γ", "adapt_gamma_mult"], ["κ", "adapt_kappa_mult"]],
};
/** The grid's own account. */
const GRID = [
  ["phase", "Phase", "waiting, seeding, working, leaving, stopped"],
  ["grid_lower", "Lowest line", "The grid reaches from here"],
  ["grid_upper", "Highest line", "to here"],
  ["grid_profit", "Grid profit", "What closings earned, before fees"],
  ["grid_fees", "Grid fees", "Of all its fills"],
  ["inventory_pnl", "Open PnL", "What is open, against fair"],
  ["grid_cycles", "Cycles", "How often a cell was emptied"],
  ["grid_held", "Held", "What all cells hold together"],
  ["stop_loss", "Stop loss", "What the grid has made since it was laid out, and where it closes"],
];
const SHARES = new Set(["p_trending", "p_ranging", "p_volatile", "win_rate"]);
/** A value of more letters has a line of its own. */
const LONG = 24;
const MONEY = new Set(["grid_profit", "grid_fees", "inventory_pnl"]);
/** Shown elsewhere: the orders stand in their table, layers and levels in theirs, the lines of a grid in the chart. */
const ELSEWHERE = ["bids", "asks", "grid_levels", "layer_markouts"];
const SPECIAL = new Set([
  ...[...INPUTS, ...REGIME, ...GRID].map(([key]) => key),
  ...Object.values(TOGETHER).flat().map(([, key]) => key),
  ...Object.keys(SENTENCES), ...ELSEWHERE, "age_ms", "model", "warming_up",
]);

export function QuotingPanel({ instrument, strategies, ageMs }) {
  const rows = strategies.filter((row) => row.instrument === instrument);
  const first = rows[0];
  return html`<${Panel} title="Quoting" name="quoting" note=${first ? clean(first.inputs.model ?? first.kind, 24) : ""} ageMs=${inputAge(first, ageMs)}>
    ${rows.length === 0 && html`<${Nothing}>No strategy trades ${base(instrument)}.<//>`}
    <div class="scroll" tabindex="0">${rows.map((row) => html`<${Inputs} key=${row.name} row=${row} />`)}</div>
  <//>`;
}

const Inputs = memo(({ row }) => {
  const others = Object.keys(row.inputs).filter((key) => !SPECIAL.has(key) && row.inputs[key] !== null && row.inputs[key] !== "");
  const sentences = Object.keys(SENTENCES).filter((key) => row.inputs[key]);
  return html`<div data-strategy=${row.name}>
    <p class="strategy-state"><${StrategyState} row=${row} why=${row.reason} /> <span class="note">${clean(row.name, 32)}</span></p>
    ${sentences.map((key) => html`<p class="reason" data-testid=${`quoting-${key}`}>${SENTENCES[key]}${clean(row.inputs[key], 300)}</p>`)}
    <${Words} row=${row} facts=${REGIME} testid="quoting-regime" />
    <${Words} row=${row} facts=${GRID} testid="quoting-grid" />
    <dl class="facts two" data-testid="quoting-inputs">
      ${INPUTS.filter(([key]) => key in row.inputs).map(([key, name, meaning]) => html`<${Fact} name=${name} title=${meaning} testid=${`input-${key}`}>${inputText(key, row.inputs[key])}<//>`)}
      ${others.map((key) => html`<${Fact} name=${ALSO[key]?.[0] ?? clean(key.replaceAll("_", " "), 24)} title=${ALSO[key]?.[1]}>${inputText(key, row.inputs[key])}<//>`)}
    </dl>
  </div>`;
});

/** Facts that are there, in a list of their own; nothing when none is. */
function Words({ row, facts, testid }) {
  const there = facts.map(([key, name, meaning]) => [key, name, meaning, wordText(key, row.inputs)]).filter(([, , , text]) => text !== "");
  if (there.length === 0) return null;
  return html`<dl class=${facts === GRID ? "facts two" : "facts"} data-testid=${testid}>
    ${there.map(([key, name, meaning, text]) => html`<${Fact} name=${name} title=${meaning} testid=${`input-${key}`} long=${text.length > LONG}>${text}<//>`)}
  </dl>`;
}

function wordText(key, inputs) {
  if (key in TOGETHER) {
    const there = TOGETHER[key].filter(([, each]) => toNumber(inputs[each]) !== null);
    return there.map(([name, each]) => (SHARES.has(each) ? `${name} ${rounded(toNumber(inputs[each]) * 100, 0)} %` : `${name} × ${rounded(inputs[each], 2)}`)).join(", ");
  }
  const value = inputs[key];
  if (value === undefined || value === null || value === "") return "";
  if (typeof value === "string" && toNumber(value) === null) return clean(value, 400);
  if (key === "grid_lower" || key === "grid_upper") return decimal(String(value));
  return MONEY.has(key) ? rounded(value, 2) : String(toNumber(value) ?? "–");
}

/** What it does in the engine's words, and why. An engine that is older says its state alone. */
export function StrategyState({ row, why = row.why || row.reason }) {
  const word = row.word || row.state.replaceAll("_", " ");
  const tone = word === "quoting" ? "good" : word === "failed" ? "danger" : word === "over" ? "" : "warn";
  return html`<span class=${`pill ${tone}`} data-testid="strategy-state"
    data-state=${row.state}>${clean(word, 24)}</span>${why && html` <span class="reason" data-testid="strategy-reason">${clean(why, 160)}</span>`}`;
}

export function StrategiesPanel({ strategies, ageMs, onChoose }) {
  return html`<${Panel} title="Strategies" name="strategies" ageMs=${ageMs}>
    ${strategies.length === 0 ? html`<${Nothing}>No strategies.<//>` : html`<${Table} strategies=${strategies} onChoose=${onChoose} />`}
  <//>`;
}

const Table = memo(({ strategies, onChoose }) => html`<div class="scroll" tabindex="0">
  <table class="data" data-testid="strategies">
    <thead><tr><th scope="col">Strategy</th><th scope="col">Market</th><th scope="col">State</th>
      ${INPUTS.map(([, name, meaning]) => html`<th scope="col" class="num" title=${meaning}>${name}</th>`)}<th scope="col" class="num">Age</th></tr></thead>
    <tbody>${strategies.map((row) => html`<tr key=${row.name} data-strategy=${row.name} data-instrument=${row.instrument}>
      <td>${clean(row.name, 32)}</td>
      <td><button type="button" class="link" onClick=${() => onChoose(row.instrument)}>${base(row.instrument)}</button></td>
      <td class="wide"><${StrategyState} row=${row} /></td>
      ${INPUTS.map(([key]) => html`<td class="num">${inputText(key, row.inputs[key])}</td>`)}
      <td class="num"><${Age} ms=${toNumber(row.inputs.age_ms)} /></td>
    </tr>`)}</tbody>
  </table></div>`);

function inputText(key, value) {
  if (typeof value === "string" && toNumber(value) === null) return clean(value, 24);
  if (key === "fair") return typeof value === "string" ? decimal(value) : significant(value, 8);
  if (key.endsWith("_bps")) return rounded(value, 2);
  if (SHARES.has(key)) return `${rounded(toNumber(value) * 100, 1)} %`;
  return significant(value, 4);
}

function inputAge(row, ageMs) {
  const own = toNumber(row?.inputs.age_ms);
  return own === null || ageMs === null ? ageMs : own + ageMs;
}
