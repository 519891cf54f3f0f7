/** The header every page has: who, where, in what state, how much, how old. And the banner when something is wrong. */

import { base, clean, decimal, direction, middle, percent, rounded, signed, toNumber } from "../format.js";
import { html } from "../view.js";
import { Age, Prose } from "./panel.js";

export function Top({ status, freshness, ageMs, controls }) {
  return html`<header class="top">
    <div class="identity">
      <h1 class="brand">perpmaker</h1>
      ${status && html`<span class=${`pill ${stateClass(status)}`} data-testid="engine-state" data-state=${status.state}>${clean(status.state, 16)}</span>
      <span class=${`badge env-${status.env === "prod" ? "prod" : "other"}`} data-testid="env-badge" title="Environment and mode">${clean(status.env, 12)} · ${clean(status.mode, 12)}</span>
      <span class="badge" data-testid="venue-badge" title="Venue">${clean(status.venue, 24)}</span>`}
      <span class="word"><span class=${`freshness ${freshness}`} data-testid="freshness" data-state=${freshness}>${FRESHNESS[freshness]}</span>
        <span data-testid="data-age"><${Age} ms=${ageMs} label="data age" /></span></span>
    </div>
    ${status && html`<${Figures} status=${status} />`}
    ${controls}
  </header>`;
}

const FRESHNESS = { connecting: "connecting", live: "live", stale: "STALE", gone: "DEAD" };

function Figures({ status }) {
  const exposure = status.positions.reduce((sum, row) => sum + (toNumber(row.notional) ?? 0), 0);
  const currency = clean(status.currency, 8);
  return html`<dl class="figures">
    <div><dt>Equity</dt><dd data-testid="equity">${rounded(status.equity)} <small>${currency}</small></dd></div>
    <div><dt>Day PnL</dt><dd data-testid="day-pnl" class=${direction(status.day_pnl)}>${signed(status.day_pnl)}</dd></div>
    <div><dt title="Fall of the equity from its peak">Drawdown</dt><dd data-testid="header-drawdown">${percent(status.drawdown_frac, 3)}</dd></div>
    <div><dt title="Sum of all positions at mark, with sign">Net position</dt><dd data-testid="net-position">${signed(exposure, 0)}</dd></div>
    <div><dt>Volume</dt><dd data-testid="volume">${rounded(status.volume, 0)}</dd></div>
    <div><dt>Fills</dt><dd data-testid="fills-count">${rounded(status.fills_total, 0)}</dd></div>
  </dl>`;
}

function stateClass(status) {
  if (status.kill_latched || status.state === "killed" || status.state === "halted") return "danger";
  return status.state === "running" ? "good" : "warn";
}

/** One line for each thing that a person has to know before believing the rest. */
export function Banner({ status, freshness, ageMs, link, connected, versions }) {
  const lines = [];
  if (freshness === "gone") lines.push(["gone", ...goneText(ageMs, link, connected)]);
  else if (freshness === "stale") lines.push(["stale", "STALE", `These numbers are ${ageText(ageMs)} old${connected ? "" : "; reconnecting to the dashboard"}.`]);
  if (status?.kill_latched) lines.push(["killed", "KILLED", `Every order is cancelled and none is sent${reason(status)}. Positions stay open. Only \`perpmaker kill --clear\` in a terminal lifts this.`]);
  else if (status?.state === "halted") lines.push(["killed", "HALTED", `The engine stopped trading${reason(status)}.`]);
  else if (status?.state === "paused") lines.push(["note", "Paused", `No quotes are placed${reason(status)}. Positions stay open.`]);
  if (versions) lines.push(["note", "Versions differ", versions]);
  return html`<div class="banners" data-testid="banners">
    ${lines.map(([kind, head, text]) => html`<p key=${kind} class=${`banner ${kind}`} role=${kind === "gone" ? "alert" : undefined} data-testid=${`banner-${kind}`}><strong>${head}</strong> <${Prose} text=${text} /></p>`)}
  </div>`;
}

function goneText(ageMs, link, connected) {
  const last = ageMs === null ? "Nothing was ever heard from it." : `Its last word is ${ageText(ageMs)} old: the numbers below are not to be trusted.`;
  const orders = "Its orders may still rest at the venue until the dead-man timer there fires.";
  if (!connected) return ["DASHBOARD GONE", `The dashboard's server does not answer, so the engine cannot be seen or steered from here. ${ageMs === null ? "" : last} Look with \`perpmaker status\`, stop with \`perpmaker kill\`.`];
  const why = link.detail ? ` (${clean(link.detail, 160)})` : "";
  return ["ENGINE GONE", `The engine does not answer${why}. ${last} ${orders} Look with \`perpmaker status\`; start it again with \`perpmaker up\`.`];
}

function reason(status) {
  return status.reason ? `: ${clean(status.reason, 160)}` : "";
}

function ageText(ms) {
  if (ms === null) return "of unknown age";
  return ms < 120000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`;
}

const PAGES = [["market", "Market"], ["markets", "All markets"], ["pairs", "Pairs"], ["engine", "Engine"], ["logs", "Log"]];

export function Navigation({ page, instruments, instrument, books, onChoose }) {
  return html`<nav class="navigation" aria-label="Pages">
    <div class="tabs pages">${PAGES.map(([name, title]) => html`<a href=${`#/${name}`} class="tab" aria-current=${page === name ? "page" : undefined} data-testid=${`page-${name}`}>${title}</a>`)}</div>
    <div class="tabs" role="group" aria-label="Market">
      ${instruments.map((name) => html`<button type="button" key=${name} class="tab market" aria-pressed=${name === instrument} onClick=${() => onChoose(name)} data-testid="instrument" data-instrument=${name} title=${clean(name, 40)}>
        ${base(name)}${name.includes("@") && html`<small>@${clean(name.split("@")[1], 8)}</small>`} <span class="tab-px">${decimal(middle(books[name]?.bid ?? null, books[name]?.ask ?? null))}</span></button>`)}
    </div>
  </nav>`;
}
