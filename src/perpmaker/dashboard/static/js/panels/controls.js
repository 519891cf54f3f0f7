/** The buttons, the dialog that says what they do, and the answers. On a phone they are a bar at the bottom. */

import { consequences, KINDS, NAMES, unavailable } from "../commands.js";
import { base, clean } from "../format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../view.js";
import { Prose } from "./panel.js";

export function Controls({ status, freshness, onAsk }) {
  return html`<div class="controls" role="toolbar" aria-label="Controls" data-testid="controls">
    ${KINDS.map((kind) => {
      const why = unavailable(kind, status, freshness);
      return html`<button type="button" class=${`control ${kind}`} data-testid=${`control-${kind}`} title=${why || undefined}
        aria-disabled=${why !== ""} onClick=${() => why === "" && onAsk(kind)}>${NAMES[kind]}</button>`;
    })}
  </div>`;
}

/** Native modal dialog: it keeps the focus, and Escape leaves it. */
export function ConfirmDialog({ kind, status, instruments, onConfirm, onCancel }) {
  const dialog = useRef(null);
  const [instrument, setInstrument] = useState("");
  useLayoutEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  return html`<dialog ref=${dialog} class=${`confirm ${kind}`} aria-labelledby="confirm-title" data-testid="confirm" data-kind=${kind}
    onCancel=${(event) => { event.preventDefault(); onCancel(); }}>
    <h2 id="confirm-title">${NAMES[kind]}${kind === "kill" ? ": cancel everything and latch" : "?"}</h2>
    ${kind !== "kill" && instruments.length > 1 && html`<fieldset>
      <legend>Where</legend>
      ${["", ...instruments].map((name) => html`<label class="choice"><input type="radio" name="scope" value=${name} checked=${name === instrument} onChange=${() => setInstrument(name)} /> ${name ? base(name) : "All markets"}</label>`)}
    </fieldset>`}
    <div data-testid="consequences">${consequences(kind, status, instrument).map((text) => html`<p><${Prose} text=${text} /></p>`)}</div>
    <div class="dialog-buttons">
      <button type="button" class="control" onClick=${onCancel} data-testid="confirm-no">Cancel</button>
      <button type="button" class=${`control strong ${kind}`} autofocus onClick=${() => onConfirm(kind, instrument)} data-testid="confirm-yes">
        ${NAMES[kind]}${instrument ? ` ${base(instrument)}` : kind === "kill" ? "" : " all"}</button>
    </div>
  </dialog>`;
}

const KEEP_MS = 20000;

/** What became of the commands given here; final answers leave after a while, unless they are bad news. */
export function Answers({ answers, onDismiss }) {
  return html`<div class="answers" role="status" aria-live="polite" data-testid="answers">
    ${answers.map((answer) => html`<${Answer} key=${answer.id} answer=${answer} onDismiss=${onDismiss} />`)}
  </div>`;
}

function Answer({ answer, onDismiss }) {
  useEffect(() => {
    if (answer.state !== "done") return undefined;
    const timer = setTimeout(() => onDismiss(answer.id), KEEP_MS);
    return () => clearTimeout(timer);
  }, [answer.state]);
  return html`<div class=${`answer ${answer.state}`} data-testid="command-answer" data-command-id=${answer.id} data-kind=${answer.kind} data-state=${answer.state}>
    <p><strong>${NAMES[answer.kind]}${answer.instrument ? ` ${base(answer.instrument)}` : ""}${answer.about ? ` ${clean(answer.about, 40)}` : ""}: ${answer.state}</strong>${answer.text ? html`<br />${clean(answer.text, 300)}` : ""}</p>
    <button type="button" class="dismiss" aria-label="Dismiss" onClick=${() => onDismiss(answer.id)}>✕</button>
  </div>`;
}
