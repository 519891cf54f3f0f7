/** How the engine itself does: stages, links, budgets, refusals, and where its journal is. */

import { clean, micros, rounded } from "../format.js";
import { html, memo } from "../view.js";
import { Fact, Nothing, Panel } from "./panel.js";

const STAGES = ["decode", "book", "decide", "gate", "sign", "journal", "write", "ack", "tick_to_order", "event", "loop_lag"];

export function LatencyPanel({ latency, ageMs }) {
  return html`<${Panel} title="Latency" name="latency" ageMs=${ageMs}><${Stages} latency=${latency} /><//>`;
}

const Stages = memo(({ latency }) => {
  const names = [...STAGES.filter((name) => name in latency), ...Object.keys(latency).filter((name) => !STAGES.includes(name))];
  if (names.length === 0) return html`<${Nothing}>Nothing measured yet.<//>`;
  return html`<table class="data compact" data-testid="latency">
    <thead><tr><th scope="col">Stage</th><th scope="col" class="num">p50</th><th scope="col" class="num">p99</th></tr></thead>
    <tbody>${names.map((name) => html`<tr key=${name} data-stage=${name}><th scope="row">${clean(name.replaceAll("_", " "), 24)}</th><td class="num">${micros(latency[name].p50)}</td><td class="num">${micros(latency[name].p99)}</td></tr>`)}</tbody>
  </table>`;
});

export function LinksPanel({ links, ageMs }) {
  const names = Object.keys(links);
  return html`<${Panel} title="Links" name="links" ageMs=${ageMs}>
    <ul class="links" data-testid="links">
      ${names.map((name) => html`<li key=${name} data-up=${links[name]}><span class=${links[name] ? "good-text" : "bad"}>${links[name] ? "● up" : "✕ down"}</span> ${clean(name, 48)}</li>`)}
    </ul>
    ${names.length === 0 && html`<${Nothing}>No links yet.<//>`}
  <//>`;
}

export function BudgetPanel({ budget, ageMs }) {
  const names = Object.keys(budget);
  return html`<${Panel} title="Rate budget" name="budget" note="left" ageMs=${ageMs}>
    <table class="data compact" data-testid="rate-budget"><tbody>${names.map((name) => html`<tr key=${name}><th scope="row">${clean(name.replaceAll("_", " "), 32)}</th><td class=${`num ${budget[name] < 1 ? "warn-text" : ""}`}>${rounded(budget[name], 1)}</td></tr>`)}</tbody></table>
    ${names.length === 0 && html`<${Nothing}>No limits are known.<//>`}
  <//>`;
}

export function RefusalsPanel({ sent, refused, ageMs }) {
  const codes = Object.keys(refused).sort((a, b) => refused[b] - refused[a]);
  return html`<${Panel} title="Refused by risk" name="refusals" note=${`of ${rounded(sent, 0)} orders sent`} ageMs=${ageMs}>
    <table class="data compact" data-testid="refusals"><tbody>${codes.map((code) => html`<tr key=${code}><th scope="row">${clean(code, 48)}</th><td class="num">${rounded(refused[code], 0)}</td></tr>`)}</tbody></table>
    ${codes.length === 0 && html`<${Nothing}>None.<//>`}
  <//>`;
}

export function EnginePanel({ status, link, version, ageMs }) {
  return html`<${Panel} title="Engine" name="engine" className="engine-panel" ageMs=${ageMs}>
    <dl class="facts">
      <${Fact} name="Engine">${clean(status.engine, 60)}<//>
      <${Fact} name="Version">${clean(status.version, 24)}${version && status.version !== version ? html` <span class="bad">dashboard ${clean(version, 24)}</span>` : ""}<//>
      <${Fact} name="Running for">${uptime(status)}<//>
      <${Fact} name="Clock offset">${status.clock_offset_ms === null ? "–" : `${rounded(status.clock_offset_ms, 2)} ms`}<//>
      <${Fact} name="Connection">${clean(link.state, 16)}${link.detail ? `: ${clean(link.detail, 120)}` : ""}<//>
      <${Fact} name="Journal" className="path">${clean(status.journal_path, 200)}<//>
    </dl>
    ${status.warnings.map((text) => html`<p class="warning" data-testid="warning">${clean(text, 300)}</p>`)}
  <//>`;
}

function uptime(status) {
  const seconds = Math.max(0, (Number(status.ts_ns) - Number(status.started_ns)) / 1e9);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}
