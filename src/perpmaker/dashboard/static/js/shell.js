/** One shell around every page: header, banner, navigation, the page, controls and answers. */

import { EquityPanel, PnlPanel, PositionPanel } from "./panels/account.js";
import { ChartPanel } from "./panels/chart.js";
import { Answers, ConfirmDialog, Controls } from "./panels/controls.js";
import { LadderPanel } from "./panels/ladder.js";
import { LevelsPanel } from "./panels/levels.js";
import { LogsPanel } from "./panels/logs.js";
import { PairsPage, QuestionDialog } from "./panels/pairs.js";
import { BudgetPanel, EnginePanel, LatencyPanel, LinksPanel, RefusalsPanel } from "./panels/machine.js";
import { MarketsPanel } from "./panels/markets.js";
import { QuotingPanel, StrategiesPanel } from "./panels/quoting.js";
import { FillsPanel, OrdersPanel } from "./panels/tables.js";
import { Banner, Navigation, Top } from "./panels/top.js";
import { html } from "./view.js";

export function Shell(view) {
  const { picture, page, instrument, asking, answers, seen, freshness, actions } = view;
  const { status, link } = picture;
  const ageMs = freshness.ageMs;
  const instruments = Object.keys(status?.books ?? {});
  const controls = html`<${Controls} status=${status} freshness=${freshness.state} onAsk=${actions.ask} />`;
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to the page</a>
    <${Top} status=${status} freshness=${freshness.state} ageMs=${ageMs} controls=${controls} />
    <${Banner} status=${status} freshness=${freshness.state} ageMs=${ageMs} link=${link} connected=${seen.connected} versions=${versions(status, picture)} />
    <${Navigation} page=${page} instruments=${instruments} instrument=${instrument} books=${status?.books ?? {}} onChoose=${actions.choose} />
    <main id="main" tabindex="-1" class=${`page ${page}`}>
      ${status === null ? html`<p class="boot">${link.detail || "Waiting for the engine …"}</p>` : html`<${PAGES[page]} ...${{ ...view, status, instruments, ageMs }} />`}
    </main>
    <footer class="foot">
      <span>Local time; amounts in ${status?.currency ?? "–"}</span>
      <span>Charts: TradingView Lightweight Charts™, Copyright (с) 2023 TradingView, Inc. <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">tradingview.com</a></span>
    </footer>
    <${Answers} answers=${answers} onDismiss=${actions.dismiss} />
    ${asking === null && status !== null && html`<${QuestionDialog} pairs=${status.pairs ?? []} freshness=${freshness.state} onTell=${actions.tellPair} />`}
    ${asking !== null && status !== null && html`<${ConfirmDialog} key=${asking} kind=${asking} status=${status} instruments=${instruments} onConfirm=${actions.confirm} onCancel=${actions.cancel} />`}
  </div>`;
}

function MarketPage({ picture, status, instrument, ageMs, actions }) {
  const book = picture.books.get(instrument);
  const places = picture.places.get(instrument) ?? 2;
  return html`
    <${ChartPanel} instrument=${instrument} candles=${picture.candles.get(instrument)} fills=${picture.fills} orders=${status.open_orders} strategies=${status.strategies} places=${places} ageMs=${ageMs} onDrawn=${actions.drawn} />
    <${LadderPanel} instrument=${instrument} book=${book} orders=${status.open_orders} places=${places} stale=${status.books[instrument]?.stale} ageMs=${ageMs} />
    <div class="side">
      <${PositionPanel} instrument=${instrument} positions=${status.positions} currency=${status.currency} places=${places} ageMs=${ageMs} />
      <${QuotingPanel} instrument=${instrument} strategies=${status.strategies} ageMs=${ageMs} />
      <${PnlPanel} pnl=${status.pnl} currency=${status.currency} ageMs=${ageMs} />
      <${EquityPanel} equity=${picture.equity} status=${status} ageMs=${ageMs} />
    </div>
    <div class="tables">
      <${OrdersPanel} orders=${status.open_orders} instrument=${instrument} places=${picture.places} ageMs=${ageMs} />
      <${FillsPanel} fills=${picture.fills} total=${status.fills_total} places=${picture.places} ageMs=${ageMs} />
    </div>
    <div class="below">
      <${LevelsPanel} instrument=${instrument} strategies=${status.strategies} orders=${status.open_orders} places=${places} ageMs=${ageMs} />
      <${StrategiesPanel} strategies=${status.strategies} ageMs=${ageMs} onChoose=${actions.choose} />
    </div>
    <div class="below machine"><${Machine} status=${status} ageMs=${ageMs} /></div>`;
}

function Machine({ status, ageMs }) {
  return html`
    <${LatencyPanel} latency=${status.latency_us} ageMs=${ageMs} />
    <${LinksPanel} links=${status.links} ageMs=${ageMs} />
    <${BudgetPanel} budget=${status.rate_budget} ageMs=${ageMs} />
    <${RefusalsPanel} sent=${status.orders_sent} refused=${status.orders_refused} ageMs=${ageMs} />`;
}

function MarketsPage({ picture, status, instruments, ageMs, actions }) {
  return html`
    <${MarketsPanel} instruments=${instruments} status=${status} books=${picture.books} fills=${picture.fills} ageMs=${ageMs} onChoose=${actions.choose} />
    <${StrategiesPanel} strategies=${status.strategies} ageMs=${ageMs} onChoose=${actions.choose} />
    <${FillsPanel} fills=${picture.fills} total=${status.fills_total} places=${picture.places} ageMs=${ageMs} />
    <div class="pair">
      <${EquityPanel} equity=${picture.equity} status=${status} ageMs=${ageMs} className="tall" />
      <${PnlPanel} pnl=${status.pnl} currency=${status.currency} ageMs=${ageMs} />
    </div>`;
}

function EnginePage({ picture, status, ageMs }) {
  return html`
    <div class="machine">
      <${EnginePanel} status=${status} link=${picture.link} version=${picture.version} ageMs=${ageMs} />
      <${Machine} status=${status} ageMs=${ageMs} />
    </div>`;
}

function LogsPage({ picture, ageMs, actions }) {
  return html`<${LogsPanel} logs=${picture.logs} ageMs=${ageMs} onNeedEarlier=${actions.needEarlierLogs} />`;
}

const PAGES = { market: MarketPage, markets: MarketsPage, pairs: PairsPage, engine: EnginePage, logs: LogsPage };

/** Page and engine of different versions may misread each other. */
function versions(status, picture) {
  if (!status || !picture.version || status.version === picture.version) return "";
  return `The engine is ${status.version}, the dashboard ${picture.version}: restart the older one.`;
}
