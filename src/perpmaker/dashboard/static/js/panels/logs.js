/** The last 3,000 lines of the engine's log, to filter and to follow. Text only: nothing in a line is ever markup. */

import { clean } from "../format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../view.js";
import { Panel } from "./panel.js";

const SHOWN = 500;

export function LogsPanel({ logs, ageMs, onNeedEarlier }) {
  const [filter, setFilter] = useState("");
  const [follow, setFollow] = useState(true);
  const box = useRef(null);
  const pinned = useRef(0); // where the last frame left the box, so that a person's scrolling shows at once
  useEffect(() => onNeedEarlier(), []);
  const found = useMemo(() => matching(logs, filter), [logs, filter]);
  useLayoutEffect(() => {
    if (!follow || !box.current) return;
    if (isScrolledUp(box.current, pinned.current)) setFollow(false);
    else pinned.current = toEnd(box.current);
  });
  function onScroll() {
    const isAtEnd = end(box.current) - box.current.scrollTop < 24;
    if (!isAtEnd && follow && isScrolledUp(box.current, pinned.current)) setFollow(false);
    if (isAtEnd && !follow) start();
  }
  function start() {
    pinned.current = 0; // wherever the box is now, it is to go to the end
    setFollow(true);
  }
  const actions = html`<label class="filter"><span class="sr">Filter</span><input type="search" placeholder="Filter: words, all must match" value=${filter}
      onInput=${(event) => setFilter(event.currentTarget.value)} data-testid="log-filter" /></label>
    <button type="button" aria-pressed=${follow} onClick=${() => (follow ? setFollow(false) : start())} data-testid="log-follow">Follow</button>`;
  return html`<${Panel} title="Log" name="logs" className="logs-panel" ageMs=${ageMs} actions=${actions}
    note=${filter ? `${found.length} of ${logs.length} lines` : `${logs.length} lines`}>
    <div class=${follow ? "log following" : "log"} ref=${box} onScroll=${onScroll} tabindex="0" role="log" aria-live="off" data-testid="logs" data-lines=${logs.length}>
      ${found.length > SHOWN && html`<p class="note">Showing the last ${SHOWN}; filter to see earlier ones.</p>`}
      ${found.slice(-SHOWN).map((line) => html`<div key=${line.number} class=${`line ${level(line.text)}`} data-log-number=${line.number}>${clean(line.text, 2000)}</div>`)}
    </div>
  <//>`;
}

/** Whether somebody moved it away from where it was left: a box or a list that became shorter does not count. */
function isScrolledUp(box, pinned) {
  return box.scrollTop < Math.min(pinned, end(box)) - 2;
}

function end(box) {
  return box.scrollHeight - box.clientHeight;
}

function toEnd(box) {
  box.scrollTop = box.scrollHeight;
  return box.scrollTop;
}

function matching(logs, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? logs : logs.filter((line) => words.every((word) => line.text.toLowerCase().includes(word)));
}

function level(text) {
  const head = text.slice(0, 60).toLowerCase();
  if (/\b(error|critical)\b/.test(head)) return "error";
  return /\bwarning\b/.test(head) ? "warn" : "";
}
