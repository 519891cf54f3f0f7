/** A titled box whose numbers carry their age. */

import { age } from "../format.js";
import { html } from "../view.js";

export function Panel({ title, name, ageMs, note, actions, className, children }) {
  return html`<section class=${`panel ${className ?? ""}`} aria-label=${title} data-testid=${`panel-${name}`}>
    <header class="panel-head">
      <h2>${title}</h2>
      ${note && html`<span class="note">${note}</span>`}
      <span class="grow"></span>
      ${actions}
      ${ageMs !== undefined && html`<${Age} ms=${ageMs} />`}
    </header>
    ${children}
  </section>`;
}

/** How old the numbers beside it are. */
export function Age({ ms, label = "age" }) {
  const old = ms !== null && ms >= 2000;
  return html`<span class=${`age ${old ? "old" : ""}`} data-age-ms=${ms === null ? "" : Math.round(ms)} title="Age of these numbers">
    <span class="sr">${label} </span>${ms === null ? "no data" : age(ms)}
  </span>`;
}

/** A row of a list of names and values; a `long` one has its value below its name. */
export function Fact({ name, testid, className, title, long, children }) {
  return html`<div class=${`fact ${long ? "long" : ""}`} title=${title}>
    <dt>${name}</dt>
    <dd class=${className ?? ""} data-testid=${testid}>${children}</dd>
  </div>`;
}

/** Text with commands to type between backticks. */
export function Prose({ text }) {
  return text.split("`").map((part, index) => (index % 2 ? html`<code>${part}</code>` : part));
}

export function Nothing({ children }) {
  return html`<p class="nothing">${children}</p>`;
}

/** ▲ Buy or ▼ Sell: the shape says it too, not the colour alone. */
export function Side({ side, short }) {
  const buy = side === "buy";
  return html`<span class=${buy ? "buy" : "sell"}>${buy ? "▲" : "▼"}${short ? html`<span class="sr">${side}</span>` : ` ${buy ? "Buy" : "Sell"}`}</span>`;
}
