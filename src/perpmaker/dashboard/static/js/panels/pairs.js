/** Pairs: start one, watch both positions of all of them, pause, stop, close, and answer what one asks. */

import { clean, decimal, direction, rounded, signed, significant, toNumber } from "../format.js";
import { DIRECTIONS, EMPTY, MODES, OF_MODE, partnerOf, preview, rateOf, suggestions, tone, total, wordsOf } from "../pairs.js";
import { html, useLayoutEffect, useRef, useState } from "../view.js";
import { Age, Fact, Nothing, Panel } from "./panel.js";

/** Outlives the page: who looks something up elsewhere finds the form as it was. */
let draft = { ...EMPTY };

export function PairsPage({ status, ageMs, freshness, actions }) {
  const pairs = status.pairs ?? [];
  const [closing, setClosing] = useState(null);
  const pair = pairs.find((row) => row.name === closing) ?? null;
  return html`
    <${MonitorPanel} pairs=${pairs} ageMs=${ageMs} />
    <div class="pair-page">
      <${StartPanel} status=${status} freshness=${freshness.state} ageMs=${ageMs} onStart=${(more) => actions.tellPair("pair_start", more)} />
      <div class="pair-cards" data-testid="pair-cards">
        ${pairs.map((row) => html`<${Card} key=${row.name} pair=${row} ageMs=${ageMs} freshness=${freshness.state} onTell=${actions.tellPair} onClose=${() => setClosing(row.name)} />`)}
        ${pairs.length === 0 && html`<div class="panel"><${Nothing}>No pair yet. A pair rests orders on one exchange and hedges every fill on another; choose two markets of one base currency and start.<//></div>`}
      </div>
    </div>
    ${pair !== null && html`<${CloseDialog} pair=${pair} onNo=${() => setClosing(null)} onYes=${() => { setClosing(null); actions.tellPair("pair_close", { strategy: pair.name, about: pair.name }); }} />`}`;
}

// The monitor.

function MonitorPanel({ pairs, ageMs }) {
  const { counts, net, currency } = total(pairs);
  const note = pairs.length === 0 ? "no pairs" : Object.entries(counts).map(([status, count]) => `${count} ${status}`).join(", ");
  return html`<${Panel} title="Positions of all pairs" name="pair-monitor" note=${note} ageMs=${ageMs}
    actions=${pairs.length > 0 && html`<span class="net-total">net delta <strong class=${direction(net)} data-testid="pairs-net">${signed(net, 2)} ${clean(currency, 8)}</strong></span>`}>
    ${pairs.length > 0 && html`<div class="scroll" tabindex="0"><table class="data roomy" data-testid="pair-monitor">
      <thead><tr><th scope="col">Pair</th><th scope="col">Status</th><th scope="col" class="num">Lead</th><th scope="col" class="num">Hedge</th><th scope="col" class="num">Net delta</th>
        <th scope="col" class="num extra">Worth</th><th scope="col" class="num extra">Cycles</th><th scope="col" class="num extra">Net PnL</th><th scope="col" class="extra">Now</th></tr></thead>
      <tbody>${pairs.map((row) => html`<tr key=${row.name} data-pair=${row.name}>
        <th scope="row">${clean(row.name, 32)}</th>
        <td><${Status} status=${row.status} /></td>
        <td class=${`num ${direction(row.legs[0]?.qty)}`}>${decimal(row.legs[0]?.qty)}</td>
        <td class=${`num ${direction(hedged(row))}`}>${row.legs.length === 2 ? decimal(row.legs[1].qty) : significant(hedged(row), 6)}</td>
        <td class=${`num ${direction(row.net_delta)}`} data-testid="pair-net">${decimal(row.net_delta)}</td>
        <td class="num extra">${rounded(row.net_notional, 2)}</td>
        <td class="num extra">${row.asked > 0 ? `${row.cycles}/${row.asked}` : "–"}</td>
        <td class=${`num extra ${direction(row.net)}`}>${signed(row.net, 4)}</td>
        <td class="wide extra">${nowText(row)}</td>
      </tr>`)}</tbody>
    </table></div>`}
    ${pairs.length === 0 && html`<${Nothing}>Nothing is held by pairs.<//>`}
  <//>`;
}

function hedged(row) {
  return row.legs.slice(1).reduce((sum, leg) => sum + (toNumber(leg.qty) ?? 0), 0);
}

function Status({ status }) {
  return html`<span class=${`pill ${tone(status)}`} data-testid="pair-status">${clean(status, 16)}</span>`;
}

/** What it does or waits for, one short text. */
function nowText(row) {
  if (row.question) return clean(row.question, 160);
  if (row.state !== "quoting" && row.state !== "over" && row.reason) return clean(`${row.state}: ${row.reason}`, 160);
  if (row.hedge && row.hedge !== "calm") return `${row.hedge}${row.waits_for ? `; ${clean(row.waits_for, 120)}` : ""}`;
  return clean(row.waits_for || PHASES[row.phase] || row.phase, 160);
}

const PHASES = { make: "quotes", choose: "chooses a side", open: "builds", hold: "holds", close: "closes", pause: "pauses", end: "over" };

// One pair.

function Card({ pair, ageMs, freshness, onTell, onClose }) {
  const tell = (kind) => onTell(kind, { strategy: pair.name, about: pair.name });
  const paused = pair.state === "paused" || pair.state === "failed" || pair.state === "stopped";
  const holds = pair.legs.some((leg) => toNumber(leg.qty));
  const live = freshness === "live";
  return html`<${Panel} title=${clean(pair.name, 32)} name="pair" className=${`pair-card ${tone(pair.status)}`} ageMs=${ageMs === null ? null : ageMs + pair.age_ms}
    note=${`${modeName(pair.mode || pair.kind)}${pair.is_over ? ", over" : ""}`} actions=${html`<${Status} status=${pair.status} />`}>
    <div class="pair-body" data-pair=${pair.name} data-state=${pair.state} data-over=${pair.is_over}>
      ${pair.legs.map((leg, index) => html`<${Leg} key=${leg.instrument} leg=${leg} role=${["lead", "hedge", "fallback"][index]} widest=${widest(pair)} />`)}
      <p class="pair-now" data-testid="pair-now">${pair.state !== "quoting" && html`<span class=${`pill ${pair.state === "failed" ? "danger" : pair.state === "over" ? "" : "warn"}`}>${clean(pair.state, 12)}</span> `}${nowText(pair)}</p>
      ${pair.asked > 0 && html`<div class="progress" title=${`${pair.cycles} of ${pair.asked} cycles`}><span style=${{ width: `${Math.min(100, (100 * pair.cycles) / pair.asked)}%` }}></span></div>`}
      <dl class="facts two">
        <${Fact} name="Cycles" testid="pair-cycles">${pair.asked > 0 ? `${pair.cycles} of ${pair.asked}` : "without an end"}<//>
        <${Fact} name="Net delta" className=${direction(pair.net_delta)}>${decimal(pair.net_delta)}${toNumber(pair.net_delta) ? html` <small>${signed(pair.net_notional, 0)} ${clean(pair.currency, 8)}</small>` : ""}<//>
        <${Fact} name="Gross">${signed(pair.gross, 4)}<//>
        <${Fact} name="Volume">${rounded(pair.volume, 0)}<//>
        <${Fact} name="Fees" title="Above 0 is a cost">${signed(pair.fees, 4)}<//>
        <${Fact} name="Edge" title="Gross per volume of the lead">${signed(pair.edge_bps, 2)} <small>bps</small><//>
        <${Fact} name="Funding">${signed(pair.funding, 4)}<//>
        <${Fact} name="Cost per M" title="Of a million of both legs' volume; above 0 is a cost">${rounded(pair.cost_per_million, 1)}<//>
        <${Fact} name="Net" className=${direction(pair.net)} testid="pair-net-pnl">${signed(pair.net, 4)} <small>${clean(pair.currency, 8)}</small><//>
        <${Fact} name="Breakeven" title="Both venues' fees for one build or one close">${rounded(pair.breakeven_bps, 2)} <small>bps</small><//>
        <${Fact} name="Basis" title="The hedge's mid over the lead's, in one currency">${signed(pair.basis_bps, 2)} <small>bps${pair.basis_z === null ? "" : `, z ${signed(pair.basis_z, 1)}`}</small><//>
        <${Fact} name="Funding/day" title="What a long lead and a short hedge earn in a day">${signed(pair.funding_bps_a_day, 2)} <small>bps</small><//>
      </dl>
      <p class="pair-small" title="How the hedge's currency is valued">${pair.rate_from ? `${clean(pair.rate_from, 60)} ${pair.rate === null ? "" : decimal(pair.rate)}${pair.rate_age_s ? `, ${Math.round(pair.rate_age_s)} s old` : ""}` : ""}${troubles(pair)}</p>
      <div class="pair-buttons">
        ${pair.is_over ? null : paused
          ? html`<${Tell} kind="resume" label="Resume" off=${!live} onTell=${() => tell("pair_resume")} />`
          : html`<${Tell} kind="pause" label="Pause" onTell=${() => tell("pair_pause")} />`}
        ${pair.is_over ? null : html`<${Tell} kind="stop" label="Stop" title="Places nothing new, hedges what is open; positions stay" onTell=${() => tell("pair_stop")} />`}
        ${holds && html`<${Tell} kind="close" label="Close …" off=${!live} onTell=${onClose} />`}
        ${pair.question && html`<${Tell} kind="ask" label="Answer …" onTell=${() => reopen(pair)} />`}
      </div>
    </div>
  <//>`;
}

function Tell({ kind, label, title, off = false, onTell }) {
  return html`<button type="button" class=${`control ${kind}`} aria-disabled=${off} title=${off ? "These numbers are old; wait for live ones" : title} data-testid=${`pair-${kind}`} onClick=${() => off || onTell()}>${label}</button>`;
}

/** A leg as a bar from the middle: long to the right, short to the left; a hedged pair is a mirror image. */
function Leg({ leg, role, widest: most }) {
  const qty = toNumber(leg.qty) ?? 0;
  const share = most ? (50 * Math.abs(qty)) / most : 0;
  const rest = (toNumber(leg.position) ?? 0) - qty;
  const tiny = Math.abs(rest) < 1e-12;
  return html`<div class="leg" data-testid=${`leg-${role}`}>
    <span class="leg-name"><b>${clean(leg.instrument.split("@")[0], 28)}</b> <small>${clean(leg.exchange, 14)}, ${clean(leg.account, 14)}</small></span>
    <span class="leg-bar"><span class=${qty >= 0 ? "long" : "short"} style=${{ width: `${share}%` }}></span></span>
    <span class=${`leg-qty ${direction(qty)}`}>${decimal(leg.qty)}</span>
    ${!tiny && html`<small class="leg-rest" title="The account's position less the pair's own part">account ${decimal(leg.position)}</small>`}
  </div>`;
}

function widest(pair) {
  return Math.max(...pair.legs.map((leg) => Math.abs(toNumber(leg.qty) ?? 0)), Math.abs(toNumber(pair.wanted) ?? 0));
}

function troubles(pair) {
  const counts = [[pair.skipped, "clips skipped"], [pair.hedge_retries, "hedges retried"], [pair.unstable, "unstable prices"]];
  const said = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return said.length ? ` · ${said.join(", ")}` : "";
}

function modeName(mode) {
  return MODES.find(([key]) => key === mode)?.[1] ?? clean(mode.replaceAll("_", " "), 24);
}

// Starting one.

/** Label and default of the fields that one mode has. */
const MODE_FIELDS = { delay_s: ["Delay, s", "0"], hold_min: ["Hold, min", "10"], min_profit_bps: ["Least profit, bps", "1"] };

function StartPanel({ status, freshness, ageMs, onStart }) {
  const markets = status.markets ?? [];
  const [form, setForm] = useState(draft);
  const [asking, setAsking] = useState(false);
  const change = (fields) => setForm((draft = { ...draft, ...fields }));
  const plan = preview(form, markets, status);
  const makes = form.mode === "make";
  const problem = unavailable(status, freshness) || plan.problems[0] || "";
  function chooseLead(row) {
    const known = markets.find((market) => market.instrument === form.hedge_instrument);
    const fits = known && known.base === row.base && known.exchange !== row.exchange;
    const hedge = fits ? known : partnerOf(markets, row);
    change({ instrument: row.instrument, account: several(row), hedge_instrument: hedge?.instrument ?? "", hedge_account: several(hedge) });
  }
  return html`<${Panel} title="Start a pair" name="pair-start" ageMs=${ageMs}>
    <form class="pair-form" onSubmit=${(event) => { event.preventDefault(); if (!problem) setAsking(true); }}>
      <${MarketField} label="Lead" hint="orders rest here" name="lead" markets=${markets} value=${form.instrument} lead=${null} onChoose=${chooseLead} />
      <${MarketField} label="Hedge" hint="fills are hedged here" name="hedge" markets=${markets} value=${form.hedge_instrument} lead=${plan.lead} onChoose=${(row) => change({ hedge_instrument: row.instrument, hedge_account: several(row) })} />
      ${[["account", "Lead account", plan.lead], ["hedge_account", "Hedge account", plan.hedge]].map(([name, label, row]) => several(row) && html`<${Choice} key=${name} label=${label} form=${form} name=${name} onChange=${change} options=${row.accounts.map((account) => [account, clean(account, 24)])} />`)}
      <label class="field whole">Mode <select data-testid="pair-mode" value=${form.mode} onChange=${(event) => change({ mode: event.currentTarget.value, ...(event.currentTarget.value === "make" && { size_in: "contracts" }) })}>
        ${MODES.map(([key, name]) => html`<option value=${key} selected=${key === form.mode}>${name}</option>`)}</select>
        <small class="hint">${MODES.find(([key]) => key === form.mode)[2]}</small></label>
      <div class="field whole amounts"><span class="amounts-head">Sizes in
        <span class="choices" role="group" aria-label="Sizes in">${[["contracts", plan.lead?.base ?? "contracts"], ...(makes ? [] : [["notional", plan.lead?.quote ?? "notional"]])].map(([key, name]) => html`<button type="button" aria-pressed=${form.size_in === key} data-testid=${`pair-in-${key}`} onClick=${() => change({ size_in: key })}>${clean(name, 12)}</button>`)}</span></span>
        <span class="two-fields">
          ${form.mode !== "close_existing" && html`<${Field} label="Size" form=${form} name="size" onChange=${change} inputmode="decimal" placeholder=${makes ? "largest position" : "each cycle"} />`}
          <${Field} label="Clip" form=${form} name="clip" onChange=${change} inputmode="decimal" placeholder=${form.mode === "close_existing" ? "largest piece" : makes ? "a quote; the size" : "the size"} />
        </span></div>
      ${form.mode !== "close_existing" && !makes && html`<${Field} label="Cycles" form=${form} name="iterations" onChange=${change} inputmode="numeric" />
      <label class="field">Direction <select data-testid="pair-direction" value=${form["rule.direction"]} onChange=${(event) => change({ "rule.direction": event.currentTarget.value })}>
        ${DIRECTIONS.map(([key, name]) => html`<option value=${key} selected=${key === form["rule.direction"]}>${name}</option>`)}</select></label>`}
      ${Object.entries(OF_MODE).filter(([, mode]) => mode === form.mode).map(([name]) => html`<${Field} label=${MODE_FIELDS[name][0]} form=${form} name=${name} onChange=${change} inputmode="decimal" placeholder=${MODE_FIELDS[name][1]} />`)}
      ${!makes && html`<${Field} label="Pause, s" form=${form} name="pause_s" onChange=${change} inputmode="decimal" placeholder="0" />`}
      <details class="whole"><summary>Thresholds and limits</summary><div class="pair-form inner">
        ${!makes && html`<${Field} label="Entry edge, bps" form=${form} name="rule.entry_edge_bps" onChange=${change} inputmode="text" placeholder="any" />
        <${Field} label="Exit edge, bps" form=${form} name="rule.exit_edge_bps" onChange=${change} inputmode="text" placeholder="any" />
        <${Field} label="Stable for, s" form=${form} name="maker.stability_s" onChange=${change} inputmode="decimal" placeholder="2" />
        <${Field} label="Re-price after, s" form=${form} name="maker.timeout_s" onChange=${change} inputmode="decimal" placeholder="8" />`}
        <${Field} label="Hedge cap, bps" form=${form} name="hedge.max_slippage_bps" onChange=${change} inputmode="decimal" placeholder="10" />
        ${!makes && html`<${Choice} label="Not filled in time" form=${form} name="maker.on_timeout" onChange=${change} options=${[["", "skip the clip"], ["take", "take on both"]]} />`}
        <${Choice} label="Unexpected fill" form=${form} name="on_unexpected" onChange=${change} options=${[["", "ask"], ["continue", "go on"], ["stop", "stop"]]} />
      </div></details>
      <${Preview} form=${form} plan=${plan} status=${status} />
      <p class="pair-problem whole" role="status" data-testid="pair-problem">${problem}</p>
      <button type="submit" class="control strong resume whole" aria-disabled=${problem !== ""} data-testid="pair-submit">Start …</button>
    </form>
    ${asking && html`<${StartDialog} form=${form} plan=${plan} onNo=${() => setAsking(false)} onYes=${() => { setAsking(false); onStart({ arguments: wordsOf(form), about: plan.lead?.base ?? "" }); }} />`}
  <//>`;
}

/** The account to begin with where a market has several, "" where there is nothing to choose. */
function several(row) {
  return row && row.accounts.length > 1 ? row.accounts[0] : "";
}

function unavailable(status, freshness) {
  if (status.kill_latched) return "The kill switch is latched.";
  if (freshness !== "live") return "These numbers are old; wait for live ones.";
  return (status.markets ?? []).length ? "" : "The engine follows no markets yet.";
}

function Field({ label, form, name, onChange, ...input }) {
  return html`<label class="field">${label} <input type="text" autocomplete="off" spellcheck="false" ...${input} value=${form[name]} data-testid=${`pair-${name}`} onInput=${(event) => onChange({ [name]: event.currentTarget.value })} /></label>`;
}

function Choice({ label, form, name, options, onChange }) {
  return html`<label class="field">${label} <select value=${form[name]} data-testid=${`pair-${name}`} onChange=${(event) => onChange({ [name]: event.currentTarget.value })}>
    ${options.map(([key, text]) => html`<option value=${key} selected=${key === form[name]}>${text}</option>`)}</select></label>`;
}

/** A search field that completes: type any part, choose by arrow keys and Enter, or by a click. */
function MarketField({ label, hint, name, markets, value, lead, onChoose }) {
  const [typed, setTyped] = useState(null);
  const [at, setAt] = useState(0);
  const found = typed === null ? [] : suggestions(markets, typed, lead).slice(0, 8);
  const choose = (row) => { setTyped(null); onChoose(row); };
  function onKey(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (typed === null) setTyped("");
      else if (found.length) setAt((at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    } else if (event.key === "Enter" && found.length) {
      event.preventDefault();
      choose(found[Math.min(at, found.length - 1)]);
    } else if (event.key === "Escape" && typed !== null) {
      event.preventDefault();
      setTyped(null);
    }
  }
  const list = `pair-${name}-list`;
  return html`<div class="field whole search">
    <label for=${`pair-${name}`}>${label} <small class="hint">${hint}</small></label>
    <input id=${`pair-${name}`} type="search" role="combobox" autocomplete="off" spellcheck="false" placeholder="search markets" aria-expanded=${typed !== null} aria-controls=${list} aria-autocomplete="list"
      aria-activedescendant=${typed !== null && found.length ? `${list}-${Math.min(at, found.length - 1)}` : undefined}
      value=${typed ?? value} data-testid=${`pair-${name}`} onKeyDown=${onKey}
      onFocus=${(event) => { setTyped(""); setAt(0); event.currentTarget.select(); }} onBlur=${() => setTyped(null)}
      onInput=${(event) => { setTyped(event.currentTarget.value); setAt(0); }} />
    ${typed !== null && html`<ul class="options" role="listbox" id=${list} data-testid=${list}>
      ${found.map((row, index) => html`<li key=${row.instrument} id=${`${list}-${index}`} role="option" aria-selected=${index === Math.min(at, found.length - 1)} data-instrument=${row.instrument}
        onMouseDown=${(event) => { event.preventDefault(); choose(row); }}><b>${clean(row.symbol, 28)}</b> <small>${clean(row.exchange, 14)} · ${clean(row.quote, 8)}${row.traded_by ? ` · ${clean(row.traded_by, 20)} has it` : ""}</small></li>`)}
      ${found.length === 0 && html`<li class="none" aria-disabled="true">no market the engine follows</li>`}
    </ul>`}
  </div>`;
}

/** What the form comes to, before it is sent. */
function Preview({ form, plan, status }) {
  if (!plan.lead || !plan.hedge || plan.lot === undefined) return null;
  const { lead, hedge } = plan;
  const rate = rateOf(status, hedge.quote, lead.quote);
  return html`<dl class="facts whole preview" data-testid="pair-preview">
    ${plan.qty !== null && html`<${Fact} name=${form.mode === "make" ? "Position at most" : "Each cycle"}>${plan.qty} ${clean(lead.base, 8)} <small>${plan.notional === null ? "" : `${rounded(plan.notional, 0)} ${clean(lead.quote, 8)}`}</small><//>`}
    ${plan.clipQty !== null && html`<${Fact} name="Unhedged at most">${plan.clipQty} ${clean(lead.base, 8)}<//>`}
    <${Fact} name="Lots of both" title="Whole lots of both venues; smallest order">${plan.lot} <small>at least ${plan.least}</small><//>
    <${Fact} name="Fees" title="Maker on the lead, taker on the hedge; above 0 is a cost">${fee(lead.maker_fee_bps)} + ${fee(hedge.taker_fee_bps)} <small>bps</small><//>
    <${Fact} name="Breakeven" title="Both fees, for one build or one close">${plan.breakevenBps === null ? "not known yet" : html`${rounded(plan.breakevenBps, 2)} <small>bps</small>`}<//>
    ${plan.edges && html`<${Fact} name="Touches now" title="Before fees: lead bought, lead sold">${signed(plan.edges.buy, 2)} / ${signed(plan.edges.sell, 2)} <small>bps</small><//>`}
    ${rate.text && html`<${Fact} name=${`${clean(hedge.quote, 8)} in ${clean(lead.quote, 8)}`}><small>${clean(rate.text, 80)}</small><//>`}
  </dl>`;
}

function fee(bps) {
  return bps === null ? "?" : rounded(bps, 2);
}

// Dialogs.

function Dialog({ title, kind, testid, children, buttons, onCancel }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  return html`<dialog ref=${dialog} class=${`confirm ${kind}`} aria-label=${title} data-testid=${testid} onCancel=${(event) => { event.preventDefault(); onCancel(); }}>
    <h2>${title}</h2>${children}<div class="dialog-buttons">${buttons}</div></dialog>`;
}

function StartDialog({ form, plan, onNo, onYes }) {
  const { lead, hedge } = plan;
  const makes = form.mode === "make";
  const cycles = makes ? "until it is stopped" : toNumber(form.iterations) === 1 ? "once" : `${form.iterations} times`;
  return html`<${Dialog} title="Start this pair?" kind="resume" testid="pair-confirm" onCancel=${onNo} buttons=${html`
      <button type="button" class="control" onClick=${onNo} data-testid="pair-confirm-no">Cancel</button>
      <button type="button" class="control strong resume" autofocus onClick=${onYes} data-testid="pair-confirm-yes">Start</button>`}>
    <p>${modeName(form.mode)}${form.mode === "close_existing" ? "" : `, ${cycles}`}: orders rest on <b>${clean(lead.instrument, 32)}</b> (${clean(lead.exchange, 14)}); every fill is hedged at once by taking on <b>${clean(hedge.instrument, 32)}</b> (${clean(hedge.exchange, 14)}).</p>
    <p>${plan.qty === null ? "" : `${plan.qty} ${clean(lead.base, 8)} ${makes ? "held at most, either way" : "a cycle"}, `}at most ${plan.clipQty} ${clean(lead.base, 8)} unhedged at a time.${plan.breakevenBps === null ? "" : ` Fees of both venues: ${rounded(plan.breakevenBps, 2)} bps each time a position is built or closed.`}</p>
    <p>A fill that no order of the pair explains ${form.on_unexpected === "continue" ? "is noted" : form.on_unexpected === "stop" ? "stops it" : "pauses it and asks you"}.</p>
  <//>`;
}

function CloseDialog({ pair, onNo, onYes }) {
  return html`<${Dialog} title=${`Close ${clean(pair.name, 32)}?`} kind="close" testid="pair-close-confirm" onCancel=${onNo} buttons=${html`
      <button type="button" class="control" onClick=${onNo} data-testid="pair-close-no">Cancel</button>
      <button type="button" class="control strong close" autofocus onClick=${onYes} data-testid="pair-close-yes">Close the pair</button>`}>
    <p>Its positions are led to nothing clip by clip, hedged all the way, and it ends: ${pair.legs.map((leg) => `${decimal(leg.qty)} ${clean(leg.instrument, 32)}`).join(", ")}.</p>
    <p>This takes as long as the lead's orders take to fill, and pays both venues' fees. What the accounts hold besides stays.</p>
  <//>`;
}

/** Questions that were put off, by what they say: each is asked once by itself, then by its card's button. */
const putOff = new Set();

function reopen(pair) {
  putOff.delete(keyOf(pair));
}

function keyOf(pair) {
  return `${pair.name} ${pair.session} ${pair.question}`;
}

/** Over any page: a pair met a fill that it cannot explain, or a hedge failed; it is paused until somebody answers. */
export function QuestionDialog({ pairs, freshness, onTell }) {
  const [, redraw] = useState(0);
  const pair = pairs.find((row) => row.question && !putOff.has(keyOf(row)));
  if (pair === undefined) return null;
  const later = () => { putOff.add(keyOf(pair)); redraw((count) => count + 1); };
  const say = (answer) => { later(); onTell("pair_answer", { strategy: pair.name, arguments: { answer }, about: `${pair.name}: ${answer}` }); };
  return html`<${Dialog} key=${keyOf(pair)} title=${`${clean(pair.name, 32)} asks`} kind="close" testid="pair-question" onCancel=${later} buttons=${html`
      <button type="button" class="control" autofocus onClick=${later} data-testid="question-later">Later</button>
      <button type="button" class="control strong close" onClick=${() => say("stop")} data-testid="question-stop">Stop the pair</button>
      <button type="button" class="control strong resume" aria-disabled=${freshness !== "live"} onClick=${() => freshness === "live" && say("continue")} data-testid="question-continue">Continue</button>`}>
    <p data-testid="question-text"><strong>${clean(pair.question, 300)}</strong></p>
    <p>It places nothing new until it is answered; what is open is hedged. Now: <${Status} status=${pair.status} /> ${pair.legs.map((leg) => `${decimal(leg.qty)} ${clean(leg.instrument, 32)}`).join(", ")}, net ${decimal(pair.net_delta)}.</p>
    <p>Continue goes on with the cycles. Stop ends the pair; its positions stay.</p>
  <//>`;
}
